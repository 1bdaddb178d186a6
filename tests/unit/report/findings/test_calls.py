"""The bookkeeping: attempts, calls, and what can be looked up of them."""

from __future__ import annotations

import pytest
from attrs import evolve

from faultinject.events import ExchangeEnded
from faultinject.observed import NOTHING_OBSERVED, Observed
from faultinject.report.attempt import SeenAttempt
from faultinject.report.finding import PAGE
from faultinject.report.findings import KNOWN, known_by_id
from faultinject.report.run_facts import KEPT_HOSTS, RunFacts
from faultinject.seen import seen_of
from tests.support.sample_events import SAMPLES, TIME, sample
from tests.unit.report.findings.clients import in_turn, once, retrying, steady
from tests.unit.report.findings.simulator import (
    Ask,
    Client,
    World,
    ok,
    overloaded,
    report,
    script,
    throttled,
)


def test_what_is_an_attempt() -> None:
    """Only what is known to be one."""
    whole = Observed(call=1, attempt=1, began_seconds=1.0)
    assert SeenAttempt.of(sample(ExchangeEnded, seen=seen_of(whole))) is not None
    for observed in (
        NOTHING_OBSERVED, evolve(whole, call=None), evolve(whole, attempt=None),
        evolve(whole, began_seconds=None),
    ):  # fmt: skip
        assert SeenAttempt.of(sample(ExchangeEnded, seen=seen_of(observed))) is None
    assert SeenAttempt.of(sample(ExchangeEnded, seen=None)) is None


def test_a_client_that_counts_and_asks_the_same_in_parallel_queues() -> None:
    """A request that says it is the first is no repeat, whatever it seems to be."""
    one = in_turn(once(Ask(retry_count=0)), 5.0, once(Ask(retry_count=1)))
    others = in_turn(*[part for _ in range(4) for part in (once(Ask(retry_count=0)), 0.01)])
    world = World(script(throttled(5.0), *[overloaded()] * 4, ok()))
    world.start(one).start(others, 0.1).run()
    ids = ("no-backoff", "retry-after-ignored", "retry-storm", "not-retried")
    assert world.found(only=ids) == {}


def test_each_finding_is_known_by_its_id() -> None:
    """And has a place in the documentation, and a sentence of advice."""
    assert len({known.id for known in KNOWN}) == len(KNOWN) == 22
    for known in KNOWN:
        assert known_by_id(known.id) is known
        assert known.anchor == f"{PAGE}#{known.id}"
        assert known.advice.startswith("A good ")
        assert known.advice.endswith(".")


def test_every_event_is_taken() -> None:
    """Whatever comes first."""
    for kind in SAMPLES:
        facts = RunFacts()
        facts.listen(sample(kind))
        assert facts.now < 0.01
        assert facts.over is None
        assert not facts.logins


def test_hosts_of_housekeeping_are_kept_in_part() -> None:
    """However many there are."""
    facts = RunFacts()
    for number in range(KEPT_HOSTS + 1):
        facts.listen(sample(ExchangeEnded, kind="housekeeping", host=f"{number}.example"))
    assert (facts.housekeeping, len(facts.housekept)) == (KEPT_HOSTS + 1, KEPT_HOSTS)


def test_times_count_from_the_start_of_the_run() -> None:
    """From the first request if the start is not known: a log may have lost it."""
    world = World(script(ok())).start(retrying(Ask(), steady(1.0))).run()
    told = report(world.events[1:])
    assert told.facts.now == 0.05
    world = World(script(overloaded())).start(once(Ask()), 3.0).run().wait(60.0).stop()
    assert (world.report().facts.now, world.report().facts.over) == (63.05, 63.05)
    assert report(world.events[1:]).totals.outcomes["failed"] == 1
    assert world.events[-1].time == TIME + 63.05


def just_missing(*waits: float, retry_count: int | None = 0) -> list[Client]:
    """Return clients that ask the same, each when the one before has just had its answer."""

    def asks(again_after: float) -> Client:
        for count, pause in enumerate((again_after, again_after * 2, 0.0)):
            counted = None if retry_count is None else count
            result = yield Ask(retry_count=counted)
            assert result is not None
            if result.good:
                return
            yield pause

    return [asks(wait) for wait in waits]


@pytest.mark.parametrize(
    ("fails", "outcomes"),
    [(0, (4, 0)), (4, (4, 0)), (8, (4, 0)), (9, (3, 1)), (12, (0, 4))],
)
def test_equal_prompts_that_just_miss_each_other(fails: int, outcomes: tuple[int, int]) -> None:
    """Seem to be attempts of one call, until their client has sent a count."""
    world = World(script(*[overloaded(seconds=0.001)] * fails, ok(seconds=0.001)))
    for place, client in enumerate(just_missing(0.5, 0.6, 0.7, 0.8)):
        world.start(client, place * 0.002)
    told = world.run().end_command().report()
    totals = told.totals
    assert totals.calls == 4
    assert (totals.outcomes["succeeded"], totals.outcomes["failed"]) == outcomes
    assert not [each for each in told.findings if each.id != "nothing-tested"]


def test_equal_prompts_without_a_count() -> None:
    """Cannot be told from one that is tried again at once."""
    world = World(script(overloaded(seconds=0.001), ok(seconds=0.001)))
    for place, client in enumerate(just_missing(0.5, 0.6, retry_count=None)):
        world.start(client, place * 0.002)
    totals = world.run().end_command().report().totals
    assert (totals.calls, totals.attempts) == (2, 3)


def test_what_came_of_equal_requests_is_counted_over_all_of_them() -> None:
    """The first of another task seems to go on with a failed call, and its own next with that's."""
    world = World(script(overloaded(seconds=0.001), ok(seconds=0.001)))
    world.start(in_turn(once(Ask(retry_count=0)), 0.45, once(Ask(retry_count=1))))
    for start in (0.33, 0.34, 0.4):
        world.start(once(Ask(retry_count=0)), start)
    totals = world.run().end_command().report().totals
    assert (totals.calls, totals.attempts, totals.outcomes["succeeded"]) == (4, 5, 4)
