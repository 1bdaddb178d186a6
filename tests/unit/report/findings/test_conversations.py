"""What a program makes of answers that were not whole."""

from __future__ import annotations

import re

import pytest

from faultinject.observed import MESSAGES, Failure
from faultinject.report.as_html import html_report
from tests.unit.report.findings.clients import in_turn, once, pauses, retrying
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    Turn,
    World,
    assistant,
    broken_stream,
    finding,
    found,
    ok,
    overloaded,
    report,
    script,
    unseen,
    user,
)

MISSED: dict[Failure, str] = {
    "truncated": "truncation-missed",
    "error-event": "error-event-missed",
    "malformed": "malformed-ignored",
}
ONLY = (*MISSED.values(), "resumed", "not-tried-again")
START = (user("Count"),)
ON = user("Go on")


def first(*turns: Turn) -> Ask:
    return Ask(turns=turns or START, stream=True)


def said(answers: list[Answer], *asks: Ask | float, wait: float = 100.0) -> dict[str, str]:
    """Return what is found of a program that asks these in turn."""
    clients = [once(each) if isinstance(each, Ask) else each for each in asks]
    world = World(script(*answers)).start(in_turn(*clients)).run()
    return found(world.wait(wait).end_command().report(only=ONLY))


@pytest.mark.parametrize("failure", MISSED)
def test_a_part_that_is_taken_for_the_whole(failure: Failure) -> None:
    """What had come is the assistant's answer, and the conversation goes on behind it."""
    answers = [broken_stream(" 1 2 ", failure), ok("Fine")]
    follows = first(*START, assistant("1 2\n"), ON)
    assert said(answers, first(), follows) == {MISSED[failure]: "error"}


@pytest.mark.parametrize("failure", MISSED)
@pytest.mark.parametrize(
    ("asks", "expected"),
    [
        ([first(*START, assistant("1 2 3"), ON)], {}),  # it has more
        ([first(*START, assistant("1"), ON)], {}),
        ([first(*START, assistant("The answer broke off"), ON)], {}),
        ([first(*START, user("1 2"), ON)], {}),  # nobody's answer
        ([first(*START, assistant("1 2"))], {"resumed": "note"}),
        ([first()], {}),
        ([first(), first(*START, assistant("1 2"), ON)], {}),  # the second time it is whole
        ([first(user("Else"), assistant("1 2"), ON)], {"not-tried-again": "note"}),
        ([first(user("Else"), *START, assistant("1 2"), ON)], {"not-tried-again": "note"}),
        ([], {"not-tried-again": "note"}),
    ],
)
def test_what_else_may_follow_a_part(
    failure: Failure, asks: list[Ask], expected: dict[str, str]
) -> None:
    """Another attempt, another answer, a request to go on, or nothing."""
    assert said([broken_stream("1 2", failure), ok("1 2")], first(), *asks) == expected


def test_a_part_without_text() -> None:
    """Nothing was delivered that could be found again."""
    assert said([broken_stream(None), ok()], first(), first(*START, assistant(), ON)) == {}


def test_a_failure_before_the_stream_is_no_part() -> None:
    """There was no answer."""
    assert said([overloaded(text="1 2"), ok()], first(), first(*START, assistant("1 2"), ON)) == {}


def test_an_equal_conversation_that_had_the_same_as_its_whole_answer() -> None:
    """It may be the one that goes on."""
    world = World(script(broken_stream("1 2", seconds=2.0), ok("1 2")))
    world.start(once(first())).start(once(first()), 0.5)
    world.start(once(first(*START, assistant("1 2"), ON)), 3.0).run()
    assert world.found(only=ONLY) == {}


def meanwhile(at: float, ask: Ask, *answers: Answer, quiet_at: float = 1.0) -> dict[str, str]:
    """Return what is found if a stream breaks off at 1 s, and another request began before."""
    broken = broken_stream("1 2", "malformed", silent_after=quiet_at)
    world = World(script(broken, *answers, ok("Fine")))
    world.start(once(first())).start(once(ask), at).run()
    return found(world.wait(100.0).end_command().report(only=ONLY))


