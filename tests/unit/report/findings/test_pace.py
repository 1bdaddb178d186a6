"""How fast, how often and how long a program tries: what is found, at its threshold."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from faultinject.observed import Failure
from faultinject.report.finding import MOST_NAMED
from tests.unit.report.findings.clients import (
    Pause,
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
    World,
    dropped,
    final,
    finding,
    hang,
    ok,
    overloaded,
    script,
    throttled,
)


def pace(*gaps: float, answer: Answer | None = None) -> World:
    """Run a client with these gaps between its attempts; all of them fail."""
    world = World(script(answer or overloaded()))
    return world.start(retrying(Ask(), pauses(*gaps))).run()


# -- no-backoff ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((0.099,) * 3, "error"),
        ((0.0,) * 50, "error"),
        ((0.099,) * 2, "warning"),
        ((0.099, 0.1), None),
        ((0.1,) * 3, None),
        ((0.05, 0.05, 0.3), "warning"),
        ((0.05, 0.05, 0.3, 0.9), None),  # half of them are pauses: a draw may be short
        ((0.01, 0.4, 0.9, 1.8), None),
        # A short and steady pace
        ((0.5,) * 4, "warning"),
        ((0.5, 0.55, 0.5, 0.55), "warning"),
        ((0.5, 0.551, 0.5, 0.55), None),
        ((0.5,) * 3, None),
        ((0.999,) * 4, "warning"),
        ((1.0,) * 4, None),
        ((0.5, 0.5, 0.5, 0.5, 2.0), None),
        ((0.8, 0.5, 0.5, 0.5, 0.5), "warning"),  # the first with what a first error loads
        ((0.8, 0.5, 0.5, 0.5), None),
        ((1.2, 0.5, 0.5, 0.5, 0.5), None),
        ((0.4, 0.5, 0.5, 0.5, 0.5), None),  # it grows
    ],
)
def test_no_backoff(gaps: tuple[float, ...], expected: str | None) -> None:
    """Three gaps below 0.1 s, or four that are steady and below 1 s."""
    found = pace(*gaps).found(only=("no-backoff",))
    assert found == ({} if expected is None else {"no-backoff": expected})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((final(402, kind="quota"),), {"retried-in-vain": "warning"}),
        ((final(402, kind="quota"),) * 2 + (ok(),), {"retried-in-vain": "warning"}),
        (
            (final(402, kind="quota"), overloaded()),
            {"no-backoff": "error", "retried-in-vain": "warning"},
        ),
        ((throttled(kind="quota"),), {"no-backoff": "error"}),  # nobody says it is in vain
    ],
)
def test_no_pause_helps_against_final_failures(
    answers: tuple[Answer, ...], expected: dict[str, str]
) -> None:
    """To wait before what is in vain is no advice."""
    world = World(script(*answers)).start(retrying(Ask(), steady(0.0, attempts=5))).run()
    told = world.report(only=("no-backoff", "retried-in-vain"))
    assert {each.id: each.severity for each in told.findings} == expected
    why_not = told.verdicts[0].why_not
    assert ("all failures were final" in why_not) == ("no-backoff" not in expected)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((0.1, 0.3), "no verdict"),
        ((0.499, 0.2, 0.4), "no verdict"),
        ((0.499, 0.5), "passed"),
        ((0.499,), "passed"),  # one more attempt, whenever it comes
        ((0.01, 0.01), "found"),
    ],
)
def test_gaps_that_may_be_the_set_up_of_a_client(gaps: tuple[float, ...], expected: str) -> None:
    """Nothing is found, but that there was a pause is not claimed."""
    reconnecting = retrying(Ask(), pauses(*gaps), reconnects=True)
    told = World(script(overloaded())).start(reconnecting).run().report(only=("no-backoff",))
    (verdict,) = told.verdicts
    assert verdict.word == expected
    if expected == "no verdict":
        assert verdict.why_not == (
            "no gap was as long as 0.5 s, which a new connection may take; to have it judged, let"
            " one client make all attempts over one connection, or five of them fail"
            " (--preset overloaded@first=5)"
        )


@pytest.mark.parametrize(
    ("gaps", "word"),
    [((0.12, 0.02), "no verdict"), ((0.4, 0.099), "no verdict"), ((0.12, 0.1), "passed")],
)
def test_what_a_first_error_loads_is_no_pause(gaps: tuple[float, ...], word: str) -> None:
    """Nor is it claimed that a loop waits which may not."""
    (verdict,) = pace(*gaps).report(only=("no-backoff",)).verdicts
    assert verdict.word == word
    if word == "no verdict":
        assert verdict.why_not == (
            "no gap behind the first was as long as 0.1 s, and the first may be what a client loads"
            " as it meets an error; to have it judged, have five attempts fail"
            " (--preset overloaded@first=5)"
        )


@pytest.mark.parametrize(("failure", "word"), [("answer", "passed"), ("truncated", "no verdict")])
def test_short_gaps_on_one_connection(failure: Failure, word: str) -> None:
    """None of them is the set-up of another."""
    answer = Answer(status=529, failure=failure, kind="transient")
    (verdict,) = pace(0.1, 0.3, answer=answer).report(only=("no-backoff",)).verdicts
    assert verdict.word == word
    if word == "no verdict":
        assert verdict.why_not == (
            "its answers broke off, and a pause is asked for after whole errors only; to have it"
            " judged, have such fail (--preset overloaded@first=5)"
        )


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((0.0,), None),
        ((0.0, 0.5, 1.0, 2.0), None),
        ((0.0, 0.0, 0.0, 0.0), None),
        ((0.0, 0.0, 0.0, 0.0, 0.0), "warning"),  # the first does not count
        ((0.2,) * 5, "warning"),
        ((0.2,) * 4, None),
    ],
)
def test_no_backoff_after_dropped_connections(
    gaps: tuple[float, ...], expected: str | None
) -> None:
    """The first repeat may be at once: an old connection may have been closed."""
    found = pace(*gaps, answer=dropped()).found(only=("no-backoff",))
    assert found == ({} if expected is None else {"no-backoff": expected})


def over_connections(
    *sessions: int, pause: float = 0.0, count: int | None = None, answer: Answer | None = None
) -> World:
    """Run a loop whose attempts take these connections, with pauses between them; all fail."""
    asks = [
        part for each in sessions for part in (once(Ask(session=each, retry_count=count)), pause)
    ]
    world = World(script(answer or overloaded(seconds=0.002)))
    return world.start(in_turn(*asks)).run().end_command()


@pytest.mark.parametrize(
    ("sessions", "more", "expected"),
    [
        ((3, 4, 3, 4, 3), {}, {"no-backoff": "error"}),
        ((3, 4) * 50, {}, {"no-backoff": "error"}),  # not all of which are kept
        ((3, 4, 3, 4), {}, {}),
        ((3, 4, 5, 3, 4, 5), {}, {}),  # that Node does not do
        ((3, 4, 3, 3, 4, 3), {}, {}),
        ((3, 4, 3, 4, 3), {"pause": 0.047}, {"no-backoff": "error"}),
        ((3, 4, 3, 4, 3), {"pause": 0.05}, {}),
        ((3, 4, 3, 4, 3), {"answer": throttled(0.0)}, {}),  # as it was told
        ((3, 4, 3, 4, 3), {"answer": dropped()}, {}),
        (
            (3, 4, 3, 4, 3),
            {"answer": throttled(2.0, seconds=0.002)},
            {"no-backoff": "error", "retry-after-ignored": "error"},
        ),
        ((3, 4, 3, 4, 3), {"answer": throttled(2.0, seconds=0.002), "pause": 0.05}, {}),
    ],
)
def test_a_loop_without_a_pause_that_takes_two_connections_in_turn(
    sessions: tuple[int, ...], more: dict[str, Any], expected: dict[str, str]
) -> None:
    """As Node's fetch does: two threads, each on a connection of its own, wait as little."""
    told = over_connections(*sessions, **more)
    assert told.found(only=("no-backoff", "retry-after-ignored")) == expected


