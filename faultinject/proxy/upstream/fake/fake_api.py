"""A fake API, served over any stream: what a program gets when nothing fails.

It answers Anthropic's Messages API and, as far as clients need it, OpenAI's Chat Completions and
Responses, whole or streamed, to pages in browsers too, and says which models there are. No model
is asked: it always says the same, but for the first answer to a program that offers tools. Knows
nothing of the proxy and of where its streams come from.
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
from faultinject.http.cors import allowing, allowing_call, is_preflight
from faultinject.http.h1.connection import CONTINUE, ClientConnection
from faultinject.http.headers import UPGRADE_TO_HTTP, asks_for_websocket
from faultinject.http.message import End, Headers, RequestHead, ResponseHead
from faultinject.net.memory_stream import memory_stream_pair
from faultinject.net.streams import CloseMode, close
from faultinject.providers.anthropic.errors import reason_phrase
from faultinject.providers.provider import Asked, Fields, Uniform
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.fake.fake_answer import (
    NO_PAGE,
    Answer,
    Page,
    Whole,
    models_asked_for,
    nothing_at,
    page_of,
    too_large,
)
from faultinject.proxy.upstream.pool import Dial
from faultinject.rules import Draws
from faultinject.settings import Limits

TEXT = (
    "This is the fake API of faultinject: no model was asked, and nothing left this machine."
    " Your program gets this answer when nothing fails."
)
GAP_SECONDS = 0.04
"""A pace at which a reader sees a stream come, as that of a quick model."""


@define(eq=False)
class FakeApi:
    """Serves the API; one value may serve any number of streams."""

    text: str = TEXT
    """What it says."""
    gap_seconds: float = GAP_SECONDS
    """The time between two events of a stream."""
    limits: Limits = field(factory=Limits)
    asked: int = 0
    """How many requests have come so far."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer a client's requests until it leaves or breaks HTTP. Closes the stream."""
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
        page = page_of(request.target.partition(b"?")[0])
        exchange = self._begin(client, page or nothing_at(request), request)
        body = await exchange.body(self.limits.drained_body_bytes)
        if body is None:
            await exchange.send(too_large(exchange.fields), last=True)
        elif is_preflight(request):
            await exchange.allow()
        elif asks_for_websocket(request):
            await exchange.refuse(426, "WebSocket is not offered here: ask again without Upgrade.")
        elif (models := models_asked_for(request)) is not None:
            await exchange.send(models)
        elif page is None:
            await exchange.refuse(404, "The requested resource could not be found.")
        elif request.method != b"POST":
            await exchange.refuse(405, "Method Not Allowed")
        else:
            await self._answer(exchange, body)

    async def _answer(self, exchange: _Exchange, body: bytes) -> None:
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
        answer = exchange.page.answer(request, exchange.fields, exchange.uniform, self.text)
        await exchange.send(answer, self.gap_seconds)

    def _begin(
        self, client: ClientConnection, page: Page = NO_PAGE, request: RequestHead | None = None
    ) -> _Exchange:
        """Count a request; its number decides what is drawn for its answer."""
        self.asked += 1
        uniform = Draws(0, "fake API", self.asked).uniform
        fields = page.provider.draw_fields(uniform, time.time(), Asked(""))
        return _Exchange(client, page, request or _UNREAD, fields, uniform)


_UNREAD = RequestHead(b"", b"", ())
"""Stands for a request that could not be read."""


@define(eq=False)
class _Exchange:
    """One request, and its answer on the client's connection."""

    client: ClientConnection
    page: Page
    request: RequestHead
    fields: Fields
    uniform: Uniform

    async def body(self, most_bytes: int) -> bytes | None:
        """Read the request's body; None if it is larger."""
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
        """Answer with an error; ``last`` makes it the connection's last."""
        await self.send(self.page.error(status, message, self.fields), last=last)

    async def allow(self) -> None:
        """Answer a CORS preflight: any page may ask what it wants."""
        headers = ((b"Date", formatdate(usegmt=True).encode()), *allowing_call(self.request))
        await self.client.send(ResponseHead(204, b"No Content", headers), End())

    async def send(self, answer: Answer, gap_seconds: float = 0.0, *, last: bool = False) -> None:
        """Send an answer; ``last`` makes it the connection's last."""
        request_id = (self.page.provider.request_id_header, self.fields.request_id.encode())
        head = _head(answer, request_id, close=last)
        if self.request.has_header(b"origin"):
            head = evolve(head, headers=(*head.headers, *allowing(self.request)))
        if isinstance(answer, Whole):
            body = () if self.request.method == b"HEAD" else (answer.body,)
            await self.client.send(head, *body, End())
            return
        await self.client.send(head)
        for number, event in enumerate(answer.events):
            if number:
                await trio.sleep(gap_seconds)
            await self.client.send(event)
        await self.client.send(End())


def _head(answer: Answer, request_id: tuple[bytes, bytes], *, close: bool) -> ResponseHead:
    """Return the head of an answer, its headers in the API's own order and case."""
    status = answer.status if isinstance(answer, Whole) else 200
    headers = [
        (b"Date", formatdate(usegmt=True).encode()),
        *_body_headers(answer),
        (b"Connection", b"close" if close else b"keep-alive"),
        (b"Cache-Control", b"no-cache"),
        request_id,
        (b"X-Robots-Tag", b"none"),
        (b"Server", b"faultinject"),
        *(UPGRADE_TO_HTTP if status == 426 else ()),
    ]
    return ResponseHead(status, reason_phrase(status).encode(), tuple(headers))


def _body_headers(answer: Answer) -> Headers:
    if isinstance(answer, Whole):
        length = b"%d" % len(answer.body)
        return ((b"Content-Type", b"application/json"), (b"Content-Length", length))
    stream = b"text/event-stream; charset=utf-8"
    return ((b"Content-Type", stream), (b"Transfer-Encoding", b"chunked"))


@define(eq=False)
class FakeUpstream:
    """Dials the fake API for targets.

    Its connections are served in the nursery that is given, until the one who dialled closes
    them or the nursery is cancelled. A defect in it ends one connection and is told as a warning.
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
            await self._api.serve(stream)
        except Exception as error:  # noqa: BLE001 - as a session's, it must not end the others
            words = f"a defect in the fake API: {type(error).__name__}: {error}"
            self._listener(Warned(time=time.time(), message=words))