@pytest.mark.parametrize(
    ("at", "quiet_at", "expected"),
    [
        (1.0, 1.0, {"malformed-ignored": "error"}),
        (0.996, 1.0, {"malformed-ignored": "error"}),  # the end was noticed late
        (0.96, 0.95, {"malformed-ignored": "error"}),
        (0.9, 0.1, {"malformed-ignored": "error"}),
        (0.98, 1.0, {}),  # sooner than the part was there: it may be the text of another answer
        (0.8, 0.1, {}),
        (0.02, 0.1, {}),
        (0.005, 0.1, {"not-tried-again": "note"}),  # before there was an answer
    ],
)
def test_a_program_that_goes_on_before_the_end_is_noticed(
    at: float, quiet_at: float, expected: dict[str, str]
) -> None:
    """Its next request may be read first; and a stream that is given up may be left open."""
    follows = first(*START, assistant("1 2"), ON)
    assert meanwhile(at, follows, quiet_at=quiet_at) == expected


@pytest.mark.parametrize(
    ("at", "expected"), [(0.996, {}), (0.5, {}), (0.005, {"not-tried-again": "note"})]
)
def test_a_program_that_asks_again_before_the_end_is_noticed(
    at: float, expected: dict[str, str]
) -> None:
    """It may be an equal request of another, too; but for one that began before the answer."""
    assert meanwhile(at, first()) == expected
    gives_up = broken_stream("1 2", "malformed")
    assert meanwhile(at, first(), gives_up) == expected


def test_a_stream_that_is_over_at_once() -> None:
    """What asked for it does not follow it."""
    at_once = broken_stream("1 2", head=0.0, seconds=0.004)
    assert said([at_once], first()) == {"not-tried-again": "note"}


def test_an_equal_conversation_whose_whole_answer_is_not_noticed_to_be_over() -> None:
    """Its program may be the one that goes on."""
    whole = ok("1 2", head=0.01, seconds=0.3)
    world = World(script(broken_stream("1 2", silent_after=1.0), whole, ok()))
    world.start(once(first())).start(once(first()), 0.7)
    world.start(once(first(*START, assistant("1 2"), ON)), 0.999).run()
    assert world.found(only=ONLY) == {}


def test_the_part_may_be_many_messages_ago() -> None:
    """As long as the message is among those that are told of."""
    for more, expected in (
        (MESSAGES - 1, {"truncation-missed": "error"}),
        (MESSAGES, {"not-tried-again": "note"}),
    ):
        behind = [user(str(place)) for place in range(more)]
        follows = first(*START, assistant("1 2"), *behind)
        assert said([broken_stream("1 2"), ok()], first(), follows) == expected


@pytest.mark.parametrize(("wait", "expected"), [(60.0, True), (59.0, False)])
def test_not_tried_again(wait: float, expected: bool) -> None:
    """A minute has to pass while the run goes on."""
    world = World(script(broken_stream("1 2"))).start(once(first())).run().wait(wait).stop()
    told = world.report(only=("not-tried-again",))
    assert found(told) == ({"not-tried-again": "note"} if expected else {})
    assert told.verdicts[0].word == ("found" if expected else "no verdict")


@pytest.mark.parametrize(("began", "expected"), [(0.0, True), (50.0, False)])
def test_a_request_that_was_not_seen_may_have_brought_the_whole(
    began: float, expected: bool
) -> None:
    """Then what had come of a part before it may be that answer's text."""
    asks = in_turn(once(first()), once(first(*START, assistant("1 2"), ON)))
    world = World(script(broken_stream("1 2"), ok())).start(asks).run().wait(100.0).end_command()
    events = [*world.events, unseen(began)]
    told = found(report(events, only=ONLY))
    assert told == ({"truncation-missed": "error"} if expected else {})


def test_a_client_that_gives_up_after_it_has_tried_again() -> None:
    """It did ask again: that the last attempt broke off as well is not its fault."""
    asks = in_turn(*(once(first()) for _ in range(3)))
    world = World(script(*[broken_stream("1 2")] * 3)).start(asks).run().wait(60.0).stop()
    told = world.report(only=("not-tried-again",))
    assert (found(told), told.verdicts[0].word) == ({}, "passed")


