"""What the program made of answers that were not whole, seen from what it says next."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import inf

from attrs import frozen

from faultinject.observed import Failure, Message
from faultinject.report.attempt import AT_ONCE_SECONDS, SeenAttempt
from faultinject.report.finding import Judged, Known
from faultinject.report.history import SETTLED_SECONDS, History
from faultinject.report.thresholds import Thresholds

NOTICED_LATE_SECONDS = 0.1
"""So late the end of an answer may be noticed, at most: a client that gives a stream up asks for
the next thing at once, and on a busy machine that is read first."""

TRUNCATION_MISSED = Known(
    "truncation-missed",
    "error",
    "took a part of an answer for the whole",
    "A good client takes a stream for whole only if its last event came (`message_stop`, `[DONE]`,"
    " `response.completed`).",
)
ERROR_EVENT_MISSED = Known(
    "error-event-missed",
    "error",
    "took an answer that ended with an error for the whole",
    "A good client looks for an error in each event of a stream, though the status was 200.",
)
MALFORMED_IGNORED = Known(
    "malformed-ignored",
    "error",
    "passed over an event that it could not read",
    "A good client gives an answer up when an event of its stream is no JSON, since a part of the"
    " answer was in it.",
)
RESUMED = Known(
    "resumed",
    "note",
    "went on from where an answer broke off",
    "A good client that goes on from a part of an answer checks that the rest fits.",
)
NOT_TRIED_AGAIN = Known(
    "not-tried-again",
    "note",
    "did not ask again after a part of an answer",
    "A good client asks again, or says that the answer is not whole.",
)
WORK_REPEATED = Known(
    "work-repeated",
    "note",
    "paid twice for answers that were lost",
    "A good client keeps what it was sent of an answer, if it can go on from there.",
)


def truncation_missed(history: History, _: Thresholds) -> Judged:
    """Look for parts of answers that the program carries on with."""
    return _missed(history, "truncated", "no stream ended without its last event")


def error_event_missed(history: History, _: Thresholds) -> Judged:
    """Look for answers with an error in their stream that the program carries on with."""
    return _missed(history, "error-event", "no stream had an error event")


def malformed_ignored(history: History, _: Thresholds) -> Judged:
    """Look for answers with an unreadable event that the program carries on with."""
    return _missed(history, "malformed", "no event of a stream was made unreadable")


def resumed(history: History, _: Thresholds) -> Judged:
    """Look for requests that end with a part of an answer, for the model to go on from."""
    judged = Judged("no request followed that goes on from a part of an answer")
    for part in _parts(history):
        if part.carried is not None and part.carried.is_last:
            judged.calls.append(part.attempt.call)
            judged.find(
                "note",
                f"{_WHAT[part.failure]}; the next request ends with what had come",
                calls=[part.attempt.call, part.carried.call],
            )
    return judged


def not_tried_again(history: History, _: Thresholds) -> Judged:
    """Look for parts of answers after which the conversation is over."""
    judged = Judged("no stream broke off, or too late to tell")
    parts = list(_parts(history))
    tried = {_asked_prefix(part.attempt) for part in parts if _is_tried_again(history, part)}
    for part in parts:
        has_tried = _asked_prefix(part.attempt) in tried  # it may have given up later
        if has_tried or _is_followed(history, part) or part.attempt.client_left:
            judged.calls.append(part.attempt.call)
        elif history.nothing_follows(part.attempt):
            judged.calls.append(part.attempt.call)
            judged.find(
                "note", f"{_WHAT[part.failure]}, and nothing followed", calls=[part.attempt.call]
            )
    return judged


def work_repeated(history: History, _: Thresholds) -> Judged:
    """Add up the tokens of answers that came to nothing and were asked for again."""
    judged = Judged("no answer that told of tokens was lost and asked for again")
    tokens_in = tokens_out = 0
    for call in history.calls:
        for each in call.attempts[:-1]:
            lost = (each.seen.input_tokens or 0, each.seen.output_tokens or 0)
            if each.failure is not None and any(lost):
                judged.calls.append(each.call)
                tokens_in, tokens_out = tokens_in + lost[0], tokens_out + lost[1]
    if lost_answers := len(judged.calls):
        calls, all_calls = (
            list(dict.fromkeys(judged.calls)),
            [each.number for each in history.calls],
        )
        judged.find(
            "note",
            f"{history.counted(tokens_in, all_calls)} token{'' if tokens_in == 1 else 's'} of input"
            f" and {tokens_out} of output were paid for in"
            f" {history.counted(lost_answers, all_calls)} lost"
            f" answer{'' if lost_answers == 1 else 's'}",
            calls=calls,
            of_calls=len(calls),
        )
    return judged


_WHAT: dict[Failure, str] = {
    "truncated": "the stream ended without its last event",
    "error-event": "the stream ended with an error event",
    "malformed": "an event of the stream was no JSON",
}


@frozen
class _Carried:
    """A later request that has a part of an answer among its messages."""

    call: int
    is_last: bool
    """Whether the part is its last message."""


@frozen
class _Part:
    """An answer of which a part was delivered, and what came next of its conversation."""

    attempt: SeenAttempt
    failure: Failure
    asked_again: bool = False
    """Whether the same request came again next."""
    continued: bool = False
    """Whether one came next that has its messages and more."""
    carried: _Carried | None = None
    """That one, if the next of its messages is the part."""


def _is_tried_again(history: History, part: _Part) -> bool:
    """Return True if the same was asked again, from its beginning or from where it broke off."""
    if part.carried is not None and part.carried.is_last:
        return True
    asked = _asked_prefix(part.attempt)
    if _is_asked_since(history.by_prefix.get(asked, ()), part.attempt):
        return True
    is_whole = asked == part.attempt.seen.prefix  # then what goes on from it is no other attempt
    return not is_whole and _is_asked_since(history.continuing(asked), part.attempt)


def _is_followed(history: History, part: _Part) -> bool:
    """Return True if the conversation goes on, or may: another like it may have been asked."""
    prefix = part.attempt.seen.prefix or ""
    return part.continued or _is_asked_since(history.continuing(prefix), part.attempt)


def _is_asked_since(attempts: Sequence[SeenAttempt], part: SeenAttempt) -> bool:
    """Return True if one of some attempts began since an answer began to come.

    A client may leave a stream open that it has given up, so its end may come much later.
    """
    return _first_since(attempts, part.head or part.ended, part) is not None


def _asked_prefix(attempt: SeenAttempt) -> str:
    """Return the prefix of what is asked: an answer's part, to go on from, is none of it."""
    messages = attempt.seen.messages
    if len(messages) > 1 and messages[-1].role == "assistant":
        return messages[-1].before
    return attempt.seen.prefix or ""


