"""The fake API's endpoints and their responses, as values: a JSON document, or a list of events.

`fake_api` sends them. The documents are those of `faultinject.providers`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from attrs import evolve, frozen

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.http.message import Headers, RequestHead, find_header
from faultinject.providers.anthropic import messages
from faultinject.providers.anthropic.api import PROVIDER as ANTHROPIC
from faultinject.providers.documents import compact, words
from faultinject.providers.known import provider_for
from faultinject.providers.openai import PROVIDER as OPENAI
from faultinject.providers.openai import chat, responses
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform
from faultinject.proxy.upstream.fake.agent_loop import with_harmless_tool

MODEL = "fake-model"
"""The only model in the list. Requests may name any other."""
_CREATED = 1_735_689_600  # 2025-01-01
DIMENSIONS = 1536
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048
"""How many inputs OpenAI takes at once."""


def models(model: str, *, anthropic: bool) -> bytes:
    """Return the model of a name, or the list of models if the name is empty."""
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
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "faultinject"}


def embeddings(request: dict[str, Any], model: str) -> bytes:
    """Return a vector for each input. The same input gets the same vector, of length 1.

    One number in a vector is 1, the others are 0. Raises `ValueError` for a request that the API
    refuses.
    """
    inputs, count = _inputs(request.get("input")), request.get("dimensions", DIMENSIONS)
    if not isinstance(count, int) or not 1 <= count <= MOST_DIMENSIONS:
        raise ValueError(f"'dimensions' must be an integer of 1 to {MOST_DIMENSIONS}")
    vector = _as_base64 if request.get("encoding_format") == "base64" else _as_numbers
    parts = (
        b'{"object":"embedding","index":%d,"embedding":%b}'
        % (index, vector(_one_position(text, count), count))
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


def _one_position(text: Any, count: int) -> int:
    """Return the position of the 1 in an input's vector."""
    return int.from_bytes(hashlib.blake2b(compact(text), digest_size=8).digest()) % count


@frozen(eq=False, repr=False)
class JsonResponse:
    """A response with a JSON document."""

    body: bytes
    status: int = 200
    headers: Headers = ()


@frozen(eq=False, repr=False)
class EventStreamResponse:
    """A response that is a stream; each event is sent as one chunk, with a pause between them."""

    events: tuple[bytes, ...]
    content_type: str = "text/event-stream; charset=utf-8"


FakeResponse = JsonResponse | EventStreamResponse


