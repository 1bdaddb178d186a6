"""Calls in a small form: thousands of them are kept.

What most of their attempts have alike is kept once; times, tokens and digests are bytes. Many calls
that need no judgement are one piece of bytes: single objects would lie between those of the
exchanges that brought them, and keep the memory of all of those taken.
"""

from __future__ import annotations

import marshal
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from attrs import define

from faultinject.events import ExchangeEnded
from faultinject.observed import Message, Observed, PlainValues, ToolResult, observed_of_plain
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import KEPT_AT_EITHER_END, Call

_ALIKE = (
    "provider", "model", "stream", "attempt", "retry_count", "taken", "failure", "failure_kind",
    "wait_asked_by", "should_retry", "read_timeout_seconds", "timeout_seconds", "idempotency_key",
    "invocation_id", "credential", "system", "message_count",
)  # fmt: skip
_SECONDS = ("gap_seconds", "first_byte_seconds", "quiet_seconds", "wait_asked_seconds")
_TOKENS = ("input_tokens", "output_tokens")
_DIGESTS = ("request", "body", "prefix", "delivered")
_NAMES = (*_ALIKE, *_SECONDS, *_TOKENS, *_DIGESTS)
_seconds_of, _tokens_of = attrgetter(*_SECONDS), attrgetter(*_TOKENS)
_digests_of, _alike_of = attrgetter(*_DIGESTS), attrgetter(*_ALIKE)
_DIGEST_BYTES = 16
KINDS = 1_000
"""Of so many kinds of attempts it is known at once what they have alike, at most."""
BATCH = 64
"""So many calls are put into one piece."""
LATEST = 1_024
"""So many calls are not, as a rule, for another attempt of theirs may come: hundreds may be tried
again in turn, and to take a call out of a piece takes up to 2 ms."""
_request_of = attrgetter("method", "host", "path", "status", "kind")
_MOST = 2**53  # which a float still has exactly
Alike = tuple[Any, ...]
_Packed = tuple[Alike, bytes]
"""An attempt."""


@define(eq=False, repr=False, weakref_slot=False)
class PackedCall:
    """A call in its small form, with all its attempts."""

    number: int
    parts: tuple[Any, ...]
    """Of each attempt in turn what is alike in others, and its own."""

    @property
    def kept(self) -> int:
        """How many attempts are kept."""
        return len(self.parts) // 2

    @property
    def requests(self) -> bytes:
        """`Observed.request` of its last attempt; empty if that is not known."""
        alike, own = self.parts[-2:]
        missing = alike[-1]
        begin = 8 * (3 + 6 - sum(missing[:6]))
        return b"" if missing[6] else own[begin : begin + _DIGEST_BYTES]

    @property
    def began(self) -> float:
        """When the first attempt that is kept began."""
        began: float = struct.unpack_from("<d", self.parts[1])[0]
        return began

    def unpacked(self) -> Call:
        """Return the call as it was."""
        call = Call(self.number)
        for alike, own in zip(self.parts[::2], self.parts[1::2], strict=True):
            call.add(_unpacked(self.number, alike, own))
        return call

    def with_attempt(self, packed: _Packed) -> PackedCall:
        """Return the call with one more attempt."""
        return PackedCall(self.number, self.parts + packed)


KeptCall = Call | PackedCall


class CallBatch:
    """Calls of which no more attempts may come, in one piece of bytes.

    If one does come, its call is in no batch any more: the batch still has it as it was.
    """

    __slots__ = ("_data", "began", "requests")

    def __init__(self, calls: list[PackedCall]) -> None:
        """Take some calls."""
        self.requests = b"".join([call.requests for call in calls])
        """What each asks."""
        self.began = min([call.began for call in calls], default=0.0)
        """When the first of them began."""
        self._data = marshal.dumps([(call.number, call.parts) for call in calls])

    def calls(self) -> dict[int, PackedCall]:
        """Return the calls, by their numbers."""
        rows = marshal.loads(self._data)  # noqa: S302 - it is our own
        return {number: PackedCall(number, parts) for number, parts in rows}


Kept = KeptCall | CallBatch
"""A call, or the batch that it is in."""


