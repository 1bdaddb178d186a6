"""The whole: bookkeeping, totals, bounds, and the same result from a log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import (
    ClientHelloRead,
    Event,
    EventsDropped,
    ExchangeEnded,
    SessionEnded,
    SessionStarted,
)
from faultinject.events.connections import SURGE_CONNECTIONS
from faultinject.observed import Observed
from faultinject.report.finding import SEVERITIES
from faultinject.report.findings import KNOWN
from faultinject.report.judge import LOOKED_AT, WAITING, Judge, Report
from faultinject.report.log import read_log
from faultinject.report.packed import PlainCalls, unpacked
from faultinject.seen import Parts, Seen, parts_of, seen_of
from tests.support.examples import examples
from tests.support.sample_events import TIME, sample
from tests.unit.report.findings.clients import (
    claude_code,
    in_turn,
    once,
    pauses,
    polling,
    retrying,
    stainless,
    steady,
)
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    Client,
    World,
    broken_stream,
    dropped,
    final,
    found,
    hang,
    log_of,
    ok,
    overloaded,
    report,
    script,
    stall,
    throttled,
    user,
)

ANSWERS = (
    ok(), ok("Hel"), overloaded(), throttled(), throttled(1.0), throttled(0.0), final(),
    final(401), dropped(), broken_stream("Hel"), broken_stream("Hel", "error-event"),
    stall(1.0, 9.0), stall(), hang(), throttled(kind="quota"),
)  # fmt: skip


def everything(told: Report) -> object:
    """Return all that a report says, without the numbers of the calls."""
    return (
        sorted((each.id, each.severity, each.evidence, each.timeline) for each in told.findings),
        [(each.known.id, each.word, each.judged, each.found) for each in told.verdicts],
        told.totals,
    )


def random_client(seed: object, prompt: str) -> Client:
    """Return a client of some kind."""
    random = Random(f"{seed} {prompt}")
    kinds: list[Callable[[Ask], Client]] = [
        lambda ask: retrying(ask, stainless(random), counts=True),
        lambda ask: retrying(ask, claude_code(random)),
        lambda ask: retrying(ask, steady(random.choice([0.0, 0.2, 6.0]), attempts=20)),
        lambda ask: in_turn(once(ask), 0.2, once(evolve(ask, model="other"))),
        lambda ask: polling(ask, every=10.0, times=20),
    ]
    ask = Ask(turns=(user(prompt),), patience=30.0, credential=prompt)
    return random.choice(kinds)(ask)


def random_server(seed: object) -> Callable[[Ask, float], Answer]:
    """Return a server whose answers depend on nothing but what was asked, and how often."""
    dice: dict[str, Random] = {}

    def answer(ask: Ask, _: float) -> Answer:
        said = repr(ask.turns)
        return dice.setdefault(said, Random(f"{seed} {said}")).choice(ANSWERS)

    return answer


@examples(25)
@given(st.integers(0, 2**32))
def test_a_log_says_the_same_as_the_run(seed: int) -> None:
    """Whatever happened."""
    world = World(random_server(seed))
    for place, prompt in enumerate("aabbcdef"):
        world.start(random_client((seed, place), prompt), place % 3 * 0.7)
    world.run(until=500.0).end_command()
    assert everything(report(read_log(log_of(world.events)))) == everything(report(world.events))


def told_of(seed: int, prompts: list[str]) -> list[tuple[str, ...]]:
    """Return what is found of clients with these prompts."""
    world = World(random_server(seed))
    for prompt in prompts:
        world.start(random_client(seed, prompt), ord(prompt) % 7 * 0.3)
    told = world.run().wait(90.0).stop().report(ignore=("nothing-tested", "work-repeated"))
    return sorted((each.id, each.severity, each.evidence, each.timeline) for each in told.findings)


@examples(25)
@given(st.integers(0, 2**32), st.permutations("abcdef"))
def test_clients_with_different_bodies_do_not_meet(seed: int, prompts: list[str]) -> None:
    """What is said of each is the same, whatever the others do between."""
    alone = [each for prompt in prompts for each in told_of(seed, [prompt])]
    assert told_of(seed, prompts) == sorted(alone)


def test_how_calls_end() -> None:
    """Each in one of four ways."""
    world = World(lambda ask, _: {"f": overloaded(), "s": ok(), "h": hang()}[ask.more[0]])
    for place, (what, patience) in enumerate([("f", 9e9), ("s", 9e9), ("h", 5.0), ("h", 9e9)]):
        world.start(retrying(Ask(more=f"{what}{place}", patience=patience), pauses(1.0, 3.0)))
    told = world.run(until=100.0).stop().report()
    assert told.totals.outcomes == {
        "succeeded": 1, "failed": 1, "abandoned": 1, "unfinished": 1,
    }  # fmt: skip
    assert (told.totals.calls, told.totals.attempts) == (4, 8)
    assert told.totals.added_seconds == pytest.approx(4.1 + 14.0)


@pytest.mark.parametrize(("wait", "outcome"), [(59.0, "unfinished"), (60.0, "failed")])
def test_a_failure_after_which_the_run_ends(wait: float, outcome: str) -> None:
    """The next attempt may have been on its way."""
    world = World(script(overloaded())).start(once(Ask())).run().wait(wait).stop()
    assert {name for name, many in world.report().totals.outcomes.items() if many} == {outcome}


def test_a_final_failure_is_one_at_once() -> None:
    """Nothing is to follow."""
    world = World(script(final())).start(once(Ask())).run().stop()
    assert world.report().totals.outcomes["failed"] == 1


def test_requests_that_are_no_calls() -> None:
    """Housekeeping is counted apart, and what is not known of at all."""
    world = World(script(ok())).start(once(Ask())).run()
    start, event = world.events
    assert isinstance(event, ExchangeEnded)
    rest: list[Event] = [
        evolve(event, seen=None, kind="housekeeping"),
        evolve(event, seen=None),
        sample(EventsDropped, time=TIME + 9, count=3),
    ]
    told = report([start, event, *rest])
    assert (told.totals.calls, told.facts.requests) == (1, 2)
    assert (told.facts.housekeeping, told.facts.unseen, told.facts.dropped) == (1, 1, 3)


def test_only_some_findings() -> None:
    """As they are asked for."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(0.0, 0.0, 0.0))).run()
    every = [each.known.id for each in world.report().verdicts]
    assert every == [known.id for known in KNOWN]
    assert world.found(only=["no-backoff"]) == {"no-backoff": "error"}
    assert [each.known.id for each in world.report(only=["hung"]).verdicts] == ["hung"]
    assert "no-backoff" not in world.found(ignore=["no-backoff"])


