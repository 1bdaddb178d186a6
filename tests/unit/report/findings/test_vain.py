"""Attempts that could not help."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.events import RelayEnded
from tests.support.sample_events import TIME, sample
from tests.unit.report.findings.clients import in_turn, once, pauses, retrying, steady
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    World,
    dropped,
    final,
    finding,
    ok,
    overloaded,
    script,
    throttled,
)


def in_vain(world: World) -> bool:
    """Return True if it is found."""
    found = world.found(only=("retried-in-vain",))
    assert found in ({}, {"retried-in-vain": "warning"})
    return bool(found)


@pytest.mark.parametrize(
    ("answer", "after", "changes", "expected"),
    [
        (final(), 60.0, {}, True),
        (final(), 60.1, {}, False),
        (final(), 0.0, {}, True),
        (final(), 1.0, {"more": "mended"}, False),
        (final(), 1.0, {"model": "other"}, False),
        (final(), 1.0, {"stream": True}, False),
        (final(), 1.0, {"path": "/v1/other"}, False),
        (final(404), 1.0, {}, True),
        (final(401), 1.0, {}, True),
        (final(401), 1.0, {"credential": "other"}, False),
        (final(403), 1.0, {}, True),
        (overloaded(kind="final", should_retry=False), 1.0, {}, True),
        (overloaded(), 1.0, {}, False),
        (throttled(kind="quota"), 1.0, {}, False),  # SDKs cannot tell it from throttling
        (final(402, kind="quota"), 1.0, {}, True),
        (ok(), 1.0, {}, False),
    ],
)
def test_retried_in_vain(
    answer: Answer, after: float, changes: dict[str, Any], expected: bool
) -> None:
    """What failed for good is sent once more within a minute, and nothing has changed."""
    world = World(script(answer, ok()))
    world.start(in_turn(once(Ask()), after, once(Ask(**changes)))).run()
    assert in_vain(world) == expected


def test_to_read_again_is_not_in_vain() -> None:
    """What is not there may come."""
    ask = Ask(method="GET", turns=())
    assert not in_vain(
        World(script(final(404))).start(retrying(ask, steady(1.0, attempts=5))).run()
    )


def test_credentials_that_are_not_known() -> None:
    """They may be in a header of the API's own, and be others."""
    ask = Ask(credential=None)
    world = World(script(final(401))).start(retrying(ask, steady(1.0, attempts=3))).run()
    assert not in_vain(world)
    world = World(script(final(400))).start(retrying(ask, steady(1.0, attempts=3))).run()
    assert in_vain(world)


def test_a_tunnel_to_where_tokens_may_come_from() -> None:
    """What passes in it is not seen."""
    world = World(script(final(401))).start(retrying(Ask(), pauses(1.0))).run()
    assert in_vain(world)
    for ended, took, expected in ((0.9, 100, False), (9.0, 8800, False), (9.0, 7000, True)):
        relay = sample(RelayEnded, time=TIME + ended, milliseconds=took)
        world.events.append(relay)
        assert in_vain(world) == expected
        world.events.remove(relay)


def test_equal_requests_at_once_are_not_in_vain() -> None:
    """A program may ask the same several times."""
    world = World(script(final()))
    for begins in (0.0, 0.01, 0.2):
        world.start(once(Ask()), begins)
    assert not in_vain(world.run())


def test_what_retried_in_vain_says() -> None:
    """How often, in one finding."""
    world = World(script(final(413))).start(retrying(Ask(), steady(0.5, attempts=4))).run()
    one = finding(world.report(only=("retried-in-vain",)), "retried-in-vain")
    assert one.evidence == "413 (final), and the same request again after 0.5 s, 3 times"
    assert one.calls == (1, 2, 3, 4)
    world = World(script(final(400, kind="quota"))).start(retrying(Ask(), pauses(1.0))).run()
    one = finding(world.report(only=("retried-in-vain",)), "retried-in-vain")
    assert one.evidence.startswith("400 (quota), and the same request again after 1 s")


@pytest.mark.parametrize(
    ("answer", "changes", "attempts", "expected"),
    [
        (throttled(kind="quota"), {}, 3, None),  # as many as SDKs make
        (throttled(kind="quota"), {}, 4, ", 3 times"),
        (throttled(kind="quota"), {}, 60, ", at least 39 times"),
        (throttled(2.0, kind="quota"), {}, 6, None),
        (throttled(kind="quota"), {"method": "GET", "turns": ()}, 6, None),
        (throttled(kind="quota", status=503), {}, 6, None),
        (throttled(), {}, 6, None),
        (dropped(kind="quota", status=429), {}, 6, None),
        (final(402, kind="quota"), {}, 6, None),  # it is found
    ],
)
def test_a_429_for_a_quota_is_not_judged_and_that_is_said(
    answer: Answer, changes: dict[str, Any], attempts: int, expected: str | None
) -> None:
    """SDKs try again then, too; but not so often."""
    asks = retrying(Ask(**changes), steady(1.0, attempts=attempts), counts=attempts > 40)
    told = World(script(answer)).start(asks).run().report(only=("retried-in-vain",))
    (verdict,) = told.verdicts
    assert verdict.word == ("found" if answer.status == 402 else "no verdict")
    seen = f"429 (quota), and the same request again after 1 s{expected}, as SDKs do"
    assert verdict.why_not.startswith(seen) == (expected is not None)
    assert ("as SDKs do" in verdict.why_not) == (expected is not None)


def test_a_quota_and_requests_at_once() -> None:
    """They are not attempts of each other, as far as is known."""
    world = World(script(throttled(kind="quota")))
    for begins in (0.0, 0.01, 0.02, 0.03, 1.0, 2.0):
        world.start(once(Ask()), begins)
    told = world.run().report(only=("retried-in-vain",))
    assert "as SDKs do" not in told.verdicts[0].why_not


def test_in_vain_more_often_than_attempts_are_kept() -> None:
    """So often at least."""
    asks = retrying(Ask(), pauses(*[1.0] * 49), counts=True)
    told = World(script(final())).start(asks).run().report(only=("retried-in-vain",))
    assert finding(told, "retried-in-vain").evidence == (
        "400 (final), and the same request again after 1 s, at least 39 times"
    )
