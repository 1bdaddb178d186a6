"""Forwards one request to the upstream and its response to the client, piece by piece.

Two tasks: one sends the request and then watches the client, so that the upstream's work ends at
once if the client leaves; the other receives the response. Nothing is buffered. If the response
ends before the request, the rest of the request is still forwarded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from faultinject.errors import (
    ClientGoneError,
    ClientProtocolError,
    UnansweredError,
    UpstreamError,
)
from faultinject.http.h1.connection import ClientConnection, UpstreamConnection
from faultinject.http.headers import HopByHopFilter, wrong_switch
from faultinject.http.message import End, Part, RequestHead, ResponseHead, body_size
from faultinject.net.streams import LINGER_SECONDS
from faultinject.net.tasks import run_with_watcher
from faultinject.net.timeouts import Timeout
from faultinject.providers.framing import Tail
from faultinject.providers.shape import tail_of
from faultinject.proxy.disconnect import ClientWatch
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease
from faultinject.settings import Limits

_REMEMBERED_BYTES = 1024 * 1024
"""How much of a request is kept while it may have to be sent again on another connection."""

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Methods whose request may be repeated though it may have been acted on (RFC 9110 section 9.2.2).
"""


@define(eq=False)
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


@define(eq=False)
class Forwarding:
    """Forwards one request. Both connections are borrowed; the upstream's is the lease's."""

    client: ClientConnection
    lease: Lease
    timeout: Timeout
    limits: Limits
    fault_filter: FaultFilter | None = None
    """Sends the response to the client, if there is a plan for it; else it is sent as it is."""
    on_head: Callable[[ResponseHead], None] | None = None
    """Called with each head that the upstream sends."""
    before_last: Callable[[ResponseHead | None], Awaitable[None]] | None = None
    """Called with the response's head before its last bytes are sent."""
    on_gone: Callable[[ResponseHead | None], None] | None = None
    """Called with the head that the client was sent, if any, when the client has left."""
    head: ResponseHead | None = None
    """The head of the response that the client was sent."""
    on_answer: Callable[[], None] | None = None
    """Called when the response is complete; the request may not be."""
    status: int | None = None
    """The status that the client was sent."""
    stream_tail: Tail | None = None
    """The last that the client was sent of a stream of server-sent events."""
    _request: RequestHead = field(init=False)
    """As the upstream is sent it."""
    _watch: ClientWatch | None = None
    """The watch over the client, once it is needed: a short exchange does without."""
    _up: HopByHopFilter = field(factory=HopByHopFilter)
    _down: HopByHopFilter = field(factory=HopByHopFilter)
    _sent: _Sent | None = None
    """What may have to be sent again, until an answer has begun."""
    _upstream_stopped_reading: bool = False
    _answer_began: bool = False
    _answered: bool = False
    _request_over: trio.Event = field(factory=trio.Event)
    _client_failure: ClientGoneError | ClientProtocolError | None = None

    async def run(
        self, request: RequestHead, origin: Origin, received: tuple[Part, ...] = ()
    ) -> None:
        """Forward the request and the response until both have ended, or a 101 was sent.

        ``received`` is what was read of the request's body already. Raises `UpstreamError`,
        `ClientGoneError`, `ClientProtocolError`; a response may have begun by then
        (`ClientConnection.response_started`).
        """
        if self.fault_filter is not None:
            self._watch = self._new_watch()
            self.fault_filter.client_ended = self._watch.ended
            await self.fault_filter.wait_before_upstream(self._watch)
        reused = await self.lease.acquire(origin)
        await self.lease.begin_upload(request)
        self._sent = _Sent() if reused and request.method in _IDEMPOTENT else None
        first: tuple[Part, ...] = (request, *received)
        if not isinstance(first[-1], End):
            first += tuple(self.client.buffered_parts())
        self._request = self._up.filter(request)
        first = (self._request, *map(self._up.filter, first[1:]))
        try:
            await self._exchange(first)
        except UpstreamError as error:
            if not reused or error.kind != "disconnected":
                raise
            if self._answer_began or self.lease.borrowed.unread:
                raise
            # An old connection may have been ended by the upstream while our request was on its
            # way (RFC 9112 section 9.3.1): nothing was answered.
            if self._sent is None or self._sent.parts is None:
                raise _unanswered(request, error) from error
            again, self._sent = tuple(self._sent.parts), None
            await self.lease.acquire(origin, fresh=True)
            await self._exchange(again)

    async def _exchange(self, first: tuple[Part, ...]) -> None:
        upstream = self.lease.borrowed
        self._upstream_stopped_reading = False
        await self._send_up(upstream, first)
        if isinstance(first[-1], End):
            self._end_request()
        is_plain = self.fault_filter is None  # a plan takes its time, and the client may leave
        if is_plain and isinstance(first[-1], End) and await self._answered_at_once(upstream):
            return
        await run_with_watcher(
            lambda ended: self._carry_request(upstream, first[-1], ended),
            lambda: self._carry_response(upstream),
        )
        if self._client_failure is not None and (self.on_answer is None or not self._answered):
            raise self._client_failure

    async def _answered_at_once(self, upstream: UpstreamConnection) -> bool:
        """Receive the response; return False if it takes so long that the client must be watched.

        A second task costs as much as the rest of a short exchange.
        """
        deadline = trio.current_time() + self.lease.watch_after_seconds
        while True:
            with trio.CancelScope(deadline=deadline) as scope:
                parts = await upstream.receive()
            if scope.cancelled_caught:
                return False
            if await self._pass_on(parts):
                self._end_answer()
                return True

    def _new_watch(self) -> ClientWatch:
        return ClientWatch(self.client, self.lease, self.limits, self._client_left)

    def _client_left(self) -> None:
        if self.on_gone is not None:
            self.on_gone(self.head)

    # The request's way

    async def _carry_request(
        self, upstream: UpstreamConnection, last: Part, ended: trio.CancelScope
    ) -> None:
        """Send what follows the last part that was sent, then watch the client."""
        try:
            while not isinstance(last, End):
                parts = tuple(map(self._up.filter, await self.client.receive()))
                await self._send_up(upstream, parts)
                last = parts[-1]
            self._end_request()
            await (self._watch or self._new_watch()).run()
        except (ClientGoneError, ClientProtocolError) as error:
            self._client_failure = error
            ended.cancel()

    async def _send_up(self, upstream: UpstreamConnection, parts: tuple[Part, ...]) -> None:
        if self._sent is not None:
            self._sent.add(parts)
        if not self._upstream_stopped_reading:
            self.timeout.reset("the upstream to answer", self.limits.idle_seconds)
            try:
                await upstream.send(*parts)
            except UpstreamError:
                # It may have answered before it stopped reading, as for a body that is too
                # large: the response decides. The rest of the body is read and discarded.
                self._upstream_stopped_reading = True
        if self._answered:
            self._expect_rest()

    def _end_request(self) -> None:
        self.lease.end_upload()
        self._request_over.set()

    # The response's way

    async def _carry_response(self, upstream: UpstreamConnection) -> None:
        if self.fault_filter is None:
            while not await self._pass_on(await upstream.receive()):
                pass
        else:
            while not await self._filter_next(self.fault_filter, upstream):
                pass
        self._end_answer()
        if self._request_may_go_on:
            await self._await_request_end(upstream)

    def _end_answer(self) -> None:
        self._answered = True
        if self.on_answer is not None and self.status != 101:
            self.on_answer()

    @property
    def _request_may_go_on(self) -> bool:
        if self._request_over.is_set() or self.status == 101:
            return False
        if self.fault_filter is not None and self.fault_filter.ending is not None:
            return False
        return not self.client.waits_for_continue  # else it has no final answer yet

    async def _await_request_end(self, upstream: UpstreamConnection) -> None:
        """Wait for the request's end: an early response does not stop it.

        If the upstream half-closes, so does the proxy at once: the client may wait for that.
        """
        self._expect_rest()

        async def watch(ended: trio.CancelScope) -> None:
            try:
                if await upstream.read_more():
                    return  # bytes that nobody asked for
            except UpstreamError:
                self._upstream_stopped_reading = True
            ended.cancel()

        await run_with_watcher(watch, self._request_over.wait)
        if not self._request_over.is_set() and self.client.response_started:
            await self.client.end_sending()
            self._expect_rest()
            await self._request_over.wait()

    def _expect_rest(self) -> None:
        """Set the time limit for the rest of a request that has its response."""
        nobody_cares = self._upstream_stopped_reading and self.client.ended
        seconds = LINGER_SECONDS if nobody_cares else self.limits.idle_seconds
        self.timeout.reset("the rest of a request", seconds)

    async def _filter_next(self, fault_filter: FaultFilter, upstream: UpstreamConnection) -> bool:
        """Pass on what is received next, or call a due `tick`; return True at the end."""
        with trio.CancelScope(deadline=fault_filter.wake_at) as until_wake:
            parts = await upstream.receive()
        if until_wake.cancelled_caught:
            return await fault_filter.tick()
        return await self._pass_on(parts)

    async def _pass_on(self, parts: list[Part]) -> bool:
        """Send parts of the response to the client; return True if they were its last."""
        if not parts:
            raise UpstreamError("disconnected", "the upstream ended the connection unasked")
        self._sent, self._answer_began = None, True
        self.timeout.reset("the upstream to go on", self.limits.idle_seconds)
        heads: list[ResponseHead] = []  # mostly one, or none
        for place, part in enumerate(parts):
            if isinstance(part, ResponseHead):
                parts[place] = passed = self._take_head(part)
                heads.append(passed)
            elif not isinstance(part, bytes):
                parts[place] = self._down.filter(part)
        over = await self._send_down(parts, heads)
        self._remember_stream(parts)
        return over

    def _take_head(self, head: ResponseHead) -> ResponseHead:
        """Return a head of the upstream's as it goes on."""
        if wrong := wrong_switch(self._request, head):
            raise UpstreamError("protocol", f"the answer is not HTTP/1.1: {wrong}")
        head = self._down.filter(head)
        if self.on_head is not None:
            self.on_head(head)
        return head

    async def _send_down(self, parts: list[Part], heads: list[ResponseHead]) -> bool:
        if self.fault_filter is not None:
            try:
                return await self.fault_filter.pass_on(parts)
            finally:
                self.head, self.status = self.fault_filter.head, self.fault_filter.status
        if self.before_last is not None and isinstance(parts[-1], End):
            await self.before_last(heads[-1] if heads else self.head)
        await self.client.send(*parts)
        for head in heads:
            self._take_status(head)
        return isinstance(parts[-1], End) or self.status == 101

    def _take_status(self, head: ResponseHead) -> None:
        if head.status == 100:
            self.lease.body_wanted()
        if not head.interim or head.status == 101:
            self.head, self.status = head, head.status

    def _remember_stream(self, parts: list[Part]) -> None:
        """Remember the tail of a stream, once the client was sent it."""
        for part in parts:
            if isinstance(part, ResponseHead):
                self.stream_tail = tail_of(part)
            elif self.stream_tail is not None and isinstance(part, bytes):
                self.stream_tail.observe(part)


def _unanswered(request: RequestHead, error: UpstreamError) -> UnansweredError:
    method = request.method.decode("ascii")
    why = f"{method} is not idempotent"
    if request.method in _IDEMPOTENT:
        why = f"it has more than {_REMEMBERED_BYTES} bytes"
    unanswered = UnansweredError(str(error), why)
    unanswered.was_reset = error.was_reset
    return unanswered
