"""What the findings on pace have in common: repeats, and how fast they come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call
from faultinject.report.findings.waits import kept_wait
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds

Repeat = tuple[SeenAttempt, SeenAttempt]
"""A failed attempt, and the one that followed it."""
NOT_REPEATED = "no call whose attempts are surely its own was tried again"


def unasked(call: Call, limits: Thresholds) -> list[Repeat]:
    """Return the repeats whose time was the program's own choice."""
    return [(one, other) for one, other in call.repeats() if not kept_wait(one, other, limits)]


def same_pace_elsewhere(history: History, call: Call, limits: Thresholds) -> bool:
    """Return True if the program asks at the pace of a call's attempts where nothing failed."""
    attempts = call.attempts
    own = paces_of(call)
    if not own or not is_even(own, limits):
        return False  # it has no pace of its own
    least, most = min(own) * (1 - limits.probe_part), max(own) * (1 + limits.probe_part)
    return any(
        least <= other.began - one.began <= most
        for one, other in pairwise(history.around(attempts[0], attempts[-1]))
        if one.failure is None and one.call != call.number
    )


def paces(attempts: list[SeenAttempt]) -> list[float]:
    """Return the times from the beginning of each attempt to that of the next."""
    return [other.began - one.began for one, other in pairwise(attempts)]


def paces_of(call: Call) -> list[float]:
    """Return the same of a call, as far as its attempts are kept."""
    pairs = pairwise(call.attempts)
    return [other.began - one.began for one, other in pairs if other.number == one.number + 1]


def how_often(history: History, number: int, calls: Iterable[int]) -> str:
    """Return what to add to a sentence about the first of several times; empty if it is one."""
    return "" if number == 1 else f", {history.counted(number, calls)} times"


def is_even(times: list[float], limits: Thresholds) -> bool:
    """Return True if times are nearly the same."""
    return max(times) <= min(times) * (1 + 2 * limits.probe_part)
