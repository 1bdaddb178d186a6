"""How an exchange ended, and whether and how it failed as an attempt of a call."""

from __future__ import annotations

import re
import time
from typing import Any, Protocol, TypeVar

from attrs import define

from faultinject.events import Outcome
from faultinject.http.message import ResponseHead
from faultinject.matchers import MISSING
from faultinject.observed import Failure, FailureKind, Taken, WaitAskedBy
from faultinject.providers.framing import StreamEvent
from faultinject.providers.provider import Provider
from faultinject.providers.retries import HEADERS_READ, asked_wait, failure_kind, should_retry
from faultinject.providers.shape import framing_of
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.traffic_copy import ANSWER_BYTES, TrafficCopy, uncoded
from faultinject.rules.attempts import Ended
from faultinject.rules.facts import parsed_json
from faultinject.seen import AnswerPart, rounded


class Over(Protocol):
    """Something that knows how an exchange ended: an `ExchangeEnd`, or the exchange itself."""

    @property
    def outcome(self) -> Outcome:
        """As of `ExchangeEnd`."""

    @property
    def head(self) -> ResponseHead | None:
        """As of `ExchangeEnd`."""

    @property
    def fault_filter(self) -> FaultFilter | None:
        """As of `ExchangeEnd`."""

    @property
    def answered(self) -> bool:
        """As of `ExchangeEnd`."""


@define(eq=False, repr=False)
class ExchangeEnd:
    """What is known of an exchange at its end. Nobody changes it; not frozen, as `Observed`."""

    outcome: Outcome
    head: ResponseHead | None
    """The head of the response that the client was sent; None if none had begun."""
    fault_filter: FaultFilter | None = None
    answered: bool = True
    """Whether the client was sent a whole response."""


def ended(
    end: ExchangeEnd,
    provider: Provider,
    errors: WholeErrors,
    now_seconds: float,
    head_seconds: float | None = None,
    unix_seconds: float | None = None,
) -> Ended:
    """Return how an attempt ended, for rules that count them. Times are the run's.

    ``head_seconds`` is when the response's head had been sent, if that is known; ``unix_seconds``
    is when it ended as Unix time, if that is not now.

    A rule made it fail if it answered in the API's place, harmed the response, or took so long
    that the client left. The API made it fail if its response never came, broke off, or shows that
    a retry may help. A client that left for any other reason had no failure.
    """
    if not _failed(end, provider):
        return Ended(now_seconds)
    if end.head is None:
        return Ended(now_seconds, failed=True)
    unix_seconds = time.time() if unix_seconds is None else unix_seconds
    is_final, wait = errors.told_by(provider, end.head, unix_seconds)
    if not end.answered:
        return Ended(now_seconds, failed=True, asked_wait_seconds=wait)
    is_error = end.head.status >= 400
    worth = not is_final if is_error else framing_of(end.head) is not None  # it is within
    return Ended(
        now_seconds,
        failed=True,
        is_worth_repeating=worth,
        asked_wait_seconds=wait,
        known_seconds=head_seconds,
    )


def _failed(end: ExchangeEnd, provider: Provider) -> bool:
    if end.outcome == "upstream-error":
        return True
    if end.outcome in ("injected", "harmed") and _failed_by_rule(end):
        return True
    if end.head is None or end.outcome in ("injected", "refused"):
        return False
    return provider.is_transient(end.head)


def is_good(end: Over) -> bool:
    """Return True for a whole response that is no error, and that no rule made or harmed."""
    if not end.answered or end.head is None or end.head.status >= 400:
        return False
    return end.outcome not in ("injected", "harmed") or not _failed_by_rule(end)


def _failed_by_rule(end: Over) -> bool:
    fault_filter = end.fault_filter
    if fault_filter is None or fault_filter.harmed or not end.answered:
        return True
    return end.outcome == "injected" and not fault_filter.plan.stream


# For the findings: how it failed

REMEMBERED = 64
"""How many errors are remembered."""
LONGEST_ERROR = 4096
"""One of more bytes is not: to tell whether it was seen before would take as long as to read it."""
_BY_DATE: WaitAskedBy = "retry-after-date"
"""Then the wait depends on when it is asked."""
_ID = re.compile(rb"(?=\D*\d)[\w:-]{16,}")
"""An id of a request that is nothing else. A shorter one, such as a mock's counter, may be in the
text by chance: 5 in "wait 15 s". One without digits may be a word that is read, one with quotes may
be JSON."""
Said = TypeVar("Said")


class WholeErrors:
    """What whole answers that are errors say. The same ones come again and again.

    They are the same but for the id that each has: APIs repeat it in the body. Of an API only the
    statuses that are transient decide what they say; not its name, which told hosts share.
    """

    def __init__(self) -> None:
        self._remembered: dict[int, AnswerPart] = {}
        self._told_by_heads: dict[int, tuple[bool, float]] = {}

    def told_by(
        self, provider: Provider, head: ResponseHead, unix_seconds: float
    ) -> tuple[bool, float]:
        """Return whether a head tells of a final failure, and how long it asks to wait.

        ``unix_seconds`` is when it ended.
        """
        key = hash((provider.transient, head.status, *_read_of(head)))
        told = self._told_by_heads.get(key)
        if told is None:
            part = _part_of(provider, head, b"", unix_seconds)
            _, _, kind, seconds, *_ = part
            told = kind == "final", seconds or 0.0
            _remember(self._told_by_heads, key, told, part)
        return told

    def part_of(
        self, provider: Provider, head: ResponseHead, body: bytes | None, unix_seconds: float
    ) -> AnswerPart:
        """Return what is seen of an error; ``body`` is None if it is not known.

        ``unix_seconds`` is when it ended.
        """
        if body is None or len(body) > LONGEST_ERROR or head.has_header(b"content-encoding"):
            return _part_of(provider, head, body, unix_seconds)
        pieces = _without_id(provider, head, body)
        key = hash((provider.transient, head.status, *_read_of(head), *pieces))
        part = self._remembered.get(key)
        if part is None:
            part = _part_of(provider, head, body, unix_seconds)
            _remember(self._remembered, key, part, part)
        return part


