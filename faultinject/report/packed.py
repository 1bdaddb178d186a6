"""Calls in a small form: thousands of them are kept.

What attempts have alike is kept once. Many calls are one piece of bytes, which malloc has: a small
object beside it would lie between those of the exchanges that brought them, and CPython would keep
the mebibyte around it for that one.
"""

from __future__ import annotations

import marshal
import struct
import zlib
from array import array
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice, takewhile
from operator import add, itemgetter
from typing import Any, cast

from attrs import define, field

from faultinject.events import ExchangeEnded
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import KEPT_AT_EITHER_END, Call
from faultinject.report.history import SETTLED_SECONDS
from faultinject.seen import (
    BEGAN,
    CALL,
    REQUEST,
    RETRY_COUNT,
    AnswerPart,
    BodyPart,
    HeadPart,
    OwnPart,
    Parts,
    PlainValues,
    observed_of,
    observed_of_plain,
)

KINDS = 1_000
"""Of so many requests and answers it is known at once that others had the same, at most."""
BATCH = 64
"""So many calls are put into one piece."""
LATEST = 256
"""So many calls are not, for another attempt of theirs may come, and to open a piece takes up to
2 ms."""
MORE = 16
"""So many more are not for each piece that was opened, and so many less for each that was made:
where hundreds are tried again in any order, each attempt would open one."""
MOST_TIMES = 4
"""And so many times as many at most."""
SHARE = 16
"""One call in so many is judged at a time, and as many before and behind are looked at with it."""
FAST_SHARE = 64
"""The same in a run in which the others are not enough for findings that look a minute ahead."""
_HEAD = struct.Struct("<ddq")
"""What a batch begins with: when the first of its calls began and the last ended, and how many
requests follow."""
Request = tuple[Any, ...]
"""Of an event: method, host, path, status and kind."""
_request_of = itemgetter("method", "host", "path", "status", "kind")
Row = tuple[Request, int, float, HeadPart, BodyPart, AnswerPart, OwnPart]
"""An attempt: of its event the request, session and milliseconds; and what was seen, as
`faultinject.seen.Parts`."""
_Counts = tuple[int, int, int, int, int]
"""Of some attempts: how many there are; the tokens in and out of those that failed; how many say
that they are a call's first; how many succeeded."""


@define(eq=False, repr=False, weakref_slot=False)
class PackedCall:
    """A call in its small form."""

    number: int
    rows: list[Row] = field(factory=list)
    """The attempts that are kept, as they ended."""
    left_out: _Counts = (0, 0, 0, 0, 0)
    """Of the others."""

    @property
    def kept(self) -> int:
        """How many attempts are kept."""
        return len(self.rows)

    @property
    def requests(self) -> tuple[int, ...]:
        """A hash of what its last attempt asks; none if that is not known."""
        *_, said, _, _ = self.rows[-1]
        request = said[REQUEST]
        return () if request is None else (hash(request),)

    @property
    def began(self) -> float:
        """When the first attempt that is kept began."""
        *_, own = self.rows[0]
        return cast("float", own[BEGAN])

    @property
    def ended(self) -> float:
        """When the last attempt ended."""
        _, _, milliseconds, *_, own = self.rows[-1]
        return cast("float", own[BEGAN]) + milliseconds / 1000

    def unpacked(self) -> Call:
        """Return the call as it was."""
        call = Call(self.number)
        for row in self.rows:
            call.add(attempt_of(row))
        call.count_more(*self.left_out)
        return call

    def add(self, row: Row) -> int:
        """Add an attempt; return how many more are kept now."""
        self.rows.append(row)
        if len(self.rows) <= 2 * KEPT_AT_EITHER_END:
            return 1
        counts = _counts_of(self.rows.pop(KEPT_AT_EITHER_END))
        self.left_out = cast("_Counts", tuple(map(add, self.left_out, counts)))
        return 0


def _counts_of(row: Row) -> _Counts:
    *_, head, _, (taken, failure, *_, tokens_in, tokens_out, _), _ = row
    lost = (0, 0) if failure is None else (tokens_in or 0, tokens_out or 0)
    return 1, *lost, int(head[RETRY_COUNT] == 0), int(failure is None and taken == "whole")


