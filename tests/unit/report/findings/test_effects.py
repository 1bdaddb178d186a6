"""Tools that are run twice."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.report.findings.clients import in_turn, once
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    Turn,
    World,
    assistant,
    broken_stream,
    final,
    finding,
    found,
    ok,
    overloaded,
    results,
    script,
    throttled,
    user,
)

START = (user("Pay"),)
PAY = ("pay", '{"amount": 5}')
ONLY = ("repeated-effects",)
FOUND = {"repeated-effects": "warning"}


def paid(call_id: str = "a", result: str = "paid", call: tuple[str, str] = PAY) -> Ask:
    """Return a request that brings the result of a call."""
    return Ask(turns=(*START, assistant(**{call_id: call}), results(**{call_id: result})))


ASKED = Ask(turns=START)


def said(*steps: tuple[Ask, Answer], **thresholds: frozenset[str]) -> dict[str, str]:
    """Return what is found of a program that asks these and is answered so."""
    world = World(script(*[answer for _, answer in steps]))
    world.start(in_turn(*[once(ask) for ask, _ in steps])).run()
    return found(world.report(only=ONLY, **thresholds))


@pytest.mark.parametrize(
    "failure", [overloaded(), throttled(), broken_stream("P"), final(), throttled(kind="quota")]
)
def test_a_turn_that_is_lived_through_twice(failure: Answer) -> None:
    """The model is asked again after a failure, and calls the same tool again."""
    steps = [(ASKED, ok()), (paid("a"), failure), (ASKED, ok()), (paid("b"), ok())]
    assert said(*steps) == FOUND
    assert said(*steps, effects=frozenset({"pay"})) == {"repeated-effects": "error"}
    assert said(*steps, effects=frozenset({"read"})) == FOUND


def test_a_program_that_asks_again_at_once() -> None:
    """Times are told in milliseconds: an end may seem to be later than what follows it."""
    soon = evolve(ok(), seconds=0.0506)
    failure = evolve(overloaded(), seconds=0.0506)
    assert said((ASKED, soon), (paid("a"), failure), (ASKED, soon), (paid("b"), ok())) == FOUND


def test_a_failure_further_on() -> None:
    """The whole run of an agent is begun again, since it failed at its third turn."""
    further = Ask(turns=(*paid("a").turns, assistant(c=("mail", "{}")), results(c="sent")))
    steps = [(ASKED, ok()), (paid("a"), ok()), (further, overloaded())]
    assert said(*steps, (ASKED, ok()), (paid("b"), ok())) == FOUND


def test_the_same_call_with_another_result() -> None:
    """The tool was run again after a failed attempt."""
    assert said((ASKED, ok()), (paid(), overloaded()), (paid(result="paid 2"), ok())) == FOUND


@pytest.mark.parametrize(
    "steps",
    [
        # The old result again
        [(ASKED, ok()), (paid(), overloaded()), (paid(), ok())],
        [(ASKED, ok()), (paid(), overloaded()), (ASKED, ok()), (paid(), ok())],
        # No failure
        [(ASKED, ok()), (paid("a"), ok()), (ASKED, ok()), (paid("b"), ok())],
        [(ASKED, ok()), (paid("a"), ok()), (ASKED, overloaded()), (ASKED, ok()), (paid("b"), ok())],
        # The model was not asked again, or did not answer
        [(ASKED, ok()), (paid("a"), overloaded()), (paid("b"), ok())],
        [(ASKED, ok()), (paid("a"), overloaded()), (ASKED, overloaded()), (paid("b"), ok())],
        # Another tool, other arguments, another place
        [
            (ASKED, ok()), (paid("a"), overloaded()), (ASKED, ok()),
            (paid("b", call=("refund", PAY[1])), ok()),
        ],
        [
            (ASKED, ok()), (paid("a"), overloaded()), (ASKED, ok()),
            (paid("b", call=("pay", '{"amount": 6}')), ok()),
        ],
        [
            (ASKED, ok()), (paid("a"), overloaded()), (paid("a"), ok()),
            (Ask(turns=(*paid("a").turns, assistant(b=PAY), results(b="paid"))), ok()),
        ],
        # It was too long, and is cut down
        [(ASKED, ok()), (paid(), final(413)), (paid(result="pa..."), ok())],
    ],
)  # fmt: skip
def test_what_is_no_repeated_effect(steps: list[tuple[Ask, Answer]]) -> None:
    """Old results, polling, other tools."""
    assert said(*steps) == {}


def test_two_equal_calls_in_one_answer() -> None:
    """The model asked for both."""
    both = Ask(turns=(*START, assistant(a=PAY, b=PAY), results(a="paid", b="paid")))
    assert said((ASKED, ok()), (both, overloaded()), (both, ok())) == {}


def test_results_in_several_messages() -> None:
    """OpenAI has one message for each."""

    def with_results(*ids: str) -> Ask:
        calls = {each: ("pay", each[0]) for each in ids}
        return Ask(turns=(*START, assistant(**calls), *[results(**{each: "ok"}) for each in ids]))

    steps = [(ASKED, ok()), (with_results("a1", "b1"), overloaded()), (ASKED, ok())]
    world = World(script(*[answer for _, answer in steps], ok()))
    world.start(in_turn(*[once(ask) for ask, _ in steps], once(with_results("a2", "b2")))).run()
    assert len(world.report(only=ONLY).findings) == 2


def test_equal_conversations_at_once() -> None:
    """Each of them runs its tool."""
    world = World(script(ok(seconds=1.0), ok(seconds=1.0), overloaded(), ok()))
    world.start(once(ASKED)).start(once(ASKED), 0.5)
    world.start(in_turn(once(paid("a")), once(ASKED), once(paid("b"))), 2.0).run()
    assert world.found(only=ONLY) == {}


def test_what_it_says() -> None:
    """Which tool, and how it came to it; never the arguments."""
    steps = [(ASKED, ok()), (paid("a"), overloaded()), (ASKED, ok()), (paid("b"), ok())]
    world = World(script(*[answer for _, answer in steps]))
    world.start(in_turn(*[once(ask) for ask, _ in steps])).run()
    one = finding(world.report(only=ONLY), "repeated-effects")
    assert one.evidence == (
        "pay was run twice with the same arguments: after a failed attempt the model was asked"
        " again, and called it again"
    )
    assert one.calls == (2, 4)
    steps = [(ASKED, ok()), (paid(), overloaded()), (paid(result="paid 2"), ok())]
    world = World(script(*[answer for _, answer in steps]))
    world.start(in_turn(*[once(ask) for ask, _ in steps])).run()
    assert finding(world.report(only=ONLY), "repeated-effects").evidence == (
        "pay was run twice with the same arguments: the same call has another result after a"
        " failed attempt"
    )


def test_an_answer_between_does_not_hide_the_results() -> None:
    """Only what stands behind the last answer of the model is new."""

    def more(*turns: Turn) -> Ask:
        return Ask(turns=(*paid("a").turns, *turns))

    steps = [
        (ASKED, ok()), (paid("a"), ok()), (more(assistant("Paid"), user("Thanks")), overloaded()),
        (more(assistant("Paid"), user("Thanks")), ok()),
    ]  # fmt: skip
    assert said(*steps) == {}
