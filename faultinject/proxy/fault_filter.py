"""What a plan's faults do to one response: a filter of its parts, without input or output.

It takes the parts of a response as they come, from wherever they come, and returns acts, which
`faultinject.proxy.pump` performs. Each act is done before the next is requested.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

import trio
from attrs import define, evolve, field, frozen

from faultinject.faults import transform
from faultinject.faults.breaks import Break, break_words
from faultinject.faults.build import BuiltFaults, build_faults
from faultinject.faults.delay import Before, delay_words
from faultinject.faults.stream import StreamFault, stream_words
from faultinject.faults.stream.stream_action import ResponseInfo
from faultinject.faults.transform import Cut, Finish, Garbage, Received, Reset, Send, Transform
from faultinject.http.h1.framing import reframed
from faultinject.http.headers import is_encoded
from faultinject.http.message import End, Part, ResponseHead, find_header
from faultinject.providers.shape import Fields
from faultinject.rules.decide import Plan
from faultinject.rules.facts import Facts

COUNTED = 24
"""How many of the pauses that are due, and of the parts that have come, are counted as writes."""


@frozen
class Pass:
    """Send these parts of the response to the client, in one write."""

    parts: tuple[Part, ...]
    last: bool = False
    """Whether the client may take the response as complete with these."""
    ends: bool = False
    """Whether nothing follows."""


@frozen
class Pause:
    """Do nothing before a time."""

    until_seconds: float
    """On the filter's clock; infinity for until the client leaves."""
    writes: int = 0
    """About how many writes follow, each after a pause."""
    guessed: int = 0
    """How many more there may be, or none; see `Pacing.before_pause`."""
    began: Sequence[tuple[str, float]] = ()
    """The faults that take this time: in words, and how many seconds each lasts at most."""


FilterAct = Pass | Pause | Send | Cut | Reset | Garbage
"""After one of the last three nothing follows, nor after a `Pass` that ends."""


class Filter:
    """What happens to a response on its way to the client."""

    @property
    def wake_at(self) -> float:
        """When to call `tick`, on the filter's clock; infinity for never."""
        return math.inf

    def begin(self) -> Iterable[FilterAct]:
        """Return what is done before there is a response."""
        return ()

    def receive(self, parts: Sequence[Part]) -> Iterable[FilterAct]:
        """Return what is done with parts of the response, as they arrive."""
        raise NotImplementedError

    def tick(self) -> Iterable[FilterAct]:
        """Return what is done at `wake_at`, at which nothing has arrived."""
        raise NotImplementedError


