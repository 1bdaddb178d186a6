"""What the program under test did, from the events of a run: its calls, and what is to be said.

It is judged as if the program were over by now.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise

from attrs import frozen

from faultinject.events import CommandEnded, Event, ExchangeEnded
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call, Outcome
from faultinject.report.judge import Judge, Report
from faultinject.report.words import timeline

_ELSEWHERE = ("nothing-tested",)
"""A test finds out by itself of which rules nothing came."""


@frozen
class ProgramCall:
    """What the program asked for once, in as many attempts as it took."""

    attempts: int
    """How many there were."""
    outcome: Outcome
    """``succeeded``, ``failed``, ``abandoned`` (the client left) or ``unfinished`` (the run ended
    first)."""
    method: str
    host: str
    path: str
    model: str | None
    statuses: tuple[int | None, ...]
    """What the attempts were answered with; of many the first and the last 20."""
    gaps: tuple[float, ...]
    """The seconds between each failed answer and the next attempt."""
    timeline: str
    """The attempts and gaps in one line."""


def calls_in(events: Iterable[Event]) -> list[ProgramCall]:
    """Return the calls of the API in some events, in the order in which they began."""
    calls: dict[int, Call] = {}
    for event in events:
        if isinstance(event, ExchangeEnded) and (attempt := SeenAttempt.of(event)) is not None:
            calls.setdefault(attempt.call, Call(attempt.call)).add(attempt)
    found = sorted(calls.values(), key=lambda call: (call.attempts[0].began, call.number))
    return [_told(call) for call in found]


def _told(call: Call) -> ProgramCall:
    attempts = call.attempts
    last = attempts[-1]
    return ProgramCall(
        attempts=max(call.count, last.number),  # of some no more is known than that they were
        outcome=call.outcome(lambda _: True),
        method=last.method,
        host=last.host,
        path=last.path,
        model=last.seen.model,
        statuses=tuple(each.status for each in attempts),
        gaps=tuple(round(max(0.0, one.gap_to(other)), 3) for one, other in pairwise(attempts)),
        timeline=timeline(call),
    )


def judged(events: Iterable[Event]) -> Report:
    """Return what is to be said of the program."""
    judge = Judge(ignore=_ELSEWHERE)
    for event in events:
        judge.listen(event)
    judge.listen(CommandEnded(time=time.time(), code=0, signal=None))
    return judge.report()
