"""Tools that were run twice, because a part of a conversation was lived through twice."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise

from attrs import frozen

from faultinject.observed import ToolResult
from faultinject.report.attempt import ROUNDING_SECONDS, SeenAttempt, begun_within
from faultinject.report.finding import Judged, Known, Severity
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds

REPEATED_EFFECTS = Known(
    "repeated-effects",
    "warning",
    "ran a tool again that had run",
    "A good agent keeps the results of its tools, and goes on from them after a failure.",
)


@frozen
class _ToolRun:
    """The results that a request brings of one tool and its arguments, called in one place."""

    attempt: SeenAttempt
    results: frozenset[tuple[str, str]]
    """Digests of the ids and of the results."""

    @property
    def ids(self) -> frozenset[str]:
        """Digests of the ids by which the model called."""
        return frozenset(call_id for call_id, _ in self.results)


def repeated_effects(history: History, limits: Thresholds) -> Judged:
    """Look for second results of a tool, with the same arguments, at the same place.

    The first result must have been lost with a failed attempt, and for another call of the tool
    the model must have been asked once more. So neither polling nor a history that carries old
    results is taken for it.
    """
    judged = Judged("no request failed that brought the result of a tool")
    for (prefix, tool, _), runs in _runs(history).items():
        for one, other in pairwise(runs):
            lost = _lost(history, prefix, one, other)
            if lost is None:
                continue
            judged.calls.append(one.attempt.call)
            if how := _how_repeated(one, other, lost):
                severity: Severity = "error" if tool in limits.effects else "warning"
                judged.find(
                    severity,
                    f"{tool} was run twice with the same arguments: {how}",
                    calls=[one.attempt.call, other.attempt.call],
                )
    return judged


def _lost(history: History, prefix: str, one: _ToolRun, other: _ToolRun) -> SeenAttempt | None:
    """Return the failed attempt with which a first result was lost, if a second followed.

    It is the last that went on from the place before the model was asked there again, or before
    the second result came.
    """
    if prefix in history.crowded:
        return None  # several conversations are there at once
    attempts, ended = history.by_prefix.get(prefix, []), one.attempt.ended
    again = [
        each
        for each in begun_within(attempts, ended, other.attempt.began - ended)
        if each.ended <= other.attempt.began + ROUNDING_SECONDS
    ]
    until = (again[0] if again else other.attempt).began
    later = history.continuing(prefix)
    last = later[bisect_left(later, until, key=lambda each: each.began) - 1]
    if last.failure is None or last.ended > until + ROUNDING_SECONDS:
        return None
    if one.ids.isdisjoint(other.ids) and not any(each.failure is None for each in again):
        return None  # nobody can tell where the second call of the tool is from
    return last


def _how_repeated(one: _ToolRun, other: _ToolRun, lost: SeenAttempt) -> str | None:
    """Return how a tool was run again; None if it need not have been."""
    if one.ids.isdisjoint(other.ids):
        return "after a failed attempt the model was asked again, and called it again"
    if one.results & other.results or not lost.worth_repeating:
        return None  # the old result again, or one that was cut down since it was too long
    return "the same call has another result after a failed attempt"


def _runs(history: History) -> dict[tuple[str, str, str], list[_ToolRun]]:
    """Return the results by place, tool and arguments, in the order in which they came."""
    found: dict[tuple[str, str, str], list[_ToolRun]] = {}
    for attempt in history.attempts:
        new: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
        for each in _new_results(attempt):
            key = (each.prefix, each.tool, each.arguments)
            new.setdefault(key, set()).add((each.call_id, each.result))
        for key, results in new.items():
            found.setdefault(key, []).append(_ToolRun(attempt, frozenset(results)))
    return found


def _new_results(attempt: SeenAttempt) -> Iterator[ToolResult]:
    """Return the results that a request is about: those behind the last answer of the model."""
    for message in reversed(attempt.seen.messages):
        if message.role == "assistant":
            return
        yield from message.results