def test_a_client_that_resumes_what_it_has_resumed() -> None:
    """Each request has all that came so far, which no answer had alone."""
    parts = ["", "1 2", "1 2 3", "1 2 3 4"]
    asks = [first(*START, assistant(part)) if part else first() for part in parts]
    answers = [broken_stream(text) for text in ("1 2", "3", "4")]
    for last in (ok("5"), broken_stream("5")):
        assert said([*answers, last], *asks) == {"resumed": "note"}


@pytest.mark.parametrize("again", [True, False])
def test_a_part_of_an_answer_whose_beginning_was_given(again: bool) -> None:
    """It may be asked again without that."""
    asks = [first(*START, assistant("{")), *([first()] if again else [])]
    expected = {} if again else {"not-tried-again": "note"}
    assert said([broken_stream("1 2"), ok()], *asks) == expected


def test_what_they_say() -> None:
    """What ended how, and where what had come turned up."""
    asks = in_turn(once(first()), once(first(*START, assistant("1 2"), ON)))
    told = World(script(broken_stream("1 2"), ok())).start(asks).run().report(only=ONLY)
    one = finding(told, "truncation-missed")
    assert one.evidence == (
        "the stream ended without its last event; call 2 has what had come as the assistant's"
        " answer"
    )
    assert (one.calls, one.timeline) == ((1, 2), "▶ 200 cut")


# -- work-repeated ------------------------------------------------------------------------------


def test_work_repeated() -> None:
    """The tokens of answers that were lost and asked for again, in one sum."""
    lost = broken_stream("1 2", tokens=(100, 20))
    world = World(script(lost, lost, ok(tokens=(100, 50)), overloaded(), lost))
    for place in range(3):
        asks = [once(first(user(str(place)))) for _ in range((3, 2, 1)[place])]
        world.start(in_turn(*asks), place * 10.0)
    told = world.run().report(only=("work-repeated",))
    assert finding(told, "work-repeated").evidence == (
        "200 tokens of input and 40 of output were paid for in 2 lost answers"
    )
    assert (told.totals.lost_input_tokens, told.totals.lost_output_tokens) == (400, 80)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (1, "call 1: 1 token of input and 0 of output were paid for in 1 lost answer"),
        (2, "calls 1 and 2: 2 tokens of input and 0 of output were paid for in 2 lost answers"),
        (4, "calls 1, 2, 3 and 4: 4 tokens of input and 0 of output were paid for in 4 lost"),
        (30, "30 calls: 30 tokens of input and 0 of output were paid for in 30 lost answers"),
    ],
)
def test_whose_work_is_repeated(calls: int, expected: str) -> None:
    """The calls are named; their sums are not told of the first."""
    lost = broken_stream("1 2", tokens=(1, 0))
    world = World(script(*[lost, ok()] * calls))
    for place in range(calls):
        ask = first(user(str(place)))
        world.start(in_turn(once(ask), 0.5, once(ask)), place * 10.0)
    told = world.run().report(only=("work-repeated",))
    one = finding(told, "work-repeated")
    assert one.in_words.startswith(expected)
    assert bool(one.timeline) == (calls == 1)
    page = re.sub("<[^>]*>", "", html_report(told))
    assert f"{'call 1' if calls == 1 else f'{calls} calls'}: {one.evidence}" in page


def test_work_repeated_by_a_call_that_is_kept_in_part() -> None:
    """The totals count all; the finding says that it knows of so many at least."""
    lost = broken_stream("1 2", tokens=(100, 20))
    world = World(script(lost)).start(retrying(first(), pauses(*[1.0] * 49)))
    told = world.run().report(only=("work-repeated",))
    assert finding(told, "work-repeated").evidence == (
        "at least 3900 tokens of input and 780 of output were paid for in at least 39 lost answers"
    )
    assert (told.totals.lost_input_tokens, told.totals.lost_output_tokens) == (5000, 1000)


def test_no_work_is_repeated() -> None:
    """If nothing was lost, or it was not asked for again, or nobody told of tokens."""
    for answers in (
        [broken_stream("1 2", tokens=(100, 20))],
        [overloaded(), ok(tokens=(1, 2))],
        [broken_stream("1 2", tokens=(0, 0)), ok()],
    ):
        asks = [once(first()) for _ in answers]
        told = World(script(*answers)).start(in_turn(*asks)).run().report(only=("work-repeated",))
        assert told.verdicts[0].word == "no verdict"