def _remember(remembered: dict[int, Said], key: int, said: Said, part: AnswerPart) -> None:
    """Remember what an error says, unless that depends on when it is asked."""
    if _BY_DATE in part:
        return
    if len(remembered) >= REMEMBERED:
        remembered.clear()
    remembered[key] = said


def _without_id(provider: Provider, head: ResponseHead, body: bytes) -> list[bytes]:
    """Return the pieces of an error between the ids of its request, unless that may be text."""
    id_ = head.find(provider.request_id_header) if provider.request_id_header else None
    return [body] if id_ is None or not _ID.fullmatch(id_) else body.split(id_)


def _read_of(head: ResponseHead) -> list[tuple[bytes, bytes]]:
    """Return the headers of an error that are read."""
    places, headers = head.places, head.headers
    return [headers[places[name]] for name in HEADERS_READ if name in places]


def _part_of(
    provider: Provider, head: ResponseHead, body: bytes | None, unix_seconds: float
) -> AnswerPart:
    document = document_of(head, body)
    kind = failure_kind(provider, head, document)
    seconds, by = asked_wait(head, document, unix_seconds) or (None, None)
    seconds = None if seconds is None else rounded(seconds)
    return "whole", "answer", kind, seconds, by, should_retry(head), None, None, None


def document_of(head: ResponseHead, body: bytes | None) -> Any:
    """Return an answer as a JSON value; None if it is none, or ``body`` is not known."""
    value = parsed_json(body) if (body := uncoded(head, body, ANSWER_BYTES)) else MISSING
    return None if value is MISSING else value


def failure_of(
    fault_filter: FaultFilter | None,
    copy: TrafficCopy,
    provider: Provider,
    path: str,
    how: Taken,
) -> tuple[Failure, FailureKind] | None:
    """Return how an exchange failed; None if it did not, or if the client left for no failure.

    Not for a whole answer that is an error (`WholeErrors`).
    """
    if fault_filter is not None and how != "whole" and _is_silent(fault_filter):
        return "stalled", "transient"
    if how in ("left", "reset", "stopped"):
        return _left_because(fault_filter)
    head = copy.head
    if head is None:
        return "no-answer", "transient"
    failure: Failure | None
    if copy.tail is not None and head.status < 400:
        failure = _of_stream(fault_filter, copy.tail.last, provider, path, how)
    else:
        failure = "cut" if how == "broken" else None
    return None if failure is None else (failure, "transient")


def was_made_unreadable(end: ExchangeEnd, copy: TrafficCopy, how: Taken) -> bool:
    """Return True if a rule made a whole answer, which is no stream, what it is, and no JSON.

    What it is not known of, as it was too long, is no such answer.
    """
    if copy.head is None or how != "whole" or copy.tail is not None or is_good(end):
        return False
    body = copy.whole_answer
    return body is not None and document_of(copy.head, body) is None


def _is_silent(fault_filter: FaultFilter) -> bool:
    """Return whether the plan has the answer fall silent, and that has begun."""
    stalls = any(each.action.causes == "stalled" for each in fault_filter.plan.stream)
    return fault_filter.silent or (stalls and fault_filter.done)


def _of_stream(
    fault_filter: FaultFilter | None,
    last: StreamEvent | None,
    provider: Provider,
    path: str,
    how: Taken,
) -> Failure | None:
    """Return how a stream failed; ``last`` is its last event."""
    harm = _harm(fault_filter)
    if harm == "error-event" or is_error_event(last):
        return "error-event"
    is_harmed = fault_filter is not None and fault_filter.harmed
    if how == "broken" or (is_harmed and not provider.shape_of(path).ends_with(last)):
        return "truncated"
    return harm


def _left_because(fault_filter: FaultFilter | None) -> tuple[Failure, FailureKind] | None:
    """Return what an answer had that made its client leave, if that is known."""
    harm = _harm(fault_filter)
    return None if harm is None else (harm, "transient")


def _harm(fault_filter: FaultFilter | None) -> Failure | None:
    """Return which failure a rule has put within a stream."""
    if fault_filter is None or not fault_filter.harmed:
        return None
    seen = {each.action.causes for each in fault_filter.plan.stream}
    harms: tuple[Failure, ...] = ("error-event", "malformed")
    return next((harm for harm in harms if harm in seen), None)


_ERROR = re.compile(rb'\s*\{\s*"(?:error"|type"\s*:\s*"error")')


def is_error_event(last: StreamEvent | None) -> bool:
    """Return True if an event is an error: by its name, of Amazon's by its type, or by its data."""
    if last is None:
        return False
    name = last.name or ""
    return name == "error" or name.endswith("Exception") or bool(_ERROR.match(last.data))