@frozen(eq=False, repr=False)
class FakeEndpoint:
    """A path of the fake API: which provider it belongs to, and how it makes responses."""

    provider: Provider
    whole: Callable[[ApiRequest, Fields, Uniform, str], bytes]
    streamed: Callable[[ApiRequest, Fields, Uniform, str], list[bytes]]

    def respond(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> FakeResponse:
        """Return a response with a text or a tool call, as one document or as a stream.

        If the request does not demand a call, `with_harmless_tool` chooses one, or none.
        """
        api_request = ApiRequest("", with_harmless_tool(request))
        if api_request.stream:
            return EventStreamResponse(tuple(self.streamed(api_request, fields, uniform, text)))
        return JsonResponse(self.whole(api_request, fields, uniform, text))

    def error(self, status: int, message: str, fields: Fields) -> JsonResponse:
        """Return an error document in the provider's words."""
        failure = Failure(status, message=message)
        return JsonResponse(self.provider.error_body(failure, fields), status)

    def too_large(self, fields: Fields) -> JsonResponse:
        """Return the error for a body that is too large; Anthropic's edge has a form of its own."""
        if self.provider is not ANTHROPIC:
            return self.error(413, "Request Entity Too Large", fields)
        page = ANTHROPIC.pages["too-large"]
        return JsonResponse(page.body(fields), page.status)


@frozen(eq=False, repr=False)
class CountTokensEndpoint(FakeEndpoint):
    """Counts the tokens of a request, as Anthropic does."""

    def respond(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> FakeResponse:
        """Answer with their number, nearly enough."""
        return JsonResponse(
            self.whole(ApiRequest("/v1/messages/count_tokens", request), fields, uniform, text)
        )


@frozen(eq=False, repr=False)
class EmbeddingsEndpoint(FakeEndpoint):
    """Turns texts into vectors, as OpenAI does."""

    def respond(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> FakeResponse:
        """Return vectors, or an error if the input is not valid."""
        del uniform, text
        try:
            return JsonResponse(embeddings(request, ApiRequest("", request).model))
        except ValueError as error:
            return self.error(400, str(error), fields)


@frozen(eq=False, repr=False)
class ShapeEndpoint(FakeEndpoint):
    """Any other path of which it is known what is spoken there.

    It is made for one request, for the path says what most say in their body.
    """

    host: str
    path: str
    query: str

    def respond(
        self, request: dict[str, Any], fields: Fields, uniform: Uniform, text: str
    ) -> FakeResponse:
        """Return the smallest response, as one document or as a stream."""
        del text
        shape = self.provider.shape_of(self.path)
        document = with_harmless_tool(request, shape.name)
        asked = self.provider.api_request(self.path, document, self.host, self.query)
        if not asked.stream:
            return JsonResponse(self.whole(asked, fields, uniform, ""))
        stream = shape.requested_stream(asked)
        events = tuple(stream.minimal(asked, fields, uniform))
        return EventStreamResponse(events, stream.content_type)


def _shape_endpoint(request: RequestHead) -> FakeEndpoint | None:
    """Return the endpoint for a path of which it is known what an API speaks there."""
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    host = host_of(request)
    provider = provider_for(host, path)
    if provider in _OWN:  # ChatGPT's path, and Copilot's
        is_responses = provider.has_host(host) and path.endswith("/responses")
        return ENDPOINTS[b"/v1/responses"] if is_responses else None
    shape = provider.shape_of(path)
    if path.endswith("/embeddings") and any(each.name == "chat" for each in provider.shapes):
        return evolve(ENDPOINTS[b"/v1/embeddings"], provider=provider)
    if not provider.has_shape(path) and not provider.paths.fullmatch(path):
        return None

    def whole(asked: ApiRequest, fields: Fields, uniform: Uniform, _text: str) -> bytes:
        return shape.minimal_response(asked, fields, uniform)

    return ShapeEndpoint(provider, whole, lambda *_: [], host, path, query)


ENDPOINTS = {
    b"/v1/messages": FakeEndpoint(ANTHROPIC, messages.minimal_response, messages.minimal_stream),
    b"/v1/chat/completions": FakeEndpoint(OPENAI, chat.minimal_response, chat.minimal_stream),
    b"/v1/responses": FakeEndpoint(OPENAI, responses.minimal_response, responses.minimal_stream),
}
ENDPOINTS[b"/v1/messages/count_tokens"] = CountTokensEndpoint(
    ANTHROPIC, messages.minimal_response, messages.minimal_stream
)
ENDPOINTS[b"/v1/embeddings"] = EmbeddingsEndpoint(
    OPENAI, responses.minimal_response, responses.minimal_stream
)
DEFAULT_ENDPOINT = ENDPOINTS[b"/v1/messages"]
"""Sends the errors for unknown paths of hosts that belong to no provider."""
_MODELS = re.compile(rb"(?:/api|/openai)?(?:/v1)?/models((?:/.*)?)", re.DOTALL)
"""Where the APIs that are shaped like OpenAI's list their models."""


def models_response(request: RequestHead) -> JsonResponse | None:
    """Return the response to a GET of one model or of all; None for any other request.

    Two providers share the path. The host decides between them; for other hosts it is Anthropic's
    if the request has an ``anthropic-version``.
    """
    path = request.target.partition(b"?")[0]
    found = _MODELS.fullmatch(path)
    if request.method not in (b"GET", b"HEAD") or found is None:
        return None
    name = unquote(found[1].strip(b"/").decode("ascii", "replace"))
    has_version = request.has_header(b"anthropic-version")
    anthropic = {"anthropic": True, "openai": False}.get(_provider_of(request).name, has_version)
    return JsonResponse(models(name, anthropic=anthropic))


def endpoint_for_errors(request: RequestHead) -> FakeEndpoint:
    """Return the endpoint whose errors fit a path that is not served."""
    provider = _provider_of(request)
    if provider.name in ("anthropic", "plain"):
        return DEFAULT_ENDPOINT
    return evolve(ENDPOINTS[b"/v1/responses"], provider=provider)


def _provider_of(request: RequestHead) -> Provider:
    """Return the provider of the host that a request names."""
    return provider_for(host_of(request), "/")


def host_of(request: RequestHead) -> str:
    """Return the host that a request names; empty if it names none that is valid."""
    host = find_header(request.headers, b"host") or b""
    try:
        return Authority.parse(host.decode("ascii"), HTTPS_PORT).host
    except ValueError:
        return ""


_BASE = re.compile(rb"\A(?:/v1(?=/))*")


def endpoint_for(request: RequestHead) -> FakeEndpoint | None:
    """Return the endpoint at a request's path; None if nothing is known of the path.

    ``/v1`` may be missing, or there more than once: some clients' base URLs end in it, and others'
    do not.
    """
    own = ENDPOINTS.get(_BASE.sub(b"/v1", request.target.partition(b"?")[0]))
    return own if own is not None and _provider_of(request) in _OWN else _shape_endpoint(request)


_OWN = (ANTHROPIC, OPENAI, provider_for("", "/"))
"""The APIs that the endpoints above are of, and any host that is nobody's."""