class CallBatch(bytes):
    """Calls of which no more attempts may come, compressed: to a third if they ask the same.

    If one does come, its call is in no batch any more: the batch still has it as it was. It is one
    piece of bytes, without an object beside it: see above.
    """

    __slots__ = ()

    @classmethod
    def of(cls, calls: list[PackedCall]) -> CallBatch:
        """Put some calls into one."""
        requests = array("q", [each for call in calls for each in call.requests])
        began, ended = min([call.began for call in calls]), max([call.ended for call in calls])
        rows = marshal.dumps([(call.number, call.rows, call.left_out) for call in calls])
        head = _HEAD.pack(began, ended, len(requests)) + requests.tobytes()
        return cls(head + zlib.compress(rows, zlib.Z_BEST_SPEED))

    @property
    def began(self) -> float:
        """When the first of them began."""
        began: float = _HEAD.unpack_from(self)[0]
        return began

    @property
    def ended(self) -> float:
        """When the last of them ended."""
        ended: float = _HEAD.unpack_from(self)[1]
        return ended

    @property
    def requests(self) -> memoryview[int]:
        """What each asks, as `PackedCall.requests` has it."""
        return memoryview(self)[_HEAD.size : self._end_of_requests].cast("q")

    def calls(self) -> dict[int, PackedCall]:
        """Return the calls, by their numbers."""
        packed = memoryview(self)[self._end_of_requests :]
        rows = marshal.loads(zlib.decompress(packed))  # noqa: S302 - it is our own
        return {call[0]: PackedCall(*call) for call in rows}

    @property
    def _end_of_requests(self) -> int:
        count: int = _HEAD.unpack_from(self)[2]
        return _HEAD.size + 8 * count


Kept = PackedCall | CallBatch
"""A call, or the batch that it is in."""