def test_what_is_said_of_a_loop_that_takes_two_connections_in_turn() -> None:
    """Which attempt came too early: not the one behind, which may be another thread's."""
    told = over_connections(3, 4, 3, 4, 3, answer=throttled(2.0, seconds=0.002))
    said = {each.evidence for each in told.report(only=("retry-after-ignored",)).findings}
    assert said == {
        "429 asked for 2 s (retry-after); the next attempt on its connection came after 0.002 s"
    }


@pytest.mark.parametrize(
    ("count", "pause", "more", "expected"),
    [
        (0, 0.08, {}, "no verdict"),
        (0, 0.31, {}, "found"),  # they are one call's, and their pace is steady
        (None, 0.08, {}, "found"),  # so are these
        (0, 0.08, {"answer": final()}, "no verdict"),
    ],
)
def test_equal_requests_at_once_on_connections_of_their_own(
    count: int | None, pause: float, more: dict[str, Any], expected: str
) -> None:
    """That each is its call's first is what its client says where it makes no attempts itself."""
    world = over_connections(*range(3, 9), pause=pause, count=count, **more)
    (verdict,) = world.report(only=("no-backoff",)).verdicts
    assert verdict.word == expected


@pytest.mark.parametrize(("pause", "expected"), [(0.09, "found"), (0.5, "no verdict")])
def test_two_threads_that_take_turns(pause: float, expected: str) -> None:
    """Each on a connection of its own: it is its own pause that counts."""
    world = World(script(overloaded(seconds=0.002)))
    for session in (3, 4):
        asks = [part for _ in range(4) for part in (once(Ask(session=session)), pause)]
        world.start(in_turn(*asks), session * 0.04)
    (verdict,) = world.run().end_command().report(only=("no-backoff",)).verdicts
    assert verdict.word == expected


