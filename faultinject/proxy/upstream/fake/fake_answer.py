"""What the fake API answers, as values: a whole body, or events that come one by one.

The documents are those of `faultinject.providers`. Knows nothing of how they are sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.http.message import RequestHead, find_header
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC
from faultinject.providers.documents import compact, demands_call, words
from faultinject.providers.known import provider_for
from faultinject.providers.openai import PROVIDER as OPENAI
from faultinject.providers.openai import chat, responses
from faultinject.providers.provider import Asked, Failure, Fields, Provider, Uniform
from faultinject.proxy.upstream.fake.agent_loop import offer_to_call

MODEL = "fake-model"
"""The one model in the list; any other name is as good."""
_SINCE = 1_735_689_600  # 2025-01-01
DIMENSIONS = 1536
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048
"""How many inputs OpenAI takes at once."""


def models(model: str, *, anthropic: bool) -> bytes:
    """Return a model by its name, or the list of all for no name."""
    described = _anthropic_model if anthropic else _openai_model
    if model:
        return compact(described(model))
    if anthropic:
        paging = {"has_more": False, "first_id": MODEL, "last_id": MODEL}
        return compact({"data": [described(MODEL)]} | paging)
    return compact({"object": "list", "data": [described(MODEL)]})


def _anthropic_model(name: str) -> dict[str, Any]:
    created = "2025-01-01T00:00:00Z"
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _SINCE, "owned_by": "faultinject"}


def embeddings(request: dict[str, Any], model: str) -> bytes:
    """Return a vector for each input: the same for the same input, and of length 1.

    All but one of its numbers are 0. Raises `ValueError` for a request that the API refuses.
    """
    inputs, count = _inputs(request.get("input")), request.get("dimensions", DIMENSIONS)
    if not isinstance(count, int) or not 1 <= count <= MOST_DIMENSIONS:
        raise ValueError(f"'dimensions' must be an integer of 1 to {MOST_DIMENSIONS}")
    vector = _as_base64 if request.get("encoding_format") == "base64" else _as_numbers
    parts = (
        b'{"object":"embedding","index":%d,"embedding":%b}'
        % (index, vector(_place(text, count), count))
        for index, text in enumerate(inputs)
    )
    tokens = sum(len(text) if isinstance(text, list) else words(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    rest = compact({"model": model, "usage": usage})[1:]
    return b'{"object":"list","data":[' + b",".join(parts) + b"]," + rest


def _inputs(given: Any) -> list[Any]:
    one = isinstance(given, str) or (isinstance(given, list) and _all(given, int))
    inputs = [given] if one and given else given
    if not isinstance(inputs, list) or not inputs or len(inputs) > MOST_INPUTS:
        raise ValueError(f"'input' must be 1 to {MOST_INPUTS} texts, or lists of tokens")
    if not all(isinstance(each, str) or _all(each, int) for each in inputs):
        raise ValueError("'input' must be a text or a list of tokens, or a list of these")
    return inputs


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _as_numbers(one_at: int, count: int) -> bytes:
    return b"[" + b",".join([b"0.0"] * one_at + [b"1.0"] + [b"0.0"] * (count - one_at - 1)) + b"]"


def _as_base64(one_at: int, count: int) -> bytes:
    numbers = bytes(4 * one_at) + struct.pack("<f", 1.0) + bytes(4 * (count - one_at - 1))
    return b'"' + base64.b64encode(numbers) + b'"'


def _place(text: Any, count: int) -> int:
    """Return which number of an input's vector is not 0."""
    return int.from_bytes(hashlib.blake2b(compact(text), digest_size=8).digest()) % count


@frozen
class Whole:
    """A JSON document, sent at once."""

    body: bytes
    status: int = 200


@frozen
class Streamed:
    """Server-sent events, each a chunk of its own, with time between them."""

    events: tuple[bytes, ...]


Answer = Whole | Streamed


