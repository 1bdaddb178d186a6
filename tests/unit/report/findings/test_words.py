"""Numbers and attempts as a person reads them."""

from __future__ import annotations

import pytest

from faultinject.events import ExchangeEnded
from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call
from faultinject.report.words import seconds, timeline
from tests.unit.report.findings.clients import pauses, retrying
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    World,
    broken_stream,
    dropped,
    hang,
    ok,
    overloaded,
    script,
    stall,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0 s"), (0.0004, "0 s"), (0.04, "0.04 s"), (0.099, "0.099 s"), (0.5, "0.5 s"),
        (1.0, "1 s"), (2.25, "2.25 s"), (9.999, "10 s"), (12.34, "12 s"), (60.0, "60 s"),
        (100.0, "100 s"), (119.6, "120 s"), (120.0, "2 min"), (2000.0, "33.3 min"),
    ],
)  # fmt: skip
def test_seconds(number: float, text: str) -> None:
    """With as many digits as matter."""
    assert seconds(number) == text


def line(*answers: Answer, patience: float = 1e9, until: float = 1e9) -> str:
    """Return the timeline of a call with these answers."""
    world = World(script(*answers))
    pause = [0.5, 0.9, *[2.0] * 20][: len(answers) - 1]
    world.start(retrying(Ask(patience=patience), pauses(*pause))).run(until).stop()
    call = Call(1)
    for event in world.events:
        if isinstance(event, ExchangeEnded) and (attempt := SeenAttempt.of(event)) is not None:
            call.add(attempt)
    return timeline(call)


def test_timelines() -> None:
    """Statuses and gaps, and how it failed where there is no status."""
    assert line(overloaded(), overloaded(), ok()) == "▶ 529 · 0.5 s · 529 · 0.9 s · 200"
    assert line(dropped(), ok()) == "▶ no answer · 0.5 s · 200"
    assert line(broken_stream("Hel")) == "▶ 200 cut"
    assert line(broken_stream("Hel", in_order=True)) == "▶ 200 truncated"
    assert line(stall(), ok(), patience=5.0) == "▶ 200 stalled client left · 0.5 s · 200"
    assert line(hang(), ok(), patience=5.0) == "▶ stalled client left · 0.5 s · 200"
    assert line(ok(seconds=9.0), patience=5.0) == "▶ client left"
    assert line(ok(seconds=9e9)) == "▶ run ended"
    assert line(dropped(failure="handshake")) == "▶ TLS broken"


def test_a_long_timeline() -> None:
    """Its middle is left out."""
    text = line(*[overloaded()] * 9)
    assert text.count("529") == 8
    assert text.count(" · … 1 more … · ") == 1
    assert line(*[overloaded()] * 8).count("529") == 8
