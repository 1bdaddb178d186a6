"""Attempts in two layers, and loops that look like them."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve

from tests.unit.report.findings.clients import in_turn, once, retrying, stainless
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    Client,
    World,
    broken_stream,
    dropped,
    final,
    finding,
    ok,
    overloaded,
    script,
)

ASK = Ask()


def sdk(ask: Ask = ASK) -> Client:
    """Ask as an SDK does that counts its attempts, three of them."""
    return retrying(ask, stainless(Random(1)), counts=True)


def failing(number: int, then: Answer | None = None) -> World:
    """Return a world whose API fails so often."""
    return World(script(*[overloaded()] * number, then or ok()))


def nested(world: World) -> str:
    """Return in a word what is said."""
    (verdict,) = world.run().report(only=("retries-nested",)).verdicts
    return "found" if verdict.findings else verdict.word


def why_not(world: World) -> str:
    """Return why there is no verdict."""
    assert nested(world) == "no verdict"
    return world.report(only=("retries-nested",)).verdicts[0].why_not


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ((0.5,), "found"),
        ((60.0,), "found"),
        ((60.1,), "passed"),
        ((1.0, 1.0, 1.0), "found"),
        ((0.49,), "no verdict"),  # a loop goes on so soon
        ((1.0, 0.2, 1.0), "no verdict"),
    ],
)
def test_an_sdk_that_is_called_again_until_it_succeeds(
    pauses: tuple[float, ...], expected: str
) -> None:
    """Its count begins again after it had given up, with a pause, and no more after a success."""
    again = [each for pause in pauses for each in (pause, sdk())]
    assert nested(failing(3 * len(pauses)).start(in_turn(sdk(), *again))) == expected


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ((1.0, 1.5), "found"),
        ((0.5, 1.0, 2.0, 4.0), "found"),
        ((1.0, 1.49), "no verdict"),
        ((0.4, 1.0, 2.0), "no verdict"),
        ((1.0, 1.0, 1.0), "no verdict"),  # a loop that waits between its questions
        ((0.0, 0.0, 0.0), "no verdict"),  # one that does not
        ((30.0,), "no verdict"),
    ],
)
def test_an_sdk_that_never_succeeds(pauses: tuple[float, ...], expected: str) -> None:
    """Pauses that grow are those of a layer that tries again; others may be a loop's."""
    again = [each for pause in pauses for each in (pause, sdk())]
    world = World(script(overloaded())).start(in_turn(sdk(), *again))
    assert nested(world) == expected
    if expected != "found":
        assert "a loop that asks the same several times looks the same" in why_not(world)


def test_what_retries_nested_says() -> None:
    """How often each layer tried."""
    world = World(script(overloaded())).start(in_turn(sdk(), 1.0, sdk(), 2.0, sdk()))
    one = finding(world.run().report(only=("retries-nested",)), "retries-nested")
    assert (
        one.evidence
        == "the SDK had tried 3 times and failed; after 1 s it began again at 0, 2 times"
    )
    assert one.calls == (1, 2, 3)
    world = failing(3).start(in_turn(sdk(), 1.0, sdk())).run()
    one = finding(world.report(only=("retries-nested",)), "retries-nested")
    assert one.evidence.endswith("it began again at 0")


def test_an_sdk_that_is_never_above_0() -> None:
    """Claude Code says 0 with every attempt."""
    asks = [once(Ask(retry_count=0)) for _ in range(5)]
    assert nested(World(script(overloaded())).start(in_turn(*asks))) == "no verdict"


def test_a_program_that_asks_the_same_after_a_good_answer() -> None:
    """It is a loop: neither its failures nor its last success say that it tries again."""
    for answers in ((overloaded(), ok(), *[overloaded()] * 3), (*[overloaded()] * 3, ok())):
        world = World(script(*answers, ok())).start(in_turn(sdk(), 1.0, sdk(), 1.0, sdk()))
        assert "after a good answer" in why_not(world)


def test_an_sdk_that_gave_up_for_good() -> None:
    """The second attempt failed for good; what comes then is no second layer of retries."""
    world = World(script(overloaded(), final(), ok()))
    first = in_turn(once(Ask(retry_count=0)), 0.5, once(Ask(retry_count=1)))
    assert nested(world.start(in_turn(first, 1.0, once(Ask(retry_count=0))))) == "no verdict"


@pytest.mark.parametrize("in_order", [False, True])
def test_a_stream_that_the_sdk_took_as_good(in_order: bool) -> None:
    """It succeeded at its second attempt, as far as it knows."""
    cut = broken_stream("Hel", in_order=in_order)
    world = World(script(overloaded(), cut, ok())).start(in_turn(sdk(), 1.0, sdk()))
    assert "broke off" in why_not(world)


def test_a_program_that_is_run_again() -> None:
    """It has a connection of its own."""
    again = sdk(evolve(ASK, session=4))
    assert "another connection" in why_not(failing(3).start(in_turn(sdk(), 20.0, again)))


def test_connections_that_break() -> None:
    """The SDK saw it, and each attempt of the layer around it begins on the same one here."""
    world = World(script(*[dropped()] * 3, ok())).start(in_turn(sdk(), 1.0, sdk()))
    assert nested(world) == "found"


def test_equal_questions_at_once() -> None:
    """Whose count begins again cannot be told."""
    world = World(script(overloaded()))
    for begins in (0.0, 0.01):
        world.start(in_turn(sdk(), 1.0, sdk(), 2.0, sdk()), begins)
    assert "overlapped" in why_not(world)
