"""Waits that were asked for: what is found, at its threshold and just below."""

from __future__ import annotations

import pytest
from attrs import evolve

from faultinject.events import ExchangeEnded
from faultinject.observed import Observed, WaitAskedBy
from faultinject.report.judge import Judge
from faultinject.seen import seen_of
from tests.support.sample_events import sample
from tests.unit.report.findings.clients import in_turn, once, pauses, retrying, stainless
from tests.unit.report.findings.simulator import (
    Ask,
    World,
    finding,
    found,
    ok,
    overloaded,
    script,
    throttled,
)

ONLY = ("retry-after-ignored", "retry-after-capped")


@pytest.mark.parametrize(
    ("wait", "by", "in_time"),
    [
        # A client may be 50 ms or 5 % too early, whichever is more; 1 s for a date.
        (0.2, "retry-after-ms", 0.15),
        (0.2, "retry-after", 0.15),
        (2.0, "retry-after", 1.9),
        (2.0, "x-amz-retry-after", 1.9),
        (37.0, "retry-info", 35.15),
        (60.0, "retry-after", 57.0),
        (5.0, "retry-after-date", 4.0),
    ],
)
def test_retry_after_ignored(wait: float, by: WaitAskedBy, in_time: float) -> None:
    """A millisecond too early is too early."""
    for gap, expected in ((in_time, {}), (in_time - 0.001, {"retry-after-ignored": "error"})):
        world = World(script(throttled(wait, asked_by=by), ok()))
        world.start(retrying(Ask(), pauses(gap))).run()
        assert world.found(only=ONLY) == expected


def test_what_retry_after_ignored_says() -> None:
    """What was asked for, by what, and what the client did; and the whole call."""
    world = World(script(throttled(2.0), throttled(2.0), ok()))
    told = world.start(retrying(Ask(), pauses(2.0, 0.5))).run().report(only=ONLY)
    one = finding(told, "retry-after-ignored")
    assert one.evidence == "429 asked for 2 s (retry-after); the next attempt came after 0.5 s"
    assert one.timeline == "▶ 429 · 2 s · 429 · 0.5 s · 200"
    assert one.calls == (1,)


def test_a_wait_that_is_not_asked_of_this_client() -> None:
    """Another key, another model: who changes these need not wait. Nor after x-should-retry."""
    for answer, other in (
        (throttled(5.0), Ask(credential="other")),
        (throttled(5.0), Ask(model="other")),
        (throttled(5.0, should_retry=False), Ask()),
        (throttled(0.0), Ask()),
        (throttled(), Ask()),
    ):
        world = World(script(answer, ok())).start(in_turn(once(Ask()), 0.2, once(other))).run()
        told = world.report(only=("retry-after-ignored",))
        assert told.verdicts[0].word == "no verdict"


@pytest.mark.parametrize(
    ("wait", "gap", "expected"),
    [
        (61.0, 30.0, {"retry-after-capped": "note"}),
        (61.0, 29.9, {}),
        (61.0, 0.5, {}),
        (300.0, 60.0, {"retry-after-capped": "note"}),
        (300.0, 285.0, {}),
        (60.0, 30.0, {"retry-after-ignored": "error"}),
    ],
)
def test_retry_after_capped(wait: float, gap: float, expected: dict[str, str]) -> None:
    """Nobody must wait for more than a minute; who waits for half of one is told of it."""
    world = World(script(throttled(wait), ok())).start(retrying(Ask(), pauses(gap))).run()
    assert world.found(only=ONLY) == expected


@pytest.mark.parametrize(("gap", "told_gap"), [(0.2, "0.2 s"), (29.9, "30 s")])
def test_a_client_that_does_not_wait_for_more_than_a_minute(gap: float, told_gap: str) -> None:
    """SDKs come as soon, so it is not found; but nor has the client passed."""
    world = World(script(throttled(300.0), throttled(300.0), ok()))
    told = world.start(retrying(Ask(), pauses(gap, gap))).run().report(only=ONLY)
    assert [each.word for each in told.verdicts] == ["no verdict", "no verdict"]
    (line,) = told.not_judged
    assert line == (
        "Not judged: retry-after-ignored, retry-after-capped (of 1 call): 429 asked for 5 min"
        f" (retry-after); the next attempt came after {told_gap}, as some SDKs do that are asked to"
        " wait for more than 60 s."
    )


