"""A fake API, served over any stream: what a program gets when nothing fails.

It answers each path of which it is known what is spoken there (`faultinject.providers`), as one
document or streamed, also to pages in browsers; it lists models, makes vectors of texts, and plays
an MCP server. No model is asked: the text is always the same, and a program that offers tools gets
a tool call first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate

import trio
from attrs import define, evolve, field

from faultinject.authority import Authority
from faultinject.errors import ClientGoneError, ClientProtocolError
from faultinject.events import Listener, Warned
from faultinject.http.coding import content_codings, decoded
from faultinject.http.cors import is_preflight, permissive_headers, preflight_headers
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.h1.framing import UPGRADE_TO_HTTP
from faultinject.http.headers import asks_for_websocket
from faultinject.http.message import CONTINUE, End, Headers, RequestHead, ResponseHead
from faultinject.net.memory_stream import memory_stream_pair
from faultinject.net.streams import CloseMode, close
from faultinject.providers.anthropic.errors import reason_phrase
from faultinject.providers.mcp import PROVIDER as MCP
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.fake.fake_answer import (
    DEFAULT_ENDPOINT,
    FakeEndpoint,
    FakeResponse,
    JsonResponse,
    endpoint_for,
    endpoint_for_errors,
    models_response,
)
from faultinject.proxy.upstream.fake.fake_mcp import mcp_response
from faultinject.proxy.upstream.pool import Dial
from faultinject.rules import Draws
from faultinject.settings import Limits

TEXT = (
    "This is the fake API of faultinject: no model was asked, and nothing left this machine."
    " Your program gets this answer when nothing fails."
)
GAP_SECONDS = 0.04
"""Slow enough that a reader sees the stream arrive, as from a fast model."""


@define(eq=False, repr=False)
class FakeApi:
    """Serves the API on any number of streams."""

    text: str = TEXT
    """The text of every response."""
    gap_seconds: float = GAP_SECONDS
    """The time between two events of a stream."""
    limits: Limits = field(factory=Limits)
    request_count: int = 0
    """How many requests have come so far."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer a client's requests until it leaves or sends invalid HTTP. Closes the stream."""
        async with stream:
            client = ClientConnection(stream, head_bytes=self.limits.head_bytes)
            try:
                await self._serve(client)
            except ClientGoneError:
                return
            await close(stream, CloseMode.CLEAN if client.request_ended else CloseMode.LINGER)

    async def _serve(self, client: ClientConnection) -> None:
        try:
            while (request := await client.receive_request()) is not None:
                await self._exchange(client, request)
                if not client.next_cycle():
                    return
        except ClientProtocolError as error:
            exchange = self._begin(client)
            await exchange.refuse(error.status, str(error), last=True)

    async def _exchange(self, client: ClientConnection, request: RequestHead) -> None:
        endpoint, most_bytes = endpoint_for(request), self.limits.drained_body_bytes
        exchange = self._begin(client, endpoint or endpoint_for_errors(request), request)
        body = await exchange.body(most_bytes)
        if body is None:
            await exchange.send(exchange.endpoint.too_large(exchange.fields), last=True)
        elif is_preflight(request):
            await exchange.allow_cors()
        elif asks_for_websocket(request):
            await exchange.refuse(426, "WebSocket is not offered here: ask again without Upgrade.")
        elif (answer := mcp_response(request, body, exchange.fields, most_bytes)) is not None:
            exchange.endpoint = evolve(exchange.endpoint, provider=MCP)
            await exchange.send(answer, self.gap_seconds)
        elif (models := models_response(request)) is not None:
            await exchange.send(models)
        elif endpoint is None:
            await exchange.refuse(404, "The requested resource could not be found.")
        elif request.method != b"POST":
            await exchange.refuse(405, "Method Not Allowed")
        else:
            await self._respond(exchange, body)

    async def _respond(self, exchange: _Exchange, body: bytes) -> None:
        try:
            codings = content_codings(exchange.request.headers)
            if codings:
                body = decoded(body, codings, self.limits.drained_body_bytes)
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            await exchange.refuse(400, f"The request body is not valid JSON: {error}")
            return
        if not isinstance(request, dict):
            await exchange.refuse(400, "The request body is not a JSON object")
            return
        response = exchange.endpoint.respond(request, exchange.fields, exchange.uniform, self.text)
        await exchange.send(response, self.gap_seconds)

    def _begin(
        self,
        client: ClientConnection,
        endpoint: FakeEndpoint = DEFAULT_ENDPOINT,
        request: RequestHead | None = None,
    ) -> _Exchange:
        """Count a request; its number decides the random values in its response."""
        self.request_count += 1
        uniform = Draws(0, "fake API", self.request_count).uniform
        fields = endpoint.provider.draw_fields(uniform, time.time(), ApiRequest(""))
        return _Exchange(client, endpoint, request or _UNREADABLE, fields, uniform)