def test_the_worst_comes_first() -> None:
    """Errors, then warnings, then notes."""
    world = World(script(broken_stream("Hel"), overloaded()))
    asks = [Ask(turns=(user(prompt),)) for prompt in "abc"]
    world.start(in_turn(once(asks[0]), once(asks[1]), retrying(asks[2], pauses(0.0, 0.0, 0.0))))
    severities = [each.severity for each in world.run().wait(90).stop().report().findings]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert set(severities) == set(SEVERITIES)


def test_a_report_changes_nothing() -> None:
    """It may be asked for at any time."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(0.0, 0.0, 0.0))).run()
    judge = Judge(calls=1)
    for event in world.events:
        judge.listen(event)
        judge.report()
    assert everything(judge.report()) == everything(report(world.events))


# -- bounds -------------------------------------------------------------------------------------


def hasty(many: int) -> World:
    """Run many calls without a pause between their attempts."""
    world = World(script(overloaded(seconds=0.01, tokens=(3, 0))))
    for place in range(many):
        world.start(retrying(Ask(more=str(place)), pauses(0.0, 0.0, 0.0)), place * 100.0)
    return world.run().wait(100.0).stop()


def test_old_calls_are_folded_into_the_totals() -> None:
    """What is said of them stays."""
    world = hasty(50)
    few, all_ = report(world.events, calls=7), report(world.events)
    assert few.totals.attempts == all_.totals.attempts == 200
    assert few.totals.outcomes == all_.totals.outcomes
    assert few.totals.added_seconds == pytest.approx(all_.totals.added_seconds)
    verdict = next(each for each in few.verdicts if each.known.id == "no-backoff")
    assert (verdict.found, len(verdict.findings), verdict.judged) == (50, 50, 50)


def crowd(seed: int, prompt_of: Callable[[Random, int], str]) -> World:
    """Run forty clients one after another, which overlap, beside others who ask once."""
    world, random = World(random_server(seed)), Random(seed)
    for place in range(40):
        for seconds in (0.0, 5.0):
            asked = user(f"{place} and {seconds}")
            world.start(once(Ask(turns=(asked,), patience=30.0)), place * 40.0 + seconds)
        world.start(random_client((seed, place), prompt_of(random, place)), place * 20.0)
    return world.run().wait(90.0).stop()


@examples(6)
@given(st.integers(0, 2**32), st.sampled_from([80, 160]))
def test_what_is_kept_of_few_calls_only_loses_findings(seed: int, calls: int) -> None:
    """It brings none that are not there, if each client asks its own. Notes are facts."""
    world = crowd(seed, lambda _, place: f"prompt {place}")
    few, many = (report(world.events, calls=kept) for kept in (calls, 10_000))
    there = {(each.id, call) for each in many.findings for call in each.calls}
    for each in few.findings:
        found_there = {(each.id, call) for call in each.calls} & there
        assert found_there or not each.calls or each.severity == "note", each


@examples(6)
@given(st.integers(0, 2**32), st.sampled_from([80, 160]))
def test_each_attempt_of_old_calls_counts(seed: int, calls: int) -> None:
    """Also if several clients ask the same.

    What is said of one may be more then than in the whole run, which is silent about all who asked
    what another asked later, too.
    """
    world = crowd(
        seed, lambda random, place: random.choice("abcdefghijkl") + str(place % 2 * place)
    )
    few, many = (report(world.events, calls=kept) for kept in (calls, 10_000))
    assert few.totals.attempts == many.totals.attempts
    assert few.totals.lost_input_tokens == many.totals.lost_input_tokens


def test_no_more_than_so_many_calls_and_findings_are_kept() -> None:
    """The others are counted."""
    judge = Judge(calls=20)
    for event in hasty(250).events:
        judge.listen(event)
        assert len(judge._calls) <= 20
    told = judge.report()
    verdict = next(each for each in told.verdicts if each.known.id == "no-backoff")
    assert (verdict.found, len(verdict.findings)) == (250, 100)
    assert told.totals.calls == 250


def test_no_more_than_so_many_attempts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls with many attempts count for more; one call alone is bounded by itself."""
    monkeypatch.setattr("faultinject.report.judge.ATTEMPTS", 100)
    world = World(script(overloaded(seconds=0.01)))
    for place in range(10):
        world.start(retrying(Ask(more=str(place)), steady(1.0, attempts=60)), place * 100.0)
    judge = Judge()
    for event in world.run().events:
        judge.listen(event)
        assert judge._calls.attempts <= 100
    assert judge.report().totals.attempts == 600


