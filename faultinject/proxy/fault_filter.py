"""Performs a plan on the answer to one request: waits, sends what the faults let pass, and ends it.

The answer may be the upstream's, as it comes, or one of our own. Knows nothing of where it comes
from, and nothing of rules beyond what was decided.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import cast

import trio
from attrs import define, evolve, field

from faultinject.faults import transform
from faultinject.faults.breaks import break_words
from faultinject.faults.build import Made, ResponseInfo, make
from faultinject.faults.delay import Before, delay_words
from faultinject.faults.stream import stream_words
from faultinject.faults.transform import Act, Told, Transform
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.headers import is_encoded, reframed
from faultinject.http.message import End, Part, ResponseHead, find_header
from faultinject.net.streams import CloseMode
from faultinject.net.timeouts import Timeout
from faultinject.providers.provider import Asked, Fields, Provider, unknown_stream
from faultinject.proxy.disconnect import ClientWatch
from faultinject.proxy.lookahead import FEW, MANY, writes_ahead
from faultinject.proxy.upstream.lease import Lease
from faultinject.rules.decide import Plan
from faultinject.settings import Limits


@define(eq=False)
class FaultFilter:
    """One plan, performed. The client's connection is borrowed.

    ``ending`` says afterwards how it shall end, if the plan has it end in its own way.
    """

    client: ClientConnection
    lease: Lease
    timeout: Timeout
    limits: Limits
    plan: Plan
    provider: Provider
    asked: Asked
    has_body: bool = True
    """Whether the request is one whose answer has a body."""
    discards_response: bool = False
    """Whether what the upstream says is thrown away."""
    keeps_request: bool = False
    """Whether the request's body is kept, as it is read: an answer shall be made of it."""
    kept: bytearray = field(factory=bytearray)
    client_ended: trio.Event = field(factory=trio.Event)
    """Set by whoever watches the client when it has ended its side without leaving."""
    head: ResponseHead | None = None
    """The head of the answer that the client was sent."""
    status: int | None = None
    """The status that the client was sent."""
    ending: CloseMode | None = None
    on_wait: Callable[[str, float], None] | None = None
    """Is told of a fault that begins to take time: in words, and the seconds at most."""
    _made: Made | None = None
    _parts: Sequence[Part] = ()
    """What has come of the answer,"""
    _place: int = 0
    """and the place in it behind what is dealt with."""
    _started: float = 0.0
    _body_begun: bool = False
    _done: list[str] = field(factory=list)
    _waited: set[Before] = field(factory=set)
    _reported_waits: set[str] = field(factory=set)
    """The faults that `on_wait` was told of."""

    # What came of it

    @property
    def done(self) -> bool:
        """Whether anything of the plan has happened."""
        chain = self._made.transform if self._made else None
        return bool(self._done) or (chain is not None and chain.done is not None)

    @property
    def harmed(self) -> bool:
        """Whether the answer is another than it would have been, and not only later."""
        chain = self._made.transform if self._made else None
        return any(each.harms and each.done is not None for each in transform.parts_of(chain))

    @property
    def words(self) -> str | None:
        """What has happened and what has not, in words."""
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
        """Take note of something that has happened."""
        self._done.append(words)

    def report_wait(self, words: str, seconds: float) -> None:
        """Say that a fault begins that takes so long at most; once for each."""
        if self.on_wait is not None and words not in self._reported_waits:
            self._reported_waits.add(words)
            self.on_wait(words, seconds)

    def take_request(self, parts: Sequence[Part]) -> None:
        """Keep what was read of the request's body, if it is wanted."""
        if self.keeps_request:
            for part in parts:
                self.kept += part if isinstance(part, bytes) else b""

    # An answer on its way

    async def pass_on(self, parts: Sequence[Part]) -> bool:
        """Pass on what comes of an answer; return whether nothing more of it will be."""
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
        """Answer with what is ours, after the delays before it; nobody is asked for it.

        Raises `ClientGoneError` as soon as the client leaves.
        """
        watch = ClientWatch(self.client, lease, self.limits)
        self.client_ended = watch.ended
        self.discards_response = False
        await watch.run_while_connected(lambda: self._answer(parts))

    async def _answer(self, parts: Sequence[Part]) -> None:
        await self.wait(Before.UPSTREAM)
        self.timeout.reset("the client to read its answer", self.limits.send_seconds)
        await self.pass_on(parts)

    async def wait_before_upstream(self, watch: ClientWatch) -> None:
        """Wait if the plan wants that before the upstream is asked.

        Raises `ClientGoneError` as soon as the client leaves.
        """
        if self.lease.is_paced:
            await self.wait(Before.UPSTREAM)
        elif any(each.before is Before.UPSTREAM for each in self.plan.waits):
            await watch.run_while_connected(lambda: self.wait(Before.UPSTREAM))

    async def pause(self, seconds: float) -> bool:
        """Let time pass between two pieces of an answer; return as `pass_on`."""
        until = trio.current_time() + seconds
        self.lease.before_pause(MANY)
        while self.wake_at < until:
            await trio.sleep_until(self.wake_at)
            if await self.tick():
                return True
        await trio.sleep_until(until)
        return False

    async def tick(self) -> bool:
        """Say that it is `wake_at`; return as `pass_on`."""
        chain = self._transform
        return chain is not None and await self._step(chain, transform.TICK)

    @property
    def wake_at(self) -> float:
        """When `tick` is due, on Trio's clock."""
        chain = self._transform
        return math.inf if chain is None else self._started + chain.wake_at

    @property
    def _transform(self) -> Transform | None:
        """What harms the body, if anything does; known from the head on."""
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
        await self.client.send(head)
        self.head = head
        self.status, self._started = head.status, trio.current_time()
        return False

    def _make(self, head: ResponseHead) -> Made:
        plan = self.plan
        if not plan.stream and (plan.breaks is None or plan.breaks.point is None):
            return Made()
        fields = self.fields()
        if request_id := find_header(head.headers, self.provider.request_id_header):
            fields = evolve(fields, request_id=request_id.decode("latin-1"))
        shape = self.provider.stream_kind(self.asked.path, head)
        answer = ResponseInfo(
            self.provider, shape, is_encoded(head), fields, plan.numbers,
            unknown_stream(head, self.asked.path),
        )  # fmt: skip
        return make(plan.stream, plan.breaks, answer)

    def fields(self) -> Fields:
        """Draw what differs from one answer to the next; for one plan it is the same."""
        return self.provider.draw_fields(self.plan.numbers("fields"), time.time(), self.asked)

    async def _body(self, part: bytes | End) -> bool:
        if isinstance(part, bytes) and part and not self._body_begun:
            self._body_begun = True
            await self.wait(Before.BODY)
        if (chain := self._transform) is None:
            await self.client.send(part)
            return isinstance(part, End)
        return await self._step(chain, part)

    def _rest(self) -> Sequence[Part]:
        """Return what has come behind what is dealt with: as much as is counted, and the last."""
        rest = self._parts[self._place : self._place + MANY]
        return [*rest, self._parts[-1]] if self._place + MANY < len(self._parts) else rest

    async def _step(self, chain: Transform, told: Told) -> bool:
        now_seconds = trio.current_time() - self._started
        if isinstance(told, transform.Tick):  # in spite of what sums of fractions lose
            now_seconds = max(now_seconds, chain.wake_at)
        due, following = iter(chain.step(told, now_seconds)), deque[Act]()
        while (act := following.popleft() if following else next(due, None)) is not None:
            if isinstance(act, transform.WaitUntil) and self.lease.is_paced:
                following.extend(islice(due, max(0, 2 * MANY - len(following))))
                self.lease.before_pause(writes_ahead(following, self._rest(), self.plan.stream))
            if isinstance(act, (transform.WaitUntil, transform.Hang)):
                for each in transform.parts_of(chain):
                    if each.waits:
                        self.report_wait(each.undone, each.lasts_seconds)
            if await self.act(act):
                return True
        return False

    # Acts

    async def act(self, act: Act) -> bool:
        """Do one thing; return whether nothing can follow it."""
        match act:
            case transform.Send(data):
                self.timeout.reset("the client to read its answer", self.limits.idle_seconds)
                await self.client.send(data)
                return False
            case transform.WaitUntil(seconds):
                await self._sleep_until(self._started + seconds)
                return False
            case transform.Finish(trailers):
                await self.client.send(End(trailers))
            case transform.Cut():
                self.ending = self.cut
            case transform.Reset():
                self.ending = CloseMode.RESET
            case transform.Hang():
                await self.hang(None)
            case _:
                await self.client.send_raw(act.data)
                self.ending = self.cut
        return True

    @property
    def cut(self) -> CloseMode:
        """How a connection ends with FIN: one that brings more would else end with RST."""
        return CloseMode.TRUNCATE if self.client.request_ended else CloseMode.TRUNCATE_LINGERING

    async def hang(self, seconds: float | None) -> None:
        """Do nothing so long, or until the client leaves; then the connection ends."""
        self.lease.before_pause(0)
        if seconds is not None:
            await self._sleep_until(trio.current_time() + seconds)
        else:
            self.timeout.reset("the client to leave", self.limits.idle_seconds)
            await self.client_ended.wait()
        self.ending = self.cut

    async def wait(self, before: Before) -> None:
        """Wait if the plan wants a delay here."""
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