_UNREADABLE = RequestHead(b"", b"", ())
"""Stands for a request that could not be read."""


@define(eq=False, repr=False)
class _Exchange:
    """One request and its response on the client's connection."""

    client: ClientConnection
    endpoint: FakeEndpoint
    request: RequestHead
    fields: Fields
    uniform: Uniform

    async def body(self, most_bytes: int) -> bytes | None:
        """Read the request's body; None if it is longer than ``most_bytes``."""
        body = bytearray()
        if self.client.waits_for_continue:
            await self.client.send(CONTINUE)
        ended = False
        while not ended and len(body) <= most_bytes:
            parts = await self.client.receive()
            body += b"".join(part for part in parts if isinstance(part, bytes))
            ended = isinstance(parts[-1], End)
        return bytes(body) if len(body) <= most_bytes else None

    async def refuse(self, status: int, message: str, *, last: bool = False) -> None:
        """Send an error; ``last`` closes the connection after it."""
        await self.send(self.endpoint.error(status, message, self.fields), last=last)

    async def allow_cors(self) -> None:
        """Answer a CORS preflight: any page may send any request."""
        headers = ((b"Date", formatdate(usegmt=True).encode()), *preflight_headers(self.request))
        await self.client.send(ResponseHead(204, b"No Content", headers), End())

    async def send(
        self, response: FakeResponse, gap_seconds: float = 0.0, *, last: bool = False
    ) -> None:
        """Send a response; ``last`` closes the connection after it."""
        head = _head(response, self._told(response), close=last)
        if self.request.has_header(b"origin"):
            head = evolve(head, headers=(*head.headers, *permissive_headers(self.request)))
        if isinstance(response, JsonResponse):
            body = () if self.request.method == b"HEAD" else (response.body,)
            await self.client.send(head, *body, End())
            return
        await self.client.send(head)
        for number, event in enumerate(response.events):
            if number:
                await trio.sleep(gap_seconds)
            await self.client.send(event)
        await self.client.send(End())

    def _told(self, response: FakeResponse) -> Headers:
        """Return the id of the request and the limits, if the API tells them in such a response."""
        provider, fields, status = self.endpoint.provider, self.fields, _status(response)
        name, tells = provider.request_id_header, provider.tells_limits(status)
        limits = provider.rate_limit_headers(Failure(status), fields) if tells else ()
        return limits if name is None else ((name, fields.request_id.encode()), *limits)


def _status(response: FakeResponse) -> int:
    return response.status if isinstance(response, JsonResponse) else 200


def _head(response: FakeResponse, told: Headers, *, close: bool) -> ResponseHead:
    """Return the head of a response, with the headers in the API's order and case."""
    status = _status(response)
    headers = [
        (b"Date", formatdate(usegmt=True).encode()),
        *_body_headers(response),
        *(response.headers if isinstance(response, JsonResponse) else ()),
        (b"Connection", b"close" if close else b"keep-alive"),
        (b"Cache-Control", b"no-cache"),
        *told,
        (b"X-Robots-Tag", b"none"),
        (b"Server", b"faultinject"),
        *(UPGRADE_TO_HTTP if status == 426 else ()),
    ]
    return ResponseHead(status, reason_phrase(status).encode(), tuple(headers))


def _body_headers(response: FakeResponse) -> Headers:
    if isinstance(response, JsonResponse):
        length = b"%d" % len(response.body)
        return ((b"Content-Type", b"application/json"), (b"Content-Length", length))
    return ((b"Content-Type", response.content_type.encode()), (b"Transfer-Encoding", b"chunked"))


@define(eq=False, repr=False)
class FakeUpstream:
    """Dials the fake API for targets.

    Its connections are served in the given nursery, until the caller closes them or the nursery is
    cancelled. A bug in the fake API ends one connection and is reported as a warning.
    """

    _nursery: trio.Nursery
    _is_target: Callable[[Authority], bool]
    _dial_other: Dial
    _listener: Listener
    _api: FakeApi = field(factory=FakeApi)

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection that is ready for HTTP. Raises `UpstreamError` for other origins."""
        if not self._is_target(origin.authority):
            return await self._dial_other(origin)
        await trio.lowlevel.checkpoint()
        near, far = memory_stream_pair()
        self._nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            async with stream:
                await self._api.serve(stream)
        except Exception as error:  # noqa: BLE001 - as a session's, it must not end the others
            words = f"a defect in the fake API: {type(error).__name__}: {error}"
            self._listener(Warned(time=time.time(), message=words))
