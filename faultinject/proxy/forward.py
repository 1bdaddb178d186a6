"""The upstream as the source of a response: sends it the request, and receives what it answers.

Two tasks: one sends the request and then watches the client, so that the upstream's work ends at
once if the client leaves; the other receives the response. Nothing is buffered, but what comes of a
request while a fault delays it. If the response ends before the request, the rest of the request is
still forwarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import trio
from attrs import define, field

from faultinject.errors import UnansweredError, UpstreamError
from faultinject.http.exchange_sides import BodyPiece, UpstreamExchange
from faultinject.http.headers import HopByHopFilter, wrong_switch
from faultinject.http.message import End, Part, RequestHead, ResponseHead, body_size
from faultinject.net.streams import LINGER_SECONDS
from faultinject.net.tasks import run_with_watcher
from faultinject.providers.shape import tail_of
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.pump import ResponseSource
from faultinject.proxy.traffic_copy import BODY_BYTES, CopyRoom
from faultinject.proxy.upstream.dial import Origin

_REMEMBERED_BYTES = 1024 * 1024
"""How much of a request is kept while it may have to be sent again on another connection."""

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Methods whose request may be repeated though it may have been acted on (RFC 9110 section 9.2.2).
"""


@define(eq=False, repr=False)
class _Sent:
    """What was sent of a request that may have to be sent again; nothing if that is too much."""

    parts: list[Part] | None = field(factory=list)
    size: int = 0

    def add(self, parts: tuple[Part, ...]) -> None:
        if self.parts is None:
            return
        self.parts.extend(parts)
        self.size += body_size(parts)
        if self.size > _REMEMBERED_BYTES:
            self.parts = None