@frozen
class Page:
    """A path that is served: whose it is, and how it answers a request with a text."""

    provider: Provider
    whole: Callable[[Asked, Fields, Uniform, str], bytes]
    streamed: Callable[[Asked, Fields, Uniform, str], list[bytes]]

    def answer(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> Answer:
        """Answer a request with a text, or with the call of a tool; whole or as a stream.

        A program does what the call says: `offer_to_call` says which are called unasked.
        """
        asked = Asked("", request)
        if not demands_call(asked):
            asked = Asked("", request | {"tools": offer_to_call(request)})
        if asked.stream:
            return Streamed(tuple(self.streamed(asked, fields, uniform, text)))
        return Whole(self.whole(asked, fields, uniform, text))

    def error(self, status: int, message: str, fields: Fields) -> Whole:
        """Return an error document in the words of whose page it is."""
        failure = Failure(status, message=message)
        return Whole(self.provider.error_body(failure, fields), status)


@frozen
class CountPage(Page):
    """Where Anthropic counts the tokens of a request."""

    def answer(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> Answer:
        """Answer with their number, nearly enough."""
        return Whole(self.whole(Asked("/v1/messages/count_tokens", request), fields, uniform, text))


@frozen
class EmbeddingsPage(Page):
    """Where OpenAI turns texts into vectors."""

    def answer(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> Answer:
        """Answer with vectors, or refuse what is no input."""
        del uniform, text
        try:
            return Whole(embeddings(request, Asked("", request).model))
        except ValueError as error:
            return self.error(400, str(error), fields)


PAGES = {
    b"/v1/messages": Page(ANTHROPIC, messages.minimal_response, messages.minimal_stream),
    b"/v1/chat/completions": Page(OPENAI, chat.minimal_response, chat.minimal_stream),
    b"/v1/responses": Page(OPENAI, responses.minimal_response, responses.minimal_stream),
}
PAGES[b"/v1/messages/count_tokens"] = CountPage(
    ANTHROPIC, messages.minimal_response, messages.minimal_stream
)
PAGES[b"/v1/embeddings"] = EmbeddingsPage(
    OPENAI, responses.minimal_response, responses.minimal_stream
)
NO_PAGE = PAGES[b"/v1/messages"]
"""Whose errors are for what is not served at all, if the host does not say it."""
_MODELS = b"/v1/models"


def models_asked_for(request: RequestHead) -> Whole | None:
    """Answer a GET of models, or of one; None if a request asks for something else.

    Two vendors share the path: the host says whose it is, and where it is neither's, whether the
    client names a version of the API, as Anthropic's do.
    """
    path = request.target.partition(b"?")[0]
    if request.method not in (b"GET", b"HEAD") or not (path + b"/").startswith(_MODELS + b"/"):
        return None
    name = unquote(path[len(_MODELS) :].strip(b"/").decode("ascii", "replace"))
    named = request.has_header(b"anthropic-version")
    anthropic = {"anthropic": True, "openai": False}.get(_provider_at(request).name, named)
    return Whole(models(name, anthropic=anthropic))


def nothing_at(request: RequestHead) -> Page:
    """Return whose errors are for a path that is not served."""
    return PAGES[b"/v1/responses"] if _provider_at(request) is OPENAI else NO_PAGE


def _provider_at(request: RequestHead) -> Provider:
    """Return the API of the host that a request names."""
    host = find_header(request.headers, b"host") or b""
    try:
        return provider_for(Authority.parse(host.decode("ascii"), HTTPS_PORT).host, "/")
    except ValueError:  # it names none
        return provider_for("", "/")


_BASE = re.compile(rb"\A(?:/v1(?=/))*")


def page_of(path: bytes) -> Page | None:
    """Return what is at a path, with ``/v1`` before it, without it, or with it twice.

    Base URLs of some clients end in it, and those of others do not.
    """
    return PAGES.get(_BASE.sub(b"/v1", path))


def too_large(fields: Fields) -> Whole:
    """Return what the edge in front of Anthropic's API says, in a shape of its own."""
    page = ANTHROPIC.pages["too-large"]
    return Whole(page.body(fields), page.status)