@define(eq=False, repr=False)
class FaultFilter(Filter):
    """One plan, applied to one response."""

    plan: Plan
    facts: Facts
    """Of the request. Its body may be added before the response."""
    clock: Callable[[], float] = trio.current_time
    """Returns a time in seconds."""
    is_paced: bool = False
    """Whether it is asked for how many writes follow a pause (`Pacing.is_strict`)."""
    notes_last: bool = False
    """Whether it is asked for which bytes are a stream's last, before they are sent."""
    silent: bool = field(default=False, init=False)
    """Whether it has begun to send nothing, until the client leaves or for a time."""
    _built: BuiltFaults | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    """When the head had been sent."""
    _body_begun: bool = field(default=False, init=False)
    _done: list[str] = field(factory=list, init=False)
    _waited: set[Before] = field(factory=set, init=False)
    _told: set[str] = field(factory=set, init=False)
    """The faults that a `Pause` has named."""

    # What came of it

    @property
    def done(self) -> bool:
        """Whether any part of the plan has happened."""
        chain = self._transform
        return bool(self._done) or (chain is not None and chain.done is not None)

    @property
    def harmed(self) -> bool:
        """Whether the response was changed, and not only delayed."""
        parts = transform.parts_of(self._transform)
        return any(each.harms and each.done is not None for each in parts)

    @property
    def words(self) -> str | None:
        """What has happened and what was not reached, for the event."""
        return ", ".join([*self._done, *self._words_of_transforms()]) or None

    def _words_of_transforms(self) -> Iterable[str]:
        if self._built is None:  # there was no head that anything could happen behind
            yield from (f"not reached: {stream_words(fault)}" for fault in self.plan.stream)
            if self.plan.breaks is not None and self.plan.breaks.point is not None:
                yield f"not reached: {break_words(self.plan.breaks)}"
            return
        for each in transform.parts_of(self._built.transform):
            yield f"not reached: {each.undone}" if each.done is None else each.done
        yield from self._built.undone

    # Before the response

    def begin(self) -> Iterator[FilterAct]:
        """Yield what is done before there is a response; and the break, if that is in its place."""
        yield from self._wait(Before.UPSTREAM)
        breaks = self.plan.breaks
        if breaks is not None and breaks.point is None:
            yield from self._break(breaks)

    def _break(self, breaks: Break) -> Iterable[FilterAct]:
        words, acts = break_words(breaks), list[FilterAct]()
        self._done.append(words)
        began = ((words, breaks.how.lasts_seconds),)
        for act in breaks.how.acts(self.clock(), self.plan.numbers("break")):
            match act:
                case transform.WaitUntil(until_seconds):
                    self.silent = True
                    acts.append(Pause(until_seconds, began=began))
                case transform.Hang():
                    self.silent = True
                    acts += [Pause(math.inf, began=began), Cut()]
                case _:
                    acts.append(cast("FilterAct", act))
        return acts

    def _wait(self, before: Before) -> Iterator[FilterAct]:
        """Yield the delay that the plan has at a place, once."""
        seconds = next((each.seconds for each in self.plan.waits if each.before is before), None)
        if seconds is None or before in self._waited:
            return
        self._waited.add(before)
        words = delay_words(seconds, before)
        self._done.append(words)
        guessed = 0 if self._transform is None else COUNTED
        yield Pause(self.clock() + seconds, 1, guessed, ((words, seconds),))

    # A response on its way

    def receive(self, parts: Sequence[Part]) -> Iterator[FilterAct]:
        """Yield the acts for parts of the response, as they arrive."""
        for place, part in enumerate(parts, 1):
            if isinstance(part, ResponseHead):
                yield from self._head(part, parts, place)
            else:
                yield from self._body(cast("bytes | End", part), parts, place)

    def lose(self, head: ResponseHead) -> None:
        """Note that a response of the upstream is discarded."""
        self._done.append(f"the upstream's answer, a {head.status}, was lost")

    @property
    def wake_at(self) -> float:
        """When to call `tick`."""
        chain = self._transform
        return math.inf if chain is None else self._started + chain.wake_at

    def tick(self) -> Iterator[FilterAct]:
        """Return what the transforms do at that time."""
        chain = cast("Transform", self._transform)  # else there is no such time
        return self._step(chain, transform.TICK, (), 0)

    @property
    def _transform(self) -> Transform | None:
        """What changes the body, if anything does; known from the head on."""
        return None if self._built is None else self._built.transform

    def _head(self, head: ResponseHead, parts: Sequence[Part], place: int) -> Iterator[FilterAct]:
        if head.interim:
            yield Pass((head,), ends=head.status == 101)
            return
        yield from self._wait(Before.HEAD)
        self._built = self._build(head)
        if not self._built.keeps_length and self.facts.method != "HEAD":
            head = reframed(head)
        waits = any(each.before is Before.BODY for each in self.plan.waits)
        if isinstance(parts[-1], End) and not (waits or self._transform):
            # The whole body goes with the head.
            yield Pass((head, *parts[place:]), last=True, ends=True)
        else:
            yield Pass((head,))
        self._started = self.clock()

    def _build(self, head: ResponseHead) -> BuiltFaults:
        plan = self.plan
        if not plan.stream and (plan.breaks is None or plan.breaks.point is None):
            return BuiltFaults()
        provider, api_request = self.facts.provider, self.facts.api_request
        fields, id_header = fields_of(plan, self.facts), provider.request_id_header
        if id_header is not None and (request_id := find_header(head.headers, id_header)):
            fields = evolve(fields, request_id=request_id.decode("latin-1"))
        spoken = provider.shape_of(api_request.path)
        shape = spoken.stream_of(head, api_request)
        answer = ResponseInfo(
            provider, shape, is_encoded(head), fields, plan.numbers,
            spoken.unknown_stream(head, api_request),
        )  # fmt: skip
        return build_faults(plan.stream, plan.breaks, answer)

    def _body(self, part: bytes | End, parts: Sequence[Part], place: int) -> Iterator[FilterAct]:
        if isinstance(part, bytes) and part and not self._body_begun:
            self._body_begun = True
            yield from self._wait(Before.BODY)
        if (chain := self._transform) is not None:
            yield from self._step(chain, part, parts, place)
        elif isinstance(parts[-1], End):
            yield Pass((part, *parts[place:]), last=True, ends=True)
        else:
            yield Pass((part,))

    def _step(
        self, chain: Transform, received: Received, parts: Sequence[Part], place: int
    ) -> Iterator[FilterAct]:
        """Yield the acts of the transform; ``place`` is that of the first part behind."""
        now_seconds = self.clock() - self._started
        if isinstance(received, transform.Tick):  # in spite of what sums of fractions lose
            now_seconds = max(now_seconds, chain.wake_at)
        due, following = iter(chain.step(received, now_seconds)), deque[transform.Act]()
        while (act := following.popleft() if following else next(due, None)) is not None:
            match act:
                case Send():
                    following.extend(islice(due, int(self.notes_last and not following)))
                    # A client may act on a stream's last event.
                    last = bool(following) and isinstance(following[0], Finish)
                    yield Pass((act.data,), last=True) if last and self.notes_last else act
                case transform.WaitUntil(seconds):
                    ahead = (0, 0)
                    if self.is_paced:
                        following.extend(islice(due, max(0, 2 * COUNTED - len(following))))
                        ahead = writes_ahead(following, rest_of(parts, place), self.plan.stream)
                    yield Pause(self._started + seconds, *ahead, self._began(chain))
                case Finish(trailers):
                    yield Pass((End(trailers),), last=True, ends=True)
                case transform.Hang():
                    self.silent = True
                    yield Pause(math.inf, began=self._began(chain))
                    yield Cut()
                case _:
                    yield act

    def _began(self, chain: Transform) -> Sequence[tuple[str, float]]:
        """Return the faults that have begun to take time, each once."""
        waiting = [each for each in transform.parts_of(chain) if each.waits]
        new = [each for each in waiting if each.undone not in self._told]
        self._told.update(each.undone for each in new)
        return [(each.undone, each.lasts_seconds) for each in new]