class KeptCalls:
    """Calls in the order in which their last attempts ended."""

    def __init__(self, latest: int = LATEST) -> None:
        """Put calls into batches, but for the ``latest``."""
        self.attempts = 0
        """How many are kept."""
        self._most_latest = latest
        self._old: dict[int, Call | CallBatch] = {}
        self._latest: dict[int, KeptCall] = {}
        self._alike: dict[Alike, Alike] = {}
        """What the latest have in common."""

    def __len__(self) -> int:
        """Return how many calls are kept."""
        return len(self._old) + len(self._latest)

    def add(self, attempt: SeenAttempt) -> None:
        """Add an attempt that has ended."""
        number = attempt.call
        before = self._latest.pop(number, None)
        if before is None and (old := self._old.pop(number, None)) is not None:
            before = old.calls()[number] if isinstance(old, CallBatch) else old
        self.attempts -= 0 if before is None else before.kept
        kept = self._latest[number] = kept_call(attempt, self._alike, before)
        self.attempts += kept.kept
        if len(self._latest) >= self._most_latest + BATCH:
            self._pack()

    def _pack(self) -> None:
        """Put the oldest of the latest into a batch, but those without a small form."""
        oldest = [self._latest.pop(number) for number in list(islice(self._latest, BATCH))]
        batch = CallBatch([call for call in oldest if isinstance(call, PackedCall)])
        for call in oldest:
            self._old[call.number] = batch if isinstance(call, PackedCall) else call
        self._alike.clear()

    def small(self, number: int) -> KeptCall:
        """Return a call in its small form, if it has one."""
        kept = self._latest.get(number) or self._old[number]
        return kept.calls()[number] if isinstance(kept, CallBatch) else kept

    def oldest(self, most: int) -> dict[int, Kept]:
        """Return so many calls, the oldest first, each as it is kept."""
        return dict(islice(chain(self._old.items(), self._latest.items()), most))

    def asked_behind(self, most: int, before: float, requests: Iterable[str]) -> list[str]:
        """Return which of some requests others than so many of the oldest may ask too.

        Only those are looked at that began before a time.
        """
        items = islice(chain(self._old.items(), self._latest.items()), most - 1, None)
        _, ends_in = next(items)  # this batch has some of the oldest too
        behind: dict[KeptCall | CallBatch, None] = {}
        for number, each in items:
            if isinstance(each, CallBatch) and each is ends_in:
                behind[each.calls()[number]] = None
            else:
                behind[each] = None
        near = [each for each in behind if each.began <= before]
        joined = b"".join([each.requests for each in near if not isinstance(each, Call)])
        whole = {each.last.seen.request for each in near if isinstance(each, Call)}
        return [each for each in requests if each in whole or _is_within(each, joined)]

    def pop_oldest(self, most: int) -> dict[int, Kept]:
        """Return `oldest`, and forget those."""
        found = self.oldest(most)
        for number, call in unpacked(found).items():
            self.attempts -= call.kept
            if self._old.pop(number, None) is None:
                del self._latest[number]
        return found


def _is_within(request: str, joined: bytes) -> bool:
    try:
        return bytes.fromhex(request) in joined
    except ValueError:  # a log may have anything
        return False


def unpacked(kept: dict[int, Kept]) -> dict[int, Call]:
    """Return calls as they were."""
    found: dict[int, Call] = {}
    batch: CallBatch | None = None
    calls: dict[int, PackedCall] = {}
    for number, each in kept.items():
        if not isinstance(each, CallBatch):
            found[number] = each.unpacked()
            continue
        if each is not batch:
            batch, calls = each, each.calls()
        found[number] = calls[number].unpacked()
    return found


def kept_call(
    attempt: SeenAttempt, known: dict[Alike, Alike], before: KeptCall | None = None
) -> KeptCall:
    """Return a call with an attempt that has ended, in its small form if it has one.

    ``before`` is the call as it was, if it had others. ``known`` has what is alike in others, at
    most `KINDS` of them: strangers choose it.
    """
    if len(known) > KINDS:
        known.clear()
    before = before or PackedCall(attempt.call, ())
    if isinstance(before, PackedCall) and before.kept < 2 * KEPT_AT_EITHER_END:
        packed = _packed(attempt, known)
        if packed is not None:
            return before.with_attempt(packed)
    whole = before.unpacked()
    whole.add(attempt)
    return whole


def _packed(attempt: SeenAttempt, known: dict[Alike, Alike]) -> _Packed | None:
    seen = attempt.seen
    seconds, tokens = _seconds_of(seen), _tokens_of(seen)
    digests = [*_digests_of(seen), *[each.text for each in seen.messages]]
    numbers = [each for each in (*seconds, *tokens) if each is not None]
    numbers = [attempt.began, attempt.ended, attempt.session, *numbers]
    if max(map(abs, numbers)) > _MOST:
        return None
    missing = tuple([each is None for each in (*seconds, *tokens, *digests)])
    told = [each for each in (*digests, *_inner_digests(seen)) if each is not None]
    joined = "".join(told)
    try:
        data = bytes.fromhex(joined)
    except ValueError:  # a log may have anything
        return None
    if data.hex() != joined or not set(map(len, told)) <= {2 * _DIGEST_BYTES}:
        return None
    alike = (
        attempt.method,
        attempt.host,
        attempt.path,
        attempt.status,
        attempt.kind,
        *_alike_of(seen),
        tuple([(each.role, *[result.tool for result in each.results]) for each in seen.messages]),
        missing,
    )
    return known.setdefault(alike, alike), struct.pack(f"<{len(numbers)}d", *numbers) + data