def test_a_pace_that_was_asked_for() -> None:
    """Who is told to come back at once, or at a steady pace, may."""
    for wait in (0.0, 0.05, 0.5):
        assert pace(*[wait] * 8, answer=throttled(wait)).found(only=("no-backoff",)) == {}


def test_a_pace_that_was_not_asked_for() -> None:
    """A wait that is not kept is none."""
    found = pace(0.01, 0.01, 0.01, answer=throttled(1.0)).found(only=("no-backoff",))
    assert found == {"no-backoff": "error"}


def test_the_pauses_of_aws() -> None:
    """They are short by design, and by chance."""
    world = World(script(overloaded())).start(retrying(Ask(invocation="i"), pauses(*[0.02] * 6)))
    (verdict,) = world.run().report(only=("no-backoff",)).verdicts
    assert verdict.word == "no verdict"
    assert verdict.why_not.startswith("AWS' SDKs draw their pauses by chance")


def test_what_no_backoff_says() -> None:
    """How many, and how short; or which pace."""
    told = pace(0.0, 0.02, 0.01, 0.0).report(only=("no-backoff",))
    assert finding(told, "no-backoff").evidence == (
        "4 of its attempts came less than 0.1 s after an error (the shortest 0 s)"
    )
    told = pace(*[0.25] * 6).report(only=("no-backoff",))
    assert finding(told, "no-backoff").evidence == "6 attempts came at a steady pace of 0.25 s"
    told = pace(0.26, *[0.25] * 5).report(only=("no-backoff",))
    assert finding(told, "no-backoff").evidence == "6 attempts came at a steady pace of 0.26 s"
    told = pace(0.36, *[0.25] * 5).report(only=("no-backoff",))
    assert finding(told, "no-backoff").evidence == "5 attempts came at a steady pace of 0.25 s"


@pytest.mark.parametrize(
    ("gaps", "is_told"),
    [((0.0, 0.0, 0.0), True), ((0.0, 0.0), False), ((0.0, 0.5, 1.0), False)],
)
@pytest.mark.parametrize("failure", ["connect", "handshake"])
def test_connections_that_break(
    failure: Failure, gaps: tuple[float, ...], *, is_told: bool
) -> None:
    """What they were for is not known; that they came without a pause is not passed over."""
    told = pace(*gaps, answer=dropped(failure=failure)).report(only=("no-backoff",))
    why = "its connections broke before it was told what they were for"
    assert any(why in line for line in told.not_judged) == is_told
    assert told.verdicts[0].word == "no verdict"


def test_a_client_that_backs_off_in_most_of_its_calls() -> None:
    """A draw is short by chance now and then; it is the client that is judged."""
    world = World(script(overloaded()))
    for place, gaps in enumerate([(0.05, 0.05), (0.4, 0.9), (0.4, 0.9)]):
        world.start(retrying(Ask(more=str(place)), pauses(*gaps)), place * 10.0)
    assert world.run().found(only=("no-backoff",)) == {}


# -- retry-storm --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        (steady(5.9, attempts=11), True),  # 11 attempts in 59.5 s
        (steady(5.9, attempts=10), False),
        (steady(6.1, attempts=30), False),
        (pauses(*[0.5] * 9, 4.0), False),  # it backs off
        (pauses(*[0.5] * 9, 3.9), True),
        (pauses(*[0.51] * 9, 4.0), True),  # not by much
    ],
)
def test_retry_storm_of_a_call(pause: Pause, expected: bool) -> None:
    """More than 10 attempts within a minute."""
    world = World(script(overloaded())).start(retrying(Ask(), pause)).run()
    assert world.found(only=("retry-storm",)) == ({"retry-storm": "error"} if expected else {})


