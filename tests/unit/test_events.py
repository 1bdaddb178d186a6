"""Events are plain values that JSON can hold."""

from __future__ import annotations

import json

import attrs
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import VERSION, Event, ExchangeEnded, RelayEnded, rfc3339
from faultinject.observed import NOTHING_OBSERVED, Message, Observed, ToolResult
from faultinject.seen import Parts, PlainSeen, Seen, parts_of, seen_of
from tests.support.sample_events import SAMPLES, sample


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250Z"),
        (1_800_000_000.0004, "2027-01-15T08:00:00.000Z"),
        (1_800_000_000.9996, "2027-01-15T08:00:01.000Z"),
    ],
)
def test_rfc3339(seconds: float, text: str) -> None:
    """UTC, rounded to milliseconds; the seconds carry."""
    assert rfc3339(seconds) == text


@given(st.lists(st.floats(0, 4e9), min_size=2))
def test_rfc3339_has_no_memory(many: list[float]) -> None:
    """What is kept of one time never shows in another: order does not matter."""
    assert [rfc3339(each) for each in many] == [rfc3339(each) for each in reversed(many)][::-1]


@pytest.mark.parametrize("kind", list(SAMPLES), ids=lambda kind: kind.NAME)
def test_as_dict(kind: type[Event]) -> None:
    """Name, version, level and time, then every field as it is."""
    event = sample(kind)
    values = event.as_dict()
    assert list(values)[:4] == ["event", "v", "level", "time"]
    assert (values["event"], values["v"], values["level"]) == (kind.NAME, VERSION, event.level)
    assert values["time"] == "2027-01-15T08:00:00.250Z"
    own = attrs.asdict(event, recurse=False)
    if isinstance(event, ExchangeEnded):  # what was observed stands beside the other fields
        assert own.pop("seen") is None
        own |= NOTHING_OBSERVED.as_dict()
    assert {name: values[name] for name in list(values)[4:]} == {
        name: value for name, value in own.items() if name != "time"
    }
    json.dumps(values)


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("injected", "info"),
        ("client-gone", "info"),
        ("upstream-error", "warning"),
        ("refused", "warning"),
    ],
)
def test_level_of_an_exchange(outcome: str, level: str) -> None:
    """It matters more if the answer is not what upstream or a rule meant."""
    assert sample(ExchangeEnded, outcome=outcome).level == level


@pytest.mark.parametrize(("error", "level"), [(None, "info"), ("reset", "warning")])
def test_level_of_a_relay(error: str | None, level: str) -> None:
    """It matters more if it broke."""
    assert sample(RelayEnded, error=error).level == level


def test_what_was_observed_of_an_exchange() -> None:
    """It stands beside the other fields, as plain JSON."""
    result = ToolResult(tool="write", arguments="a", call_id="b", result="c", prefix="d")
    message = Message(role="user", text=None, before="e", results=(result,))
    observed = Observed(call=3, attempt=2, messages=(message,))
    values = json.loads(json.dumps(sample(ExchangeEnded, seen=seen_of(observed)).as_dict()))
    assert "observed" not in values
    assert (values["call"], values["attempt"], values["model"]) == (3, 2, None)
    assert values["messages"] == [
        {
            "role": "user",
            "text": None,
            "before": "e",
            "results": [
                {"tool": "write", "arguments": "a", "call_id": "b", "result": "c", "prefix": "d"}
            ],
        }
    ]


def test_what_was_observed_is_found_out_once_it_is_asked_for() -> None:
    """And then it is kept."""
    asked = []

    def find() -> Parts:
        asked.append(1)
        return parts_of(Observed(call=7))

    event = sample(ExchangeEnded, seen=Seen(2.0, find))
    assert event.ended_seconds == round(2.0 + event.milliseconds / 1000, 3)
    assert not asked
    assert event.observed == Observed(call=7)
    assert event.as_dict()["call"] == 7
    assert event == sample(ExchangeEnded, seen=seen_of(Observed(call=7)))
    assert asked == [1]


def test_what_is_plain() -> None:
    """It is the only attempt of a call that went well, and no more is known of it."""
    plain = Observed(began_seconds=1.0, call=7, attempt=1, taken="whole")
    seen = seen_of(plain)
    assert isinstance(seen, PlainSeen)
    assert sample(ExchangeEnded, seen=seen).observed == plain
    others = [{"request": "r"}, {"attempt": 2}, {"failure": "cut"}, {"taken": "left"}]
    others += [{"call": None}, {"began_seconds": None}, {"invocation_id": False}]
    for changes in others:
        assert isinstance(seen_of(evolve(plain, **changes)), Seen)
    assert sample(ExchangeEnded, seen=None).ended_seconds is None


def test_the_times_of_what_is_plain_are_rounded_once_they_are_asked() -> None:
    """As all others are."""
    (head, call, _, _, body), asked = seen_of(
        Observed(began_seconds=1.0, call=7, attempt=1, taken="whole")
    )
    event = sample(ExchangeEnded, seen=PlainSeen(((head, call, 1.2346, 0.0004, body), asked)))
    told = event.as_dict()
    assert (told["began_seconds"], told["first_byte_seconds"]) == (1.235, 0.0)
    assert event.ended_seconds == round(1.235 + event.milliseconds / 1000, 3)