class KeptCalls:
    """Calls in the order in which their last attempts ended."""

    def __init__(self, latest: int = LATEST) -> None:
        """Put calls into batches, but for the ``latest``."""
        self.attempts = 0
        """How many are kept."""
        self._least_latest = self._most_latest = latest
        self._old: dict[int, CallBatch] = {}
        self._latest: dict[int, PackedCall] = {}
        self._alike: dict[Any, Any] = {}
        """What the latest have in common; it is written once a batch."""
        self._opened: tuple[CallBatch, dict[int, PackedCall]] | None = None
        """The batch out of which a call was taken last, and what was in it: others may follow."""

    def __len__(self) -> int:
        """Return how many calls are kept."""
        return len(self._old) + len(self._latest)

    def __contains__(self, number: object) -> bool:
        """Say whether a call is kept."""
        return number in self._latest or number in self._old

    def add(self, event: ExchangeEnded, parts: Parts) -> None:
        """Add the event of an attempt that has ended, and what was seen of it."""
        head, said, answer, own = parts
        number = cast("int", own[CALL])
        before = self._latest.pop(number, None)
        if before is None and (batch := self._old.pop(number, None)) is not None:
            before = self._taken(number, batch)
        alike, request = self._alike, _request_of(vars(event))
        if len(alike) > KINDS:
            alike.clear()
        shared = [alike.setdefault(each, each) for each in (request, head, answer)]
        row = shared[0], event.session, event.milliseconds, shared[1], said, shared[2], own
        call = self._latest[number] = PackedCall(number) if before is None else before
        self.attempts += call.add(row)
        if len(self._latest) >= self._most_latest + BATCH:
            self._pack()

    def _taken(self, number: int, batch: CallBatch) -> PackedCall:
        """Return a call of a batch. Hundreds that are tried again in turn open each but twice."""
        if self._opened is None or self._opened[0] is not batch:
            self._opened = batch, batch.calls()
            self._most_latest = min(self._most_latest + MORE, MOST_TIMES * self._least_latest)
        return self._opened[1][number]

    def _pack(self) -> None:
        """Put the oldest of the latest into a batch."""
        numbers = list(islice(self._latest, BATCH))
        batch = CallBatch.of([self._latest.pop(number) for number in numbers])
        self._old.update(dict.fromkeys(numbers, batch))
        self._opened = None  # it takes much more room than a batch
        self._most_latest = max(self._most_latest - MORE, self._least_latest)

    def small(self, number: int) -> PackedCall:
        """Return a call in its small form."""
        kept = self._latest.get(number)
        return self._old[number].calls()[number] if kept is None else kept

    def oldest(self, most: int) -> dict[int, Kept]:
        """Return so many calls, the oldest first, each as it is kept."""
        return dict(islice(self._all(), most))

    def _all(self) -> Iterator[tuple[int, Kept]]:
        return chain(self._old.items(), self._latest.items())

    def share(self) -> int:
        """Return how many of the oldest are to be judged at a time.

        If they and as many behind them lie within a minute, nothing is known of what follows within
        one, however many are looked at. So it is fewer then: to look at them takes memory, and time
        in which nothing else is done.
        """
        share = max(1, len(self) // SHARE)
        first, *_, last = self.oldest(2 * share).values()
        is_fast = last.ended - first.began < SETTLED_SECONDS
        return max(1, len(self) // FAST_SHARE) if is_fast else share

    def asked_behind(self, share: int, most: int, before: float) -> list[int]:
        """Return which of the oldest calls ask what others may ask, too.

        ``share`` is how many of the oldest, and ``most`` of how many more the others are not. Only
        those are looked at that began before a time.
        """
        items = islice(self._all(), most - 1, None)
        _, ends_in = next(items)  # this batch has some of the oldest too
        calls = ends_in.calls() if isinstance(ends_in, CallBatch) else {}
        near_end = [calls[name] for name, _ in takewhile(lambda item: item[1] is ends_in, items)]
        kept: Iterator[Kept] = chain(self._old.values(), self._latest.values())
        further = dict.fromkeys(islice(kept, most + len(near_end), None))  # each batch once
        near = [each.requests for each in chain(near_end, further) if each.began <= before]
        asked = {name: call.requests for name, call in _each_packed(self.oldest(share))}
        wanted = dict.fromkeys(chain.from_iterable(asked.values()))
        found = set[int]().union(*[wanted.keys() & each for each in near])
        return [number for number, each in asked.items() if not found.isdisjoint(each)]

    def pop_oldest(self, most: int) -> dict[int, Kept]:
        """Return `oldest`, and forget those."""
        found = self.oldest(most)
        for number, call in _each_packed(found):
            self.attempts -= call.kept
            if self._old.pop(number, None) is None:
                del self._latest[number]
        return found


def unpacked(kept: dict[int, Kept]) -> dict[int, Call]:
    """Return calls as they were."""
    return {number: call.unpacked() for number, call in _each_packed(kept)}


def _each_packed(kept: dict[int, Kept]) -> Iterator[tuple[int, PackedCall]]:
    batch: CallBatch | None = None
    calls: dict[int, PackedCall] = {}
    for number, each in kept.items():
        if isinstance(each, PackedCall):
            yield number, each
            continue
        if each is not batch:
            batch, calls = each, each.calls()
        yield number, calls[number]


def attempt_of(row: Row) -> SeenAttempt:
    """Return an attempt as it was."""
    request, session, milliseconds, head, said, answer, own = row
    seen = observed_of((head, said, answer, own), to_compare=True)
    began = cast("float", seen.began_seconds)
    ended = round(began + milliseconds / 1000, 3)
    place = cast("int", seen.call), cast("int", seen.attempt), began, ended
    return SeenAttempt.made(seen, place, *request, session=session)


# -- calls that need no judgement --------------------------------------------------------------


_PlainRow = tuple[Request, int, float, PlainValues]
"""Of an event the request, session and milliseconds; and what is known."""
_SPAN = struct.Struct("<ddq")
"""What a batch begins with: when the first of its calls began, when the last was over, and how many
there are."""
_ROUNDED_BY = 0.001
"""So much the times of a call that are told may lie outside of these: they are rounded."""


class PlainCalls:
    """The latest calls that need no judgement."""

    def __init__(self, most: int) -> None:
        """Keep ``most`` calls, and those that are in one batch with them."""
        self.count = 0
        """How many there were."""
        self._most = most
        self._packed = 0
        """How many are in batches."""
        self._batches: deque[bytes] = deque()
        self._loose: list[_PlainRow] = []
        self._requests: dict[Any, Any] = {}
        """What events have in common; it is written once a batch."""
        self._latest: Any = None

    def add(self, event: ExchangeEnded, plain: PlainValues) -> None:
        """Add the event of an exchange, and what is known of it, which is plain."""
        self.count += 1
        fields = vars(event)  # each attribute would take several times as long
        request = _request_of(fields)
        if request != self._latest:
            self._latest = self._requests.setdefault(request, request)
        self._loose.append((self._latest, fields["session"], fields["milliseconds"], plain))
        if len(self._loose) == BATCH:
            self.pack()

    def pack(self) -> None:
        """Put those that are in no batch yet into one, if there are any."""
        if not (rows := self._loose):
            return
        began = min([began for _, _, _, (_, _, began, _, _) in rows])
        ended = max([began + taken / 1000 for _, _, taken, (_, _, began, _, _) in rows])
        span = _SPAN.pack(began - _ROUNDED_BY, ended + _ROUNDED_BY, len(rows))
        self._batches.append(span + marshal.dumps(rows))
        self._packed += len(rows)
        rows.clear()
        self._requests.clear()
        self._latest = None
        while self._packed - (oldest := _SPAN.unpack_from(self._batches[0])[2]) >= self._most:
            self._batches.popleft()
            self._packed -= oldest

    def between(self, since: float, until: float) -> Iterator[SeenAttempt]:
        """Return the attempts that were over between two times, in the order of `add`."""
        rows: list[_PlainRow] = []
        for batch in self._batches:
            first, last, _ = _SPAN.unpack_from(batch)
            if first <= until and last >= since:
                rows += marshal.loads(memoryview(batch)[_SPAN.size :])  # noqa: S302 - it is our own
        for each in map(_attempt_of_plain, rows + self._loose):
            if since <= each.ended <= until:
                yield each


def _attempt_of_plain(row: _PlainRow) -> SeenAttempt:
    request, session, milliseconds, plain = row
    seen, call = observed_of_plain(plain, to_compare=True), plain[1]
    began = cast("float", seen.began_seconds)
    ended = round(began + milliseconds / 1000, 3)
    return SeenAttempt.made(seen, (call, 1, began, ended), *request, session=session)
