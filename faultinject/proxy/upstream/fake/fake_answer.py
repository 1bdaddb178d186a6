"""What the fake API answers, as values: a whole body, or events that come one by one.

The documents are those of `faultinject.providers`. Knows nothing of how they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.http.message import RequestHead, find_header
from faultinject.providers import provider_for
from faultinject.providers.anthropic import PROVIDER as ANTHROPIC
from faultinject.providers.anthropic import messages
from faultinject.providers.documents import demands_call
from faultinject.providers.openai import PROVIDER as OPENAI
from faultinject.providers.openai import chat, responses
from faultinject.providers.provider import Asked, Failure, Fields, Provider, Uniform
from faultinject.proxy.upstream.fake import pages
from faultinject.proxy.upstream.fake.agent_loop import offer_to_call


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
            return Whole(pages.embeddings(request, Asked("", request).model))
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
    return Whole(pages.models(name, anthropic=anthropic))


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