def test_many_attempts_that_were_asked_for_are_no_storm() -> None:
    """Each answer asks for a second, and gets it."""
    assert pace(*[1.0] * 30, answer=throttled(1.0)).found(only=("retry-storm",)) == {}


@pytest.mark.parametrize(
    ("calls", "attempts", "expected"),
    [(20, 3, False), (20, 4, True), (19, 4, False), (40, 3, False), (40, 4, True)],
)
def test_retry_storm_of_all_calls(calls: int, attempts: int, expected: bool) -> None:
    """More than two further attempts for each of at least 20 calls within a minute."""
    world = World(script(overloaded()))
    for place in range(calls):
        pause = stainless(Random(place), max_retries=attempts - 1)
        world.start(retrying(Ask(more=str(place)), pause), place * 0.01)
    found = world.run().found(only=("retry-storm",))
    assert found == ({"retry-storm": "error"} if expected else {})


def test_the_storm_of_all_calls_is_one_finding() -> None:
    """It says how many there were in the minute in which it was seen."""
    world = World(script(overloaded()))
    for place in range(100):
        world.start(retrying(Ask(more=str(place)), pauses(1.0, 2.0, 4.0, 8.0)))
    one = finding(world.run().report(only=("retry-storm",)), "retry-storm")
    assert one.evidence == "201 further attempts of 100 calls within 60 s"
    assert len(one.calls) == MOST_NAMED


def test_calls_that_are_spread_out_are_no_storm() -> None:
    """The window moves on: there are never 20 calls in one."""
    world = World(script(overloaded()))
    for place in range(60):
        world.start(retrying(Ask(more=str(place)), pauses(1.0, 2.0, 4.0)), place * 10.0)
    assert world.run().found(only=("retry-storm",)) == {}


# -- endless-retry ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "expected"), [(14, None), (15, "warning"), (29, "warning"), (30, "error")]
)
def test_endless_retry_by_attempts(attempts: int, expected: str | None) -> None:
    """15 are too many, 30 far too many."""
    world = World(script(overloaded())).start(retrying(Ask(), steady(7.0, attempts=attempts)))
    found = world.run().found(only=("endless-retry",))
    assert found == ({} if expected is None else {"endless-retry": expected})


@pytest.mark.parametrize(
    ("pause", "answer", "expected"),
    [
        (steady(59.95, attempts=11), overloaded(), True),
        (steady(59.95, attempts=10), overloaded(), False),
        (steady(300.0, attempts=6), overloaded(), False),  # once in five minutes
        (steady(300.0, attempts=12), overloaded(), True),
        (steady(300.0, attempts=14), throttled(300.0), False),  # as it was told
        (steady(1.0, attempts=5), hang(), False),  # it is the API that takes so long
        (steady(1.0, attempts=5), overloaded(seconds=160.0), True),
    ],
)
def test_endless_retry_by_time(pause: Pause, answer: Answer, expected: bool) -> None:
    """Ten minutes of trying, without the waits that were asked for."""
    world = World(script(answer)).start(retrying(Ask(patience=600.0), pause)).run()
    found = world.found(only=("endless-retry",))
    assert found == ({"endless-retry": "warning"} if expected else {})


@pytest.mark.parametrize(
    ("before", "every", "expected"),
    [(10.0, 10.0, False), (11.9, 10.0, False), (12.1, 10.0, True), (4.9, 4.9, True)],
)
def test_a_probe(before: float, every: float, expected: bool) -> None:
    """It asks at the same pace where nothing fails, and not too often."""
    world = World(script(ok(), ok(), *[overloaded()] * 20, ok()))
    world.start(
        in_turn(polling(Ask(), every=before, times=2), polling(Ask(), every=every, times=21))
    )
    found = world.run().found(only=("endless-retry",))
    assert found == ({"endless-retry": "warning"} if expected else {})


def test_a_call_without_end_is_kept_in_part() -> None:
    """Its first attempts and its last; what it says counts all."""
    told = pace(*[2.0] * 999).report(only=("endless-retry",))
    one = finding(told, "endless-retry")
    assert one.evidence == "1000 attempts in 34.1 min"
    assert one.timeline.count("529") == 8
    assert "… 992 more …" in one.timeline