def _missed(history: History, failure: Failure, why_not: str) -> Judged:
    judged = Judged(f"{why_not}, or nothing followed in its conversation")
    for part in _parts(history):
        if part.failure != failure or not (part.asked_again or part.continued):
            continue
        judged.calls.append(part.attempt.call)
        if part.carried is not None and not part.carried.is_last:
            judged.find(
                "error",
                f"{_WHAT[failure]}; call {part.carried.call} has what had come as the"
                " assistant's answer",
                calls=[part.attempt.call, part.carried.call],
            )
    return judged


def _parts(history: History) -> Iterator[_Part]:
    for each in history.attempts:
        if (
            each.ended > history.last_unseen  # else the whole answer may not have been seen
            and history.is_known_before(each, SETTLED_SECONDS)
            and each.failure in _WHAT
            and each.seen.delivered is not None
            and each.seen.prefix is not None
        ):
            yield _part(history, each, each.failure, each.seen.prefix)


def _part(history: History, attempt: SeenAttempt, failure: Failure, prefix: str) -> _Part:
    noticed = _noticed(attempt)
    again = _first_since(history.by_prefix[prefix], noticed, attempt)
    after = _first_since(history.continuing(prefix), noticed, attempt)
    if after is None or (again is not None and again.began <= after.began):
        return _Part(attempt, failure, asked_again=again is not None)
    place, message = _message_behind(after, prefix)
    is_part = message.role == "assistant" and message.text == attempt.seen.delivered
    # If the same had a whole answer too, the text may be that answer's.
    was_whole = history.answered_at.get(prefix, inf) <= after.began
    if not is_part or was_whole:
        return _Part(attempt, failure, continued=True)
    is_last = place == len(after.seen.messages) - 1
    return _Part(attempt, failure, continued=True, carried=_Carried(after.call, is_last))


def _noticed(attempt: SeenAttempt) -> float:
    """Return when the client may have noticed that an answer broke off, at the soonest."""
    quiet = min(attempt.seen.quiet_seconds or 0.0, NOTICED_LATE_SECONDS)
    return max(attempt.head or 0.0, attempt.ended - quiet - AT_ONCE_SECONDS)


def _message_behind(attempt: SeenAttempt, prefix: str) -> tuple[int, Message]:
    return next(
        (place, message)
        for place, message in enumerate(attempt.seen.messages)
        if message.before == prefix
    )


def _first_since(
    attempts: Sequence[SeenAttempt], seconds_: float, but: SeenAttempt
) -> SeenAttempt | None:
    """Return the first of some attempts, given in order, that began since; another than one."""
    start = bisect_left(attempts, seconds_, key=lambda each: each.began)
    if start < len(attempts) and attempts[start] is but:
        start += 1
    return attempts[start] if start < len(attempts) else None