def _inner_digests(seen: Observed) -> Iterator[str]:
    """Return the digests that each message has, in order."""
    for message in seen.messages:
        yield message.before
        for each in message.results:
            yield from (each.arguments, each.call_id, each.result, each.prefix)


def _unpacked(call: int, alike: Alike, own: bytes) -> SeenAttempt:
    method, host, path, status, kind, *shared, messages, missing = alike
    count = 3 + 6 - sum(missing[:6])
    began, ended, session, *rest = struct.unpack_from(f"<{count}d", own)
    numbers, digests = iter(rest), _digests(own[8 * count :])
    seconds = [None if gone else next(numbers) for gone in missing[:4]]
    tokens = [None if gone else int(next(numbers)) for gone in missing[4:6]]
    values = [None if gone else next(digests) for gone in missing[6:10]]
    texts = [None if gone else next(digests) for gone in missing[10:]]
    told_of: dict[str, Any] = dict(zip(_NAMES, (*shared, *seconds, *tokens, *values), strict=True))
    seen = Observed(
        began_seconds=began,
        call=call,
        messages=tuple(
            [
                _message(role, text, tools, digests)
                for (role, *tools), text in zip(messages, texts, strict=True)
            ]
        ),
        **told_of,
    )
    place = call, told_of["attempt"], began, ended
    return SeenAttempt.made(seen, place, method, host, path, status, kind, session=int(session))


def _message(role: str, text: str | None, tools: list[str], digests: Iterator[str]) -> Message:
    before = next(digests)
    results = [
        ToolResult(
            tool=tool,
            arguments=next(digests),
            call_id=next(digests),
            result=next(digests),
            prefix=next(digests),
        )
        for tool in tools
    ]
    return Message(role=role, text=text, before=before, results=tuple(results))


def _digests(data: bytes) -> Iterator[str]:
    starts = range(0, len(data), _DIGEST_BYTES)
    return iter([data[start : start + _DIGEST_BYTES].hex() for start in starts])


# -- calls that need no judgement --------------------------------------------------------------


_Row = tuple[Any, ...]
"""Of an event method, host, path, status and kind as one tuple; session; milliseconds; and what is
known (`PlainValues`)."""
_MILLISECONDS, _CALL, _BEGAN = 2, 6, 7


@define(eq=False, repr=False)
class _Batch:
    began_first: float
    """When the first of its calls began."""
    ended_last: float
    rows: bytes


class PlainCalls:
    """The latest calls that need no judgement."""

    def __init__(self, most: int) -> None:
        """Keep ``most`` calls, and those that are in one batch with them."""
        self.count = 0
        """How many there were."""
        self._most_batches = -(-most // BATCH)
        self._batches: deque[_Batch] = deque()
        self._loose: list[_Row] = []
        self._requests: dict[Any, Any] = {}
        """What events have in common; it is written once a batch."""

    def add(self, event: ExchangeEnded, plain: PlainValues) -> None:
        """Add the event of an exchange, and what is known of it, which is plain."""
        self.count += 1
        request = _request_of(event)
        request = self._requests.setdefault(request, request)
        self._loose.append((request, event.session, event.milliseconds, *plain))
        if len(self._loose) == BATCH:
            self._pack()

    def _pack(self) -> None:
        rows = self._loose
        first = min([row[_BEGAN] for row in rows])
        last = max([row[_BEGAN] + row[_MILLISECONDS] / 1000 for row in rows])
        self._batches.append(_Batch(first, last + 0.001, marshal.dumps(rows)))
        rows.clear()
        self._requests.clear()
        if len(self._batches) > self._most_batches:
            self._batches.popleft()

    def between(self, since: float, until: float) -> Iterator[SeenAttempt]:
        """Return the attempts that were over between two times, in the order of `add`."""
        rows: list[_Row] = []
        for batch in self._batches:
            if batch.began_first <= until and batch.ended_last >= since:
                rows += marshal.loads(batch.rows)  # noqa: S302 - it is our own
        for each in map(_attempt_of, rows + self._loose):
            if since <= each.ended <= until:
                yield each


def _attempt_of(row: _Row) -> SeenAttempt:
    request, session, milliseconds, *plain = row
    seen, call, began = observed_of_plain(tuple(plain)), row[_CALL], row[_BEGAN]
    ended = round(began + milliseconds / 1000, 3)
    return SeenAttempt.made(seen, (call, 1, began, ended), *request, session=session)