def fields_of(plan: Plan, facts: Facts) -> Fields:
    """Draw the fields that differ between answers; the same for one plan."""
    return facts.provider.draw_fields(plan.numbers("fields"), time.time(), facts.api_request)


def rest_of(parts: Sequence[Part], place: int) -> Sequence[Part]:
    """Return the first `COUNTED` of the parts from a place on, and the last."""
    rest = parts[place : place + COUNTED]
    return [*rest, parts[-1]] if place + COUNTED < len(parts) else rest


@frozen(eq=False, repr=False)
class Discarding(Filter):
    """Discards the upstream's response, in place of which the client gets another."""

    plan_filter: FaultFilter
    """Notes it."""

    def receive(self, parts: Sequence[Part]) -> Iterator[FilterAct]:
        """Yield the interim heads: a client may wait for a 100."""
        for part in parts:
            if isinstance(part, ResponseHead):
                if part.interim and part.status != 101:
                    yield Pass((part,))
                else:
                    self.plan_filter.lose(part)
        last = parts[-1]
        if isinstance(last, End) or (isinstance(last, ResponseHead) and last.status == 101):
            yield Pass((), ends=True)


# How many writes are to come, where somebody asks


def writes_ahead(
    following: Collection[transform.Act], rest: Sequence[Part], faults: Iterable[StreamFault]
) -> tuple[int, int]:
    """Return how many writes are to come, each after a wait, and how many more there may be.

    ``following`` are the acts that are due; ``rest`` are the received parts that were not handled
    yet: each may become a write. They count among the first if there will surely be output at the
    end.
    """
    waits = (isinstance(act, transform.WaitUntil) for act in following)
    writes = sum(waits) + 1 if any(map(_writes, following)) else 0
    guessed = sum(1 for part in rest if isinstance(part, (bytes, End)))
    return (writes + guessed, 0) if _ends_with_words(rest, faults) else (writes, guessed)


def _writes(act: transform.Act) -> bool:
    return isinstance(act, (Send, Finish, Garbage))


def _ends_with_words(rest: Sequence[Part], faults: Iterable[StreamFault]) -> bool:
    """Return True if there will surely be output at the end."""
    paces = any(each.action.paces for each in faults)
    return bool(rest) and (paces or isinstance(rest[-1], End))