def test_a_call_that_outlives_what_is_kept_of_it() -> None:
    """It is counted again, and nothing breaks."""
    world = World(script(overloaded(seconds=0.01)))
    world.start(retrying(Ask(), steady(10.0, attempts=9)))
    for place in range(30):
        world.start(once(Ask(more=str(place))), place * 2.0 + 1.0)
    told = report(world.run().events, calls=3)
    assert told.totals.attempts == 39


@pytest.mark.parametrize(
    ("pace", "again", "is_found"),
    [(20.0, False, True), (20.0, True, False), (1.0, True, False), (1.0, False, False)],
)
def test_of_old_calls_no_more_is_said_than_is_looked_at(
    pace: float, again: bool, is_found: bool
) -> None:
    """Where calls come in such numbers that a minute of them is not, what followed is not known."""
    world = World(script(overloaded(seconds=0.01), ok()))
    world.start(once(Ask(turns=(user("a"),))))
    if again:  # as a call of its own
        world.start(once(Ask(turns=(user("a"),), more="!")), 50.0)
    for place in range(1, 400):
        world.start(once(Ask(turns=(user(str(place)),))), place * pace)
    told = world.run().report(calls=160, only=["not-retried"])
    assert ("not-retried" in found(told)) == is_found
    assert told.totals.outcomes["failed"] == 1