def test_numbers_of_a_call_that_is_kept_in_part() -> None:
    """Each of them is true, and none contradicts another."""
    told = pace(*[0.01] * 59).report(only=("no-backoff", "retry-storm", "endless-retry"))
    assert [each.evidence for each in told.findings] == [
        "at least 38 of its attempts came less than 0.1 s after an error",
        "at least 39 attempts within 60 s",
        "60 attempts in 3.54 s",
    ]
    (steady,) = pace(*[0.5] * 59).report(only=("no-backoff",)).findings
    assert steady.evidence == "at least 38 attempts came at a steady pace of 0.5 s"


@pytest.mark.parametrize(("attempts", "told"), [(40, "40"), (41, "at least 39")])
def test_how_many_attempts_are_kept(attempts: int, told: str) -> None:
    """Up to 40 all of them count."""
    one = finding(pace(*[0.2] * (attempts - 1)).report(only=("retry-storm",)), "retry-storm")
    assert one.evidence == f"{told} attempts within 60 s"


# -- no-jitter ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "apart", "first", "second", "expected"),
    [
        (5, 0.0, (1.0, 0.0), (2.0, 0.0), True),
        (4, 0.0, (1.0, 0.0), (2.0, 0.0), False),
        (5, 0.025, (1.0, 0.0), (2.0, 0.0), True),
        (5, 0.026, (1.0, 0.0), (2.0, 0.0), False),
        (5, 0.0, (1.0, 0.05), (2.0, 0.1), True),
        (5, 0.0, (1.0, 0.052), (2.0, 0.0), False),
        (5, 0.0, (1.0, 0.0), (2.0, 0.104), False),
        (5, 0.0, (0.2, 0.02), (0.2, 0.02), True),
        (5, 0.0, (0.2, 0.024), (0.2, 0.0), False),
    ],
)
def test_no_jitter(
    calls: int,
    apart: float,
    first: tuple[float, float],
    second: tuple[float, float],
    expected: bool,
) -> None:
    """Five calls fail within 0.1 s, and their gaps differ by no more than 20 ms or 5 %, twice."""
    world = World(script(overloaded()))
    for place in range(calls):
        part = place / (calls - 1)
        gaps = [pause + part * more for pause, more in (first, second)]
        world.start(retrying(Ask(more=str(place)), pauses(*gaps)), place * apart)
    found = world.run().found(only=("no-jitter",))
    assert found == ({"no-jitter": "note"} if expected else {})


def test_a_crowd_that_was_told_a_wait_comes_back_together() -> None:
    """As it was told."""
    world = World(script(throttled(1.0)))
    for place in range(8):
        world.start(retrying(Ask(more=str(place)), pauses(1.0, 1.0)))
    told = world.run().report(only=("no-jitter",))
    assert told.verdicts[0].word == "no verdict"


@pytest.mark.parametrize(("tasks", "expected"), [(1, []), (4, []), (5, [5])])
def test_calls_that_follow_each_other_are_no_crowd(tasks: int, expected: list[int]) -> None:
    """A task that never waits has more than five fail within 0.1 s."""
    world = World(script(overloaded(seconds=0.001)))
    for place in range(tasks):
        for turn in range(6):
            ask = Ask(more=f"{place} {turn}")
            world.start(retrying(ask, pauses(0.003, 0.003)), turn * 0.015)
    told = world.run().report(only=("no-jitter",))
    assert [len(each.calls) for each in told.findings][:1] == expected


def test_two_crowds() -> None:
    """Each is found, and what fails alone is none."""
    world = World(script(overloaded()))
    for place in range(11):
        world.start(retrying(Ask(more=str(place)), pauses(1.0, 2.0)), place // 5 * 60.0)
    told = world.run().report(only=("no-jitter",))
    assert [len(each.calls) for each in told.findings] == [5, 5]
    assert told.findings[0].evidence == (
        "5 calls failed together and came back together, after 1 s and again after 2 s"
    )


def test_nothing_is_said_of_one_attempt() -> None:
    """No call was tried again: there is no verdict on its pace."""
    told = World(script(overloaded())).start(once(Ask())).run().report()
    words = {each.known.id: each.word for each in told.verdicts}
    for name in ("no-backoff", "retry-storm", "endless-retry", "no-jitter"):
        assert words[name] == "no verdict"
