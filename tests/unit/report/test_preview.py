"""What a rule's faults send, as people are shown it."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.config.rules import read_rules
from faultinject.providers.known import provider_named
from faultinject.report.preview import shown, visible

PASSES = "[the API is asked, and its answer passes]\n"


def texts(fault: Any, api: str = "plain", **match: Any) -> list[str]:
    """Return what is shown for a fault and an API."""
    rule = {"name": "r", "match": match, "fault": fault}
    if not match:
        del rule["match"]
    [read] = read_rules([rule], "t").rules
    known = provider_named(api)
    assert known is not None
    return [one.text for one in shown(read, known)]


def events(text: str) -> int:
    """Return how many events there are."""
    return text.count("data: ")


@pytest.mark.parametrize(
    ("fault", "shown_text"),
    [
        ("pass", PASSES),
        ({"break": "close"}, "[close instead of an answer]\n"),
        (
            {"delay": {"normal": {"mean": 2, "deviation": "500ms"}}},
            "[a normal time passes before the upstream, half of the times 2 s]\n" + PASSES,
        ),
        (
            {"delay": "2s", "break": "reset"},
            "[2 s pass before the upstream]\n[reset instead of an answer]\n",
        ),
    ],
)
def test_what_happens_without_an_answer(fault: Any, shown_text: str) -> None:
    """It is told in brackets."""
    assert texts(fault) == [shown_text]


def test_an_answer_that_ends_the_connection() -> None:
    """Its head says so."""
    [text] = texts({"respond": {"status": 503, "connection": "close", "body": "no\r\n"}})
    assert "\nConnection: close\n\nno␍\n" in text


@pytest.mark.parametrize(
    ("fault", "count", "end"),
    [
        ({"break": {"how": "garbage", "after": {"count": 2}}}, 2, "[64 bytes of garbage"),
        ({"stream": {"after": {"time": "50ms"}, "cut": True}}, 3, "[FIN, without"),
        ({"stream": {"after": {"time": "1h"}, "cut": True}}, 10, "[the body's proper end]\n"),
        ({"break": {"how": "hang", "for": "2s", "after": {"count": 1}}}, 1, "[2 s pass]\n[FIN, "),
        ({"stream": {"after": {"count": 1}, "reset": True}}, 1, "[RST]\n"),
    ],
)  # fmt: skip
def test_a_stream_is_shown_up_to_what_happens_in_it(fault: Any, count: int, end: str) -> None:
    """Events before the point are there, and none behind it."""
    [text] = texts(fault)
    assert events(text) == count
    assert end in text
    assert "X-Faultinject" not in text  # a real answer bears no mark


def test_a_wait_that_is_over_when_it_is_due_is_not_shown() -> None:
    """A stall within a stall that lasts longer."""
    stalls = [{"after": {"count": 1}, "stall": "3s"}, {"after": {"time": "1s"}, "stall": "10s"}]
    [text] = texts({"stream": stalls})
    assert [line for line in text.splitlines() if "pass" in line] == ["[1 s pass]", "[10 s pass]"]
    assert events(text) == 10


def test_a_made_stream_bears_the_mark() -> None:
    """It is no answer of the API's."""
    [text] = texts({"stream": {"after": {"count": 1}, "cut": True, "upstream": "skipped"}})
    assert "\nX-Faultinject: r\n" in text


def test_what_cannot_happen_is_told() -> None:
    """An event cannot be found in what is no stream."""
    [text] = texts({"break": {"how": "close", "after": {"count": 2}}}, stream=False)
    assert "[not reached: close after 2 events (the answer is no stream)]\n" in text


def test_a_rule_for_another_api_shows_nothing() -> None:
    """Neither by its name, nor by a path that it does not have."""
    assert texts({"respond": 500}, "openai", path="/v1/messages") == []
    assert texts({"respond": 500}, "openai", provider="plain") == []
    assert len(texts({"respond": 500}, "openai", path="*/responses")) == 1


def test_bytes_are_seen() -> None:
    """Those that are no text, too."""
    assert visible(b"a\r\nb\n") == "a␍\nb\n"
    assert visible(b"a\xff") == "a\\xff␃\n"
    assert visible(b"") == ""
