"""Attempts that could not help."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from faultinject.report.attempt import SeenAttempt
from faultinject.report.finding import Judged, Known, Unclear
from faultinject.report.findings.repeats import Repeat, how_often
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import seconds

RETRIED_IN_VAIN = Known(
    "retried-in-vain",
    "warning",
    "sent again what had failed for good",
    "A good client gives up when the API says that a request is wrong, or that nothing is left to"
    " spend, and says so.",
)
_AS_SDKS_DO = (
    "as SDKs do that take it for throttling; to have it judged, have a 402 say the same"
    " (--rule 'respond 402 failure=spend-cap')"
)
_REPEATABLE = ("GET", "HEAD", "OPTIONS")
_OF_CREDENTIALS = (401, 403)
_FINAL_QUOTA = (400, 402, 403)
"""Statuses after which nobody tries again, whatever is said; a 429 may be a throttled request."""
_THROTTLED = 429
_SDKS_RETRIES = 2
"""So many further attempts the SDKs make after a 429 unless they are told otherwise: no more than
these say nothing of the program."""


def retried_in_vain(history: History, limits: Thresholds) -> Judged:
    """Look for requests that are sent once more after they failed for good."""
    judged = Judged("no request failed with a status after which nobody tries again")
    for attempts in history.by_body.values():
        judged.calls += [each.call for each in attempts if _failed_for_good(each)]
        again = _again_in_vain(history, attempts, limits)
        if again:
            calls = _calls_of(again)
            judged.find("warning", _in_words(history, again), calls=calls)
            continue
        again = _again_without_quota(history, attempts, limits)
        if len(again) > _SDKS_RETRIES:
            unclear = Unclear(_AS_SDKS_DO, _in_words(history, again))
            judged.unclear |= dict.fromkeys(_calls_of(again), unclear)
    return judged


def _calls_of(again: list[Repeat]) -> list[int]:
    return list(dict.fromkeys([again[0][0].call, *(other.call for _, other in again)]))


def _in_words(history: History, again: list[Repeat]) -> str:
    first, second = again[0]
    return (
        f"{first.status} ({first.failure_kind}), and the same request again after"
        f" {seconds(first.gap_to(second))}{how_often(history, len(again), _calls_of(again))}"
    )


def only_in_vain(history: History, limits: Thresholds) -> frozenset[int]:
    """Return the calls of which no attempt could help but the first: their pace matters little."""
    groups = (_again_in_vain(history, each, limits) for each in history.by_body.values())
    found = {one.call for again in groups for one, _ in again}
    return frozenset(
        call.number
        for call in history.repeated
        if call.number in found
        and all(_failed_for_good(each) for each in call.attempts if each.failure is not None)
    )


def _again_in_vain(
    history: History, attempts: list[SeenAttempt], limits: Thresholds
) -> list[Repeat]:
    """Return those of equal attempts that failed for good, with the next, which was in vain."""
    return _again(history, attempts, limits, _failed_for_good)


def _again_without_quota(
    history: History, attempts: list[SeenAttempt], limits: Thresholds
) -> list[Repeat]:
    """Return those that a 429 told that a quota is used up, and no wait, with the next."""
    return _again(history, attempts, limits, _may_be_throttled)


def _again(
    history: History,
    attempts: list[SeenAttempt],
    limits: Thresholds,
    is_meant: Callable[[SeenAttempt], bool],
) -> list[Repeat]:
    again = [
        (one, other)
        for one, other in pairwise(attempts)
        if is_meant(one) and _repeats(history, one, other, limits)
    ]
    return [] if again and history.is_doubtful(again[0][0]) else again


def _may_be_throttled(attempt: SeenAttempt) -> bool:
    return (
        attempt.failure == "answer"
        and attempt.failure_kind == "quota"
        and attempt.status == _THROTTLED
        and attempt.seen.wait_asked_seconds is None
        and attempt.method not in _REPEATABLE
    )


def _failed_for_good(attempt: SeenAttempt) -> bool:
    quota = attempt.failure_kind == "quota" and attempt.status in _FINAL_QUOTA
    return (
        attempt.failure == "answer"
        and (quota or attempt.failure_kind == "final")
        and attempt.method not in _REPEATABLE
    )


def _repeats(history: History, one: SeenAttempt, other: SeenAttempt, limits: Thresholds) -> bool:
    """Return True if a request with the same body is in vain after another: nothing has changed."""
    same = one.seen.credential == other.seen.credential
    if not same or not 0 <= one.gap_to(other) <= limits.window_seconds:
        return False
    if one.status in _OF_CREDENTIALS:
        return one.seen.credential is not None and not _asked_for_token(history, one, other)
    return True


def _asked_for_token(history: History, one: SeenAttempt, other: SeenAttempt) -> bool:
    return any(began <= other.began and ended >= one.known for began, ended in history.logins)