@define(eq=False, repr=False)
class UpstreamSource(ResponseSource):
    """The upstream's response to one request. Its connection is the lease's."""

    exchange: Exchange
    request: RequestHead
    origin: Origin
    received: tuple[Part, ...] = ()
    """What was read of the request's body already."""
    _ahead_bytes: int = field(default=0, init=False)
    """How much of it was received ahead."""
    _lent: UpstreamExchange | None = field(default=None, init=False)
    """The lease's connection, while it is lent."""
    _asked: RequestHead = field(init=False)
    """The request as the upstream is sent it."""
    _up: HopByHopFilter = field(factory=HopByHopFilter, init=False)
    _down: HopByHopFilter = field(factory=HopByHopFilter, init=False)
    _is_reused: bool = field(default=False, init=False)
    """Whether the upstream's connection was used before, so that it may just have ended."""
    _sent: _Sent | None = field(default=None, init=False)
    """What may have to be sent again, until an answer has begun."""
    _last: Part = field(init=False)
    """The last part of the request that was sent."""
    _request_ended: trio.Event | None = field(default=None, init=False)
    """Set when the request has been sent to its end; there only if that is waited for."""
    _watch_at: float | None = field(default=None, init=False)
    """When the client has to be watched, once the answer is waited for."""
    _upstream_stopped_reading: bool = field(default=False, init=False)
    _answer_began: bool = field(default=False, init=False)
    _answer_ended: bool = field(default=False, init=False)

    @property
    def upstream(self) -> UpstreamExchange:
        """The upstream's connection, once it was opened."""
        return cast("UpstreamExchange", self._lent)

    async def release(self, *, is_good: bool = True) -> None:
        """Give the upstream's connection back, if there is one; it is closed unless it is good."""
        self._forget_ahead()
        lent, self._lent = self._lent, None
        if lent is not None:
            lease = self.exchange.lease
            await (lease.release(lent) if is_good else lease.discard(lent))

    # The request's way

    async def receive_ahead(self) -> None:
        """Receive the request before the upstream is asked, so that it is known what it asks for.

        That is `BODY_BYTES` at most, less if there is no room, and no more than the client sends
        unasked. It may be cancelled at any time: what has come is sent when the source is opened.
        """
        if self.received:
            return  # for a rule
        client, piece, room = self.exchange.client, BodyPiece(), self._room
        parts = client.buffered_parts()
        try:
            while True:
                piece.add(parts)
                room.left_bytes -= len(piece) - self._ahead_bytes
                self._ahead_bytes = len(piece)
                if piece.ended or len(piece) > BODY_BYTES or room.left_bytes < 0:
                    return
                parts = await client.receive()
        finally:
            self.received = tuple(piece.parts)

    @property
    def _room(self) -> CopyRoom:
        """What all requests that are delayed may take together."""
        return self.exchange.session.runtime.delay_room

    def _forget_ahead(self) -> None:
        """Give back the room of what was received ahead: it was sent, or nobody will send it."""
        self.received = ()
        self._room.left_bytes += self._ahead_bytes
        self._ahead_bytes = 0

    async def open(self) -> None:
        """Send the request, as far as it has come."""
        lease = self.exchange.lease
        self._lent = await lease.open(self.origin)
        self._is_reused = self._lent.was_used and lease.redials
        if lease.pacing is not None:
            await lease.pacing.begin_upload(self.request)
        if self._is_reused and self.request.method in _IDEMPOTENT:
            self._sent = _Sent()
        first: tuple[Part, ...] = (self.request, *self.received)
        if not isinstance(first[-1], End):
            first += tuple(self.exchange.client.buffered_parts())
        self._asked = self._up.filter(self.request)
        await self._begin((self._asked, *map(self._up.filter, first[1:])))
        self._forget_ahead()

    async def open_again(self, error: UpstreamError) -> None:
        """Send the request on a new connection, if none of the answer has come on an old one.

        An old connection may have been ended by the upstream while our request was on its way (RFC
        9112 section 9.3.1): nothing was answered.
        """
        if not self._is_reused or error.kind != "disconnected":
            raise error
        if self._answer_began or self.upstream.unread:
            raise error
        if self._sent is None or self._sent.parts is None:
            raise _unanswered(self.request, error) from error
        again, self._sent, self._is_reused = tuple(self._sent.parts), None, False
        await self.release(is_good=False)
        self._lent = await self.exchange.lease.open(self.origin, fresh=True)
        await self._begin(again)

    async def _begin(self, first: tuple[Part, ...]) -> None:
        self._upstream_stopped_reading = False
        await self._send_up(first)
        if isinstance(self._last, End):
            self._end_upload()
        self._watch_at = None

    def _end_upload(self) -> None:
        if (pacing := self.exchange.pacing) is not None:
            pacing.end_upload()

    async def meanwhile(self) -> None:
        """Send what follows the last part that was sent, then watch the client."""
        while not isinstance(self._last, End):
            parts = await self.exchange.client.receive()
            await self._send_up(tuple(map(self._up.filter, parts)))
        self._end_upload()
        if self._request_ended is not None:
            self._request_ended.set()
        await self.exchange.watch()

    async def _send_up(self, parts: tuple[Part, ...]) -> None:
        if self._sent is not None:
            self._sent.add(parts)
        if not self._upstream_stopped_reading:
            seconds = self.exchange.limits.idle_seconds
            self.exchange.timeout.reset("the upstream to answer", seconds)
            try:
                await self.upstream.send(*parts)
            except UpstreamError:
                # It may have answered before it stopped reading, as for a body that is too
                # large: the response decides. The rest of the body is read and discarded.
                self._upstream_stopped_reading = True
        self._last = parts[-1]
        if self._answer_ended:
            self._expect_rest()

    # The response's way

    async def receive_at_once(self) -> list[Part] | None:
        """Receive, if the request was sent and the answer comes so fast."""
        if not isinstance(self._last, End):
            return None
        if self._watch_at is not None and trio.current_time() >= self._watch_at:
            return None
        first_wait = self.exchange.lease.first_waits.on(self.upstream.bottom)
        if self._watch_at is None:
            self._watch_at = first_wait.deadline
        with first_wait:
            return await self.receive()
        return None

    async def receive(self) -> list[Part]:
        """Wait for the next parts; see the base class."""
        parts = await self.upstream.receive()
        if not parts:
            raise UpstreamError("disconnected", "the upstream ended the connection unasked")
        self._sent, self._answer_began = None, True
        if not isinstance(parts[-1], End):
            self.exchange.timeout.reset("the upstream to go on", self.exchange.limits.idle_seconds)
        for place, part in enumerate(parts):
            if isinstance(part, ResponseHead):
                parts[place] = self._take_head(part)
            elif not isinstance(part, bytes):
                parts[place] = self._down.filter(part)
        return parts

    def _take_head(self, head: ResponseHead) -> ResponseHead:
        """Return a head of the upstream's as it goes on."""
        if wrong := wrong_switch(self._asked, head):
            raise UpstreamError("protocol", f"the answer is not HTTP/1.1: {wrong}")
        head = self._down.filter(head)
        if self.exchange.page is not None:
            self.exchange.page.learn(head)
        return head

    def sent(self, parts: Sequence[Part]) -> None:
        """Remember the tail of a stream, once the client was sent it."""
        for part in parts:
            if isinstance(part, ResponseHead):
                self.exchange.tail = tail_of(part)
                if part.status == 100 and (pacing := self.exchange.pacing) is not None:
                    pacing.body_wanted()
            elif self.exchange.tail is not None and isinstance(part, bytes):
                self.exchange.tail.observe(part)

    # Behind the response

    async def close(self) -> None:
        """Wait for the request's end: an early response does not stop it.

        If the upstream half-closes, so does the proxy at once: the client may wait for that.
        """
        self._answer_ended = True
        if not self._request_may_go_on:
            return
        self._expect_rest()
        request_ended = self._request_ended = trio.Event()

        async def watch(ended: trio.CancelScope) -> None:
            try:
                if await self.upstream.read_more():
                    return  # bytes that nobody asked for
            except UpstreamError:
                self._upstream_stopped_reading = True
            ended.cancel()

        await run_with_watcher(watch, request_ended.wait)
        if not request_ended.is_set() and self.exchange.client.response_started:
            await self.exchange.client.end_sending()
            self._expect_rest()
            await request_ended.wait()

    @property
    def _request_may_go_on(self) -> bool:
        exchange = self.exchange
        if isinstance(self._last, End) or exchange.status == 101 or exchange.ending is not None:
            return False
        return not exchange.client.waits_for_continue  # else it has no final answer yet

    def _expect_rest(self) -> None:
        """Set the time limit for the rest of a request that has its response."""
        nobody_cares = self._upstream_stopped_reading and self.exchange.client.ended
        seconds = LINGER_SECONDS if nobody_cares else self.exchange.limits.idle_seconds
        self.exchange.timeout.reset("the rest of a request", seconds)


def _unanswered(request: RequestHead, error: UpstreamError) -> UnansweredError:
    method = request.method.decode("ascii")
    why = f"{method} is not idempotent"
    if request.method in _IDEMPOTENT:
        why = f"it has more than {_REMEMBERED_BYTES} bytes"
    unanswered = UnansweredError(str(error), why)
    unanswered.was_reset = error.was_reset
    return unanswered
