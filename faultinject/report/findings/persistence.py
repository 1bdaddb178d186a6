"""How often and how long the program tries again."""

from __future__ import annotations

from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call
from faultinject.report.finding import Judged, Known
from faultinject.report.findings.repeats import (
    NOT_REPEATED,
    paces_of,
    same_pace_elsewhere,
    unasked,
)
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import seconds

RETRY_STORM = Known(
    "retry-storm",
    "error",
    "tried again far too often",
    "A good client gives up after a few attempts, and spends no more on retries than on calls.",
)
ENDLESS_RETRY = Known(
    "endless-retry",
    "warning",
    "does not stop trying",
    "A good client gives up after some attempts, or some time, and says what is wrong.",
)


def retry_storm(history: History, limits: Thresholds) -> Judged:
    """Look for many attempts of a call, or of all calls together, in a minute."""
    judged = Judged(NOT_REPEATED)
    retries: list[SeenAttempt] = []
    for call in history.repeated:
        again = [other for _, other in unasked(call, limits)]
        if not again:
            continue
        judged.calls.append(call.number)
        retries += again
        most = _most_within([call.attempts[0], *again], limits.window_seconds)
        if most > limits.storm_attempts and not _backs_off(call, limits):
            judged.find(
                "error",
                f"{history.counted(most, [call.number])} attempts within"
                f" {seconds(limits.window_seconds)}",
                calls=[call.number],
            )
    _judge_budget(history, retries, judged, limits)
    return judged


def _judge_budget(
    history: History, retries: list[SeenAttempt], judged: Judged, limits: Thresholds
) -> None:
    """Look for a minute in which retries outnumber calls."""
    if len(retries) <= limits.storm_retries_per_call * limits.storm_calls:
        return
    counted = {id(each) for each in retries}
    window: list[SeenAttempt] = []
    start, again = 0, 0
    calls: dict[int, int] = {}
    for each in history.attempts:
        window.append(each)
        calls[each.call] = calls.get(each.call, 0) + 1
        again += id(each) in counted
        while window[start].began < each.began - limits.window_seconds:
            gone = window[start]
            again -= id(gone) in counted
            calls[gone.call] -= 1
            if not calls[gone.call]:
                del calls[gone.call]
            start += 1
        if len(calls) >= limits.storm_calls and again > limits.storm_retries_per_call * len(calls):
            judged.find(
                "error",
                f"{history.counted(again, calls)} further attempts of {len(calls)} calls within"
                f" {seconds(limits.window_seconds)}",
                calls=list(calls),
            )
            return


def endless_retry(history: History, limits: Thresholds) -> Judged:
    """Look for calls that are tried without an end."""
    judged = Judged(NOT_REPEATED)
    for call in history.repeated:
        judged.calls.append(call.number)
        trying = _trying_seconds(call, limits)
        many = call.count >= limits.endless_attempts
        if not (many or trying >= limits.endless_seconds) or _is_probe(history, call, limits):
            continue
        first, last = call.attempts[0], call.attempts[-1]
        judged.find(
            "error" if call.count >= limits.endless_attempts_error else "warning",
            f"{call.count} attempts in {seconds(last.began - first.began)}",
            calls=[call.number],
        )
    return judged


def _backs_off(call: Call, limits: Thresholds) -> bool:
    gaps = [one.gap_to(other) for one, other in call.repeats()]
    longest = max(gaps)
    return longest >= limits.backed_off_seconds and longest >= limits.backed_off_times * min(gaps)


def _most_within(attempts: list[SeenAttempt], window: float) -> int:
    """Return how many attempts began within a time, at most. They come in order."""
    most = start = 0
    for place, each in enumerate(attempts):
        while attempts[start].began < each.began - window:
            start += 1
        most = max(most, place - start + 1)
    return most


def _trying_seconds(call: Call, limits: Thresholds) -> float:
    """Return how long a call was tried, without the waits that were asked for.

    Nor do attempts count that the client itself ended: it waited for an answer then. A pause
    counts as a minute at most.
    """
    total = 0.0
    for one, other in call.repeats():
        asked_wait = min(one.gap_to(other), one.seen.wait_asked_seconds or 0.0)
        own = min(one.gap_to(other) - asked_wait, limits.longest_counted_pause_seconds)
        total += own + (0.0 if one.client_left else one.ended - one.began)
    return total


def _is_probe(history: History, call: Call, limits: Thresholds) -> bool:
    """Return True if attempts come at no more than the pace that the program has anyway."""
    slow = min(paces_of(call)) >= limits.probe_seconds
    return slow and same_pace_elsewhere(history, call, limits)