@pytest.mark.parametrize(
    ("gaps", "ignored", "capped"),
    [
        ((2.0, 0.2), "passed", "no verdict"),
        ((0.2, 0.2), "found", "no verdict"),
        ((2.0, 40.0), "passed", "found"),
        ((2.0, 300.0), "passed", "passed"),
    ],
)
def test_a_short_wait_and_a_long_one(gaps: tuple[float, float], ignored: str, capped: str) -> None:
    """Each is judged by itself."""
    world = World(script(throttled(2.0), throttled(300.0), ok()))
    told = world.start(retrying(Ask(), pauses(*gaps))).run().report(only=ONLY)
    assert [each.word for each in told.verdicts] == [ignored, capped]


@pytest.mark.parametrize(
    ("begins", "changes", "expected"),
    [
        (1.06, {}, True),
        (1.04, {}, False),  # it may not know yet
        (4.79, {}, True),
        (4.81, {}, False),  # it waited
        (2.0, {"credential": "other"}, False),
        (2.0, {"credential": None}, False),
        (2.0, {"model": "other"}, False),
        (2.0, {"host": "other.example"}, False),
    ],
)
def test_throttled_key_called(begins: float, changes: dict[str, str], expected: bool) -> None:
    """Another call with the same key and model begins while the key is told to wait."""
    world = World(script(throttled(5.0), ok()))
    world.start(once(Ask())).start(once(Ask(more="other", **changes)), begins).run()
    assert world.found(only=("throttled-key-called",)) == (
        {"throttled-key-called": "note"} if expected else {}
    )


def test_what_throttled_key_called_says() -> None:
    """The longest wait counts, and the calls are named."""
    world = World(script(throttled(3.0), throttled(20.0), ok()))
    for place, begins in enumerate((0.0, 0.1, 2.0, 10.0, 30.0)):
        world.start(once(Ask(more=str(place))), begins)
    told = world.run().report(only=("throttled-key-called",))
    one = finding(told, "throttled-key-called")
    assert one.calls == (2, 3, 4)
    assert one.evidence == (
        "429 asked for 20 s (retry-after);"
        " 2 other calls with the same key and model began within it"
    )


def test_an_attempt_of_a_call_is_no_other_call() -> None:
    """A client that obeys one answer may meet the wait that another call was told."""
    world = World(script(throttled(4.0), throttled(2.0), ok()))
    world.start(once(Ask(more="a"))).start(retrying(Ask(more="b"), pauses(2.0)), 0.1).run()
    assert world.found(only=("throttled-key-called",)) == {}


def test_a_transient_failure_throttles_no_key() -> None:
    """A 529 with a wait is not about the key."""
    world = World(script(overloaded(wait=5.0, asked_by="retry-after"), ok()))
    world.start(once(Ask())).start(once(Ask(more="other")), 2.0).run()
    told = world.report(only=("throttled-key-called",))
    assert told.verdicts[0].word == "no verdict"
    assert found(told) == {}


def test_an_sdk_with_a_wait_longer_than_it_obeys() -> None:
    """It goes on in its own way; that is early, and no minute was asked for: found."""
    import random

    world = World(script(throttled(20.0), ok()))
    world.start(retrying(Ask(), stainless(random.Random(1), longest_wait=10.0))).run()
    assert world.found(only=ONLY) == {"retry-after-ignored": "error"}


@pytest.mark.parametrize(("model", "expected"), [("m", True), ("other", False), (None, False)])
def test_a_call_of_which_the_body_alone_was_looked_at(model: str | None, expected: bool) -> None:
    """It went well before a slow throttled answer had ended; the same comes later."""
    again = Observed(
        call=3, attempt=1, request="r", body="b", model="m", credential="k", taken="whole",
        began_seconds=6.0, first_byte_seconds=0.01,
    )  # fmt: skip
    well = evolve(again, call=1, request=None, began_seconds=2.0)
    throttled = evolve(
        again, call=2, request="other", body="c", model=model, began_seconds=0.0,
        failure="answer", failure_kind="throttled",
        wait_asked_seconds=5.0, wait_asked_by="retry-after",
    )  # fmt: skip
    judge = Judge(only=["throttled-key-called"])
    for seen, milliseconds in ((well, 10.0), (throttled, 4000.0), (again, 10.0)):
        event = sample(ExchangeEnded, seen=seen_of(seen), milliseconds=milliseconds, status=429)
        judge.listen(event)
    told = [each.calls for each in judge.report().findings]
    assert told == ([(2, 1)] if expected else [])
