"""Applies a plan's faults to one response on its way to the client.

It delays the response, sends what the faults' transforms let through, and decides how it ends. The
response may come from the upstream, piece by piece, or be a local one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import cast

import trio
from attrs import define, evolve, field

from faultinject.faults import transform
from faultinject.faults.breaks import Break, break_words
from faultinject.faults.build import BuiltFaults, build_faults
from faultinject.faults.delay import Before, delay_words
from faultinject.faults.stream import stream_words
from faultinject.faults.stream.stream_action import ResponseInfo
from faultinject.faults.transform import Act, Received, Transform
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.headers import is_encoded, reframed
from faultinject.http.message import End, Part, ResponseHead, find_header
from faultinject.net.streams import CloseMode
from faultinject.net.timeouts import Timeout
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest, Fields
from faultinject.proxy.disconnect import ClientWatch
from faultinject.proxy.lookahead import FEW, MANY, writes_ahead
from faultinject.proxy.upstream.lease import Lease
from faultinject.rules.decide import Plan
from faultinject.settings import Limits


@define(eq=False)
class FaultFilter:
    """One plan, applied to one response. The client's connection is borrowed.

    If the plan ends the connection, ``ending`` shows afterwards how.
    """

    client: ClientConnection
    lease: Lease
    timeout: Timeout
    limits: Limits
    plan: Plan
    provider: Provider
    api_request: ApiRequest
    on_gone: Callable[[ResponseHead | None], None]
    """Called with the head that the client was sent, if any, when the client has left."""
    has_body: bool = True
    """Whether the response to this request has a body (not so for HEAD)."""
    discards_response: bool = False
    """Whether the upstream's response is discarded."""
    keeps_request: bool = False
    """Whether the request's body is kept as it is read, to make an answer of it."""
    kept: bytearray = field(factory=bytearray)
    client_ended: trio.Event = field(factory=trio.Event)
    """Set by whoever watches the client, when it has half-closed its connection."""
    head: ResponseHead | None = None
    """The head of the response that the client was sent."""
    status: int | None = None
    """The status that the client was sent."""
    ending: CloseMode | None = None
    before_last: Callable[..., Awaitable[None]] | None = None
    """Called before the response's last bytes are sent (see `Exchange.before_last`)."""
    silent: bool = False
    """Whether it has begun to send nothing, until the client leaves or for a time."""
    on_wait: Callable[[str, float], None] | None = None
    """Called when a fault begins to take time: with its description and its seconds at most."""
    _made: BuiltFaults | None = None
    _parts: Sequence[Part] = ()
    """The parts of the response that were received last."""
    _place: int = 0
    """How many of them were handled."""
    _started: float = 0.0
    _body_begun: bool = False
    _done: list[str] = field(factory=list)
    _waited: set[Before] = field(factory=set)
    _reported_waits: set[str] = field(factory=set)
    """The faults that `on_wait` was called with."""

    # What came of it

    @property
    def done(self) -> bool:
        """Whether any part of the plan has happened."""
        chain = self._made.transform if self._made else None
        return bool(self._done) or (chain is not None and chain.done is not None)

    @property
    def harmed(self) -> bool:
        """Whether the response was changed, and not only delayed."""
        chain = self._made.transform if self._made else None
        return any(each.harms and each.done is not None for each in transform.parts_of(chain))

    @property
    def words(self) -> str | None:
        """What has happened and what was not reached, for the event."""
        return ", ".join([*self._done, *self._words_of_transforms()]) or None

    def _words_of_transforms(self) -> Iterable[str]:
        if self._made is None:  # there was no head that anything could happen behind
            yield from (f"not reached: {stream_words(fault)}" for fault in self.plan.stream)
            if self.plan.breaks is not None and self.plan.breaks.point is not None:
                yield f"not reached: {break_words(self.plan.breaks)}"
            return
        for each in transform.parts_of(self._made.transform):
            yield f"not reached: {each.undone}" if each.done is None else each.done
        yield from self._made.undone

    def record(self, words: str) -> None:
        """Note something that has happened."""
        self._done.append(words)

    def report_wait(self, words: str, seconds: float) -> None:
        """Call `on_wait` for a fault that begins to take time; once for each."""
        if self.on_wait is not None and words not in self._reported_waits:
            self._reported_waits.add(words)
            self.on_wait(words, seconds)

    def take_request(self, parts: Sequence[Part]) -> None:
        """Keep what was read of the request's body, if it is needed."""
        if self.keeps_request:
            for part in parts:
                self.kept += part if isinstance(part, bytes) else b""

    # A response on its way

    async def pass_on(self, parts: Sequence[Part]) -> bool:
        """Handle parts of the response as they arrive; return True after its last."""
        if self.discards_response:
            return await self._discard(parts)
        for place, part in enumerate(parts, 1):
            self._parts, self._place = parts, place
            if isinstance(part, ResponseHead):
                over = await self._head(part)
            else:
                over = await self._body(cast("bytes | End", part))
            if over:
                return True
        return False

    async def _discard(self, parts: Sequence[Part]) -> bool:
        for part in parts:
            if isinstance(part, ResponseHead):
                if part.interim and part.status != 101:
                    await self.client.send(part)  # a client may wait for the 100
                else:
                    self.record(f"the upstream's answer, a {part.status}, was lost")
        last = parts[-1]
        return isinstance(last, End) or (isinstance(last, ResponseHead) and last.status == 101)

    async def answer(self, parts: Sequence[Part], lease: Lease) -> None:
        """Send a local response, after the plan's delays; the upstream is not asked.

        Raises `ClientGoneError` as soon as the client leaves.
        """
        watch = ClientWatch(self.client, lease, self.limits, self.client_left)
        self.client_ended = watch.ended
        self.discards_response = False
        await watch.run_while_connected(lambda: self._answer(parts))

    async def _answer(self, parts: Sequence[Part]) -> None:
        await self.wait(Before.UPSTREAM)
        self.timeout.reset("the client to read its answer", self.limits.send_seconds)
        await self.pass_on(parts)

    async def wait_before_upstream(self, watch: ClientWatch) -> None:
        """Wait if the plan has a delay before the upstream is asked.

        Raises `ClientGoneError` as soon as the client leaves.
        """
        if self.lease.is_paced:
            await self.wait(Before.UPSTREAM)
        elif any(each.before is Before.UPSTREAM for each in self.plan.waits):
            await watch.run_while_connected(lambda: self.wait(Before.UPSTREAM))

    async def pause(self, seconds: float) -> bool:
        """Wait between two pieces of a made response; return as `pass_on` does."""
        until = trio.current_time() + seconds
        self.lease.before_pause(MANY)
        while self.wake_at < until:
            await trio.sleep_until(self.wake_at)
            if await self.tick():
                return True
        await trio.sleep_until(until)
        return False

    async def tick(self) -> bool:
        """Call this at `wake_at`; it returns as `pass_on` does."""
        chain = self._transform
        return chain is not None and await self._step(chain, transform.TICK)

    @property
    def wake_at(self) -> float:
        """When to call `tick`, on Trio's clock."""
        chain = self._transform
        return math.inf if chain is None else self._started + chain.wake_at

    @property
    def _transform(self) -> Transform | None:
        """What changes the body, if anything does; known from the head on."""
        return self._made.transform if self._made else None

    async def _head(self, head: ResponseHead) -> bool:
        if head.interim:
            await self.client.send(head)
            if head.status == 101:
                self.status = 101
            return head.status == 101
        await self.wait(Before.HEAD)
        self._made = self._make(head)
        if not self._made.keeps_length and self.has_body:
            head = reframed(head)
        over = self._rest_is_due
        if over:
            await self._note_last(head)
            await self.client.send(head, *self._parts[self._place :])
        else:
            await self.client.send(head)
        self.head = head
        self.status, self._started = head.status, trio.current_time()
        return over

    @property
    def _rest_is_due(self) -> bool:
        """Whether the whole body is there and nothing happens to it: it goes with the head."""
        rest = self._parts[self._place :]
        waits = any(each.before is Before.BODY for each in self.plan.waits)
        return bool(rest) and isinstance(rest[-1], End) and not (waits or self._transform)

    def _make(self, head: ResponseHead) -> BuiltFaults:
        plan = self.plan
        if not plan.stream and (plan.breaks is None or plan.breaks.point is None):
            return BuiltFaults()
        fields = self.fields()
        id_header = self.provider.request_id_header
        if id_header is not None and (request_id := find_header(head.headers, id_header)):
            fields = evolve(fields, request_id=request_id.decode("latin-1"))
        spoken = self.provider.shape_of(self.api_request.path)
        shape = spoken.stream_of(head, self.api_request)
        answer = ResponseInfo(
            self.provider, shape, is_encoded(head), fields, plan.numbers,
            spoken.unknown_stream(head, self.api_request),
        )  # fmt: skip
        return build_faults(plan.stream, plan.breaks, answer)

    def fields(self) -> Fields:
        """Draw the fields that differ between answers; the same for one plan."""
        return self.provider.draw_fields(self.plan.numbers("fields"), time.time(), self.api_request)

    async def _body(self, part: bytes | End) -> bool:
        if isinstance(part, bytes) and part and not self._body_begun:
            self._body_begun = True
            await self.wait(Before.BODY)
        if (chain := self._transform) is not None:
            return await self._step(chain, part)
        over = isinstance(self._parts[-1], End)
        if over:
            await self._note_last(self.head)
        await self.client.send(part, *(self._parts[self._place :] if over else ()))
        return over

    def _rest(self) -> Sequence[Part]:
        """Return the received parts that were not handled yet: the first `MANY`, and the last."""
        rest = self._parts[self._place : self._place + MANY]
        return [*rest, self._parts[-1]] if self._place + MANY < len(self._parts) else rest

    async def _step(self, chain: Transform, received: Received) -> bool:
        now_seconds = trio.current_time() - self._started
        if isinstance(received, transform.Tick):  # in spite of what sums of fractions lose
            now_seconds = max(now_seconds, chain.wake_at)
        due, following = iter(chain.step(received, now_seconds)), deque[Act]()
        while (act := following.popleft() if following else next(due, None)) is not None:
            if isinstance(act, transform.WaitUntil) and self.lease.is_paced:
                following.extend(islice(due, max(0, 2 * MANY - len(following))))
                self.lease.before_pause(writes_ahead(following, self._rest(), self.plan.stream))
            if isinstance(act, (transform.WaitUntil, transform.Hang)):
                for each in transform.parts_of(chain):
                    if each.waits:
                        self.report_wait(each.undone, each.lasts_seconds)
            if isinstance(act, transform.Send) and self.before_last is not None:
                following.extend(islice(due, 0 if following else 1))
                if following and isinstance(following[0], transform.Finish):
                    await self._note_last(self.head)  # a client may act on a stream's last event
            if await self.act(act):
                return True
        return False

    async def perform_break(self, breaks: Break) -> None:
        """Break the connection in place of the response."""
        self._started = trio.current_time()
        for act in breaks.how.acts(0.0, self.plan.numbers("break")):
            if isinstance(act, transform.WaitUntil):
                self._fall_silent()
            await self.act(act)

    async def _note_last(self, head: ResponseHead | None, *, whole: bool = True) -> None:
        if self.before_last is not None:
            await self.before_last(head, whole=whole)

    def client_left(self) -> None:
        """Note that the client has left."""
        self.on_gone(self.head)

    # Acts

    async def act(self, act: Act) -> bool:
        """Perform one act of a transform; return True if nothing can follow it."""
        match act:
            case transform.Send(data):
                self.timeout.reset("the client to read its answer", self.limits.idle_seconds)
                await self.client.send(data)
                return False
            case transform.WaitUntil(seconds):
                await self._sleep_until(self._started + seconds)
                return False
            case transform.Finish(trailers):
                await self._note_last(self.head)
                await self.client.send(End(trailers))
            case transform.Cut():
                self.ending = self.cut
            case transform.Reset():
                self.ending = CloseMode.RESET
            case transform.Hang():
                self._fall_silent()
                self.timeout.reset("the client to leave", self.limits.idle_seconds)
                await self.client_ended.wait()
                self.ending = self.cut
            case _:
                await self._note_last(self.head, whole=False)
                await self.client.send_raw(act.data)
                self.ending = self.cut
        return True

    @property
    def cut(self) -> CloseMode:
        """How to close with FIN: unread bytes of the client would make it an RST."""
        return CloseMode.TRUNCATE if self.client.request_ended else CloseMode.TRUNCATE_LINGERING

    def _fall_silent(self) -> None:
        """Note that nothing will be sent, until the client leaves or for a time."""
        self.silent = True
        self.lease.before_pause(0)

    async def wait(self, before: Before) -> None:
        """Wait if the plan has a delay at this place."""
        seconds = next((each.seconds for each in self.plan.waits if each.before is before), None)
        if seconds is None or before in self._waited:
            return
        self._waited.add(before)
        self.lease.before_pause(1 if self._made is None or self._made.transform is None else FEW)
        words = delay_words(seconds, before)
        self._done.append(words)
        self.report_wait(words, seconds)
        await self._sleep_until(trio.current_time() + seconds)

    async def _sleep_until(self, deadline: float) -> None:
        seconds = max(0.0, deadline - trio.current_time())
        self.timeout.reset("a fault's delay", seconds + self.limits.idle_seconds)
        await trio.sleep_until(deadline)