@pytest.mark.parametrize(("pace", "is_found"), [(20.0, True), (0.05, False)])
def test_an_old_call_is_not_left_that_a_later_end_may_show_to_be_answered(
    pace: float, is_found: bool
) -> None:
    """A hedge answers it, and its stream ends when many others have ended."""
    asks = Ask(turns=(user("a"),), patience=5.0)
    world = World(script(hang(), ok(seconds=120.0, head=0.1), overloaded(seconds=0.01)))
    world.start(once(asks)).start(once(evolve(asks, patience=200.0)), 4.0)
    for place in range(1, 400):
        world.start(once(Ask(turns=(user(str(place)),))), 4.5 + place * pace)
    told = world.run().report(calls=160, only=["client-left"])
    assert found(told) == {}
    world = World(script(hang(), overloaded(seconds=0.01))).start(once(asks))
    for place in range(1, 400):
        world.start(once(Ask(turns=(user(str(place)),))), 4.5 + place * pace)
    assert ("client-left" in found(world.run().report(calls=160))) == is_found


@pytest.mark.parametrize("together", [True, False])
def test_what_several_calls_ask_is_remembered(together: bool) -> None:
    """Also when those are forgotten by which it was known: whose a repeat is is never known."""
    world = World(script(overloaded(seconds=0.01)))
    for at in (0.0, 0.001 if together else 1000.0):
        world.start(once(Ask()), at)
    for place in range(1, 100):
        world.start(once(Ask(more=str(place))), place * 100.0)
    world.start(retrying(Ask(), pauses(0.0, 0.0, 0.0, 0.0)), 20_000.0)
    told = world.run().wait(1000.0).report(calls=32, only=["no-backoff"])
    assert ("no-backoff" in found(told)) == (not together)


@pytest.mark.parametrize(
    ("first", "id_"), [(overloaded(), "not-retried"), (broken_stream("Hel"), "not-tried-again")]
)
@pytest.mark.parametrize("again", [True, False])
def test_an_attempt_that_was_under_way_when_its_call_was_judged(
    first: Answer, id_: str, again: bool
) -> None:
    """What was said of it is taken back: it was tried again after all."""

    def server(ask: Ask, now: float) -> Answer:
        return overloaded(seconds=0.01) if ask.more else ok(seconds=9e4) if now else first

    world = World(server)
    world.start(retrying(Ask(), pauses(1.0)) if again else once(Ask()))
    for place in range(1, 150):
        world.start(once(Ask(more=str(place), turns=(user(str(place)),))), place * 100.0)
    world.run()
    found_of = {
        calls: {each for finding in report(world.events, calls=calls, only=[id_]).findings
                for each in finding.calls}
        for calls in (40, 10_000)
    }  # fmt: skip
    assert (1 in found_of[40]) == (1 in found_of[10_000]) == (not again)
    verdict = report(world.events, calls=40, only=[id_]).verdicts[0]
    others = 149 - (not again) if id_ == "not-retried" else 0  # the last may yet be
    assert verdict.found == others + (not again)
    assert len(verdict.findings) == min(100, others + (not again))
    read = report(read_log(log_of(world.events)), calls=40, only=[id_])
    assert read.verdicts[0].found == verdict.found


