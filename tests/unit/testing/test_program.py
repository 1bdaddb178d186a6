"""The calls of a program, from the events of a run."""

from __future__ import annotations

from attrs import evolve

from faultinject.events import ExchangeEnded
from faultinject.observed import Observed
from faultinject.seen import seen_of
from faultinject.testing.program import calls_in
from tests.support.sample_events import sample


def attempt(call: int, number: int, began: float) -> ExchangeEnded:
    """Return the event of an attempt that succeeded."""
    seen = Observed(call=call, attempt=number, began_seconds=began, taken="whole")
    return evolve(sample(ExchangeEnded), status=200, milliseconds=100.0, seen=seen_of(seen))


def test_calls_come_in_the_order_in_which_they_began() -> None:
    """Not in that in which they ended; what belongs to no call is left out."""
    nothing = evolve(sample(ExchangeEnded), seen=None)
    calls = calls_in([attempt(2, 1, 1.0), nothing, attempt(1, 1, 0.5), attempt(1, 2, 3.0)])
    assert [(call.attempts, call.gaps) for call in calls] == [(2, (2.4,)), (1, ())]


def test_attempts_that_were_not_seen_count() -> None:
    """The client says that it was its third: two came of which no more is known."""
    [call] = calls_in([attempt(1, 3, 1.0)])
    assert (call.attempts, call.statuses) == (3, (200,))
