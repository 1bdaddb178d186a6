"""Attempts that two layers of a program make.

A loop that asks the same several times, in calls that fail, sends the very same requests as a layer
around the SDK that tries again. Two things tell them apart: who tries again stops as soon as one
attempt succeeds, and pauses before each (longer each time, if none succeeds).
"""

from __future__ import annotations

from itertools import pairwise

from faultinject.report.attempt import SeenAttempt
from faultinject.report.finding import Judged, Known, Unclear
from faultinject.report.findings.repeats import how_often
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import seconds

RETRIES_NESTED = Known(
    "retries-nested",
    "warning",
    "tried again in two layers",
    "A good program retries in one layer, since two multiply their attempts: set the SDK's"
    " max_retries to 0, or leave retrying to it.",
)
PAUSE_SECONDS = 0.5
"""A loop over several questions goes on sooner, mostly."""
GROWTH = 1.5
"""Each pause of a layer that backs off is so many times as long as the one before it."""
_Restart = tuple[SeenAttempt, SeenAttempt]
"""The last attempt of an SDK that gave up, and the next, which it counts as a first."""


def retries_nested(history: History, limits: Thresholds) -> Judged:
    """Look for an SDK's count that begins again, since something around the SDK tries again."""
    judged = Judged("no client that counts its attempts failed at the last of several")
    for request, attempts in history.by_request.items():
        failed = [pair for pair in pairwise(attempts) if _counts_and_failed(pair[0])]
        restarts = [pair for pair in failed if _begins_again(*pair, limits)]
        if restarts:
            why_not = _why_not(history, request, attempts, restarts)
            if why_not:
                judged.unclear[restarts[0][0].call] = Unclear(why_not)
                continue
            _tell(history, judged, restarts)
        judged.calls += [one.call for one, _ in failed]
    return judged


def _tell(history: History, judged: Judged, restarts: list[_Restart]) -> None:
    first, second = restarts[0]
    calls = dict.fromkeys([first.call, *(other.call for _, other in restarts)])
    judged.find(
        "warning",
        f"the SDK had tried {(first.seen.retry_count or 0) + 1} times and failed; after"
        f" {seconds(first.gap_to(second))} it began again at 0"
        f"{how_often(history, len(restarts), calls)}",
        calls=calls,
    )


def _counts_and_failed(attempt: SeenAttempt) -> bool:
    return (attempt.seen.retry_count or 0) > 0 and attempt.worth_repeating


def _begins_again(one: SeenAttempt, other: SeenAttempt, limits: Thresholds) -> bool:
    wait = one.seen.wait_asked_seconds or 0.0
    latest = max(limits.window_seconds, wait + limits.window_seconds)
    return other.seen.retry_count == 0 and 0 <= one.gap_to(other) <= latest


def _why_not(
    history: History, request: str, attempts: list[SeenAttempt], restarts: list[_Restart]
) -> str:
    """Return why it cannot be told that a layer around the SDK tries again; empty if it can."""
    if request in history.doubtful:
        return "equal requests overlapped, or took several connections in turn"
    if any(one.succeeded for one, _ in pairwise(attempts)):
        return "the program asked the same again after a good answer, too"
    if any(one.head is not None and one.failure != "answer" for one, _ in restarts):
        return "the SDK may have taken the answer that broke off for a good one"
    if any(one.session != other.session for one, other in restarts):
        return "the SDK's count began again at 0 on another connection, perhaps of another program"
    if not _is_layer(history, attempts, restarts):
        return (
            "the SDK's count began again at 0, but a loop that asks the same several times looks"
            " the same"
        )
    return ""


def _is_layer(history: History, attempts: list[SeenAttempt], restarts: list[_Restart]) -> bool:
    """Return True if restarts pause, and stop at the first success or pause longer each time."""
    pauses = [one.gap_to(other) for one, other in restarts]
    if min(pauses) < PAUSE_SECONDS:
        return False
    stops = attempts[-1].succeeded and history.is_known_behind(attempts[-1])
    grows = all(other >= GROWTH * one for one, other in pairwise(pauses))
    return stops or (grows and len(pauses) > 1)