def test_of_so_many_calls_it_is_known_that_they_may_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The latest."""
    monkeypatch.setattr("faultinject.report.judge.CALLS", 50)
    world = World(script(overloaded(seconds=0.01)))
    for place in range(150):
        world.start(once(Ask(more=str(place), turns=(user(str(place)),))), place * 100.0)
    judge = Judge(calls=40)
    for event in world.run().events:
        judge.listen(event)
    verdict = judge._verdicts["not-retried"]
    judge.report()
    assert verdict.found > len(verdict._may_go_on) == 50
    assert list(verdict._may_go_on)[-1] == verdict.found


def test_a_log_whose_calls_have_any_number() -> None:
    """What no run counts to is told as it stands."""
    world = World(script(overloaded(), ok())).start(once(Ask()))
    world.start(once(Ask(more="x", turns=(user("x"),))), 100.0)
    [event, *_] = [each for each in world.run().events if isinstance(each, ExchangeEnded)]
    assert event.observed is not None
    huge = evolve(event, seen=seen_of(evolve(event.observed, call=10**30)))
    events = [huge if each is event else each for each in world.events]
    told = report(read_log(log_of(events)), only=["not-retried"])
    assert [each.calls for each in told.findings] == [(10**30,)]


def test_events_are_plain_json() -> None:
    """So that a log can hold them."""
    world = World(script(broken_stream("Hel"))).start(once(Ask())).run()
    for event in world.events:
        assert json.loads(json.dumps(event.as_dict()))["event"] == event.NAME
    assert found(world.report(only=["hung"])) == {}


def test_plain_calls_are_in_batches_once_a_surge_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a few connections leave waits for more."""
    packed: list[PlainCalls] = []
    monkeypatch.setattr(PlainCalls, "pack", lambda plain: packed.append(plain))
    judge = Judge()
    surge, few = SURGE_CONNECTIONS, SURGE_CONNECTIONS - 1
    for many, times in ((few, 0), (surge, 1), (few, 1), (surge, 2)):
        for kind in (SessionStarted, ClientHelloRead, SessionEnded):
            for _ in range(many):
                judge.listen(sample(kind))
        assert len(packed) == times


def test_events_wait_while_connections_are_open() -> None:
    """As what they tell takes a while to find out, and as it keeps copies of what passed."""
    asked: list[int] = []

    def ended(number: int) -> Event:
        def find() -> Parts:
            asked.append(number)
            return parts_of(Observed(began_seconds=1.0))

        return sample(ExchangeEnded, seen=Seen(1.0, find))

    judge = Judge()
    for event in (sample(SessionStarted), ended(1), sample(SessionStarted), ended(2)):
        judge.listen(event)
    judge.listen(sample(SessionEnded))
    assert asked == []
    judge.listen(sample(SessionEnded))
    assert asked == [1, 2]


def test_few_events_wait_in_a_run_in_which_all_goes_well() -> None:
    """More do in one in which something fails, since to look at a failure takes a while."""
    plain = seen_of(Observed(call=1, attempt=1, taken="whole", began_seconds=1.0))
    failed = seen_of(Observed(began_seconds=1.0))
    judge = Judge()
    waiting = []
    for seen in [plain] * 2 * LOOKED_AT + [failed] * 2 * WAITING + [plain] * LOOKED_AT:
        judge.listen(sample(ExchangeEnded, seen=seen))
        waiting.append(len(judge._waiting))
    well, ill = waiting[: 2 * LOOKED_AT], waiting[2 * LOOKED_AT : -LOOKED_AT]
    assert max(well) == LOOKED_AT - 1
    assert max(ill) == WAITING
    assert min(ill[WAITING:]) == WAITING - LOOKED_AT
    assert waiting[-LOOKED_AT] == 0
    assert judge.report().totals.outcomes["succeeded"] == 3 * LOOKED_AT


def test_plain_calls_stand_beside_those_that_failed() -> None:
    """Their bodies alone were looked at; one that says the same as a failed one is known by it."""
    plain = Observed(
        call=1, attempt=1, request=None, failure=None, failure_kind=None, taken="whole",
        body="b", began_seconds=100.0,
    )  # fmt: skip
    failed = evolve(
        plain, call=2, request="r", failure="answer", failure_kind="transient", began_seconds=101.0
    )
    other = evolve(plain, call=3, body="c", began_seconds=102.0)
    long_ago = evolve(plain, call=4, began_seconds=-1e6)
    events = [
        sample(ExchangeEnded, seen=seen_of(each), milliseconds=10.0, outcome="forwarded")
        for each in (long_ago, plain, failed, other)
    ]
    judge = Judge()
    for event in events:
        judge.listen(event)
    judge.report()
    history = judge._history(list(unpacked(judge._calls.oldest(9)).values()), math.inf, 0.0)
    assert {call.number for call in history.calls} == {1, 2, 3}
    assert list(history.by_request) == ["r"]
    by_call = {each.call: each for each in history.attempts}
    assert [each.call for each in history.equal_to(by_call[1])] == [1, 2]
    assert history.equal_to(by_call[3]) == []
    assert judge.report().totals.outcomes["succeeded"] == 3
