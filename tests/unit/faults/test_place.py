"""Points: which events are counted."""

from __future__ import annotations

import pytest

from faultinject.faults.place import (
    FIRST_EVENT,
    START,
    BytesPoint,
    EventPoint,
    Point,
    TimePoint,
    point_words,
)
from faultinject.matchers import MISSING, AnyOf, Equal, JsonMatcher, JsonPath


def test_which_events_are_counted() -> None:
    """By name and by what their data says; all must hold."""
    where = (JsonMatcher(JsonPath.parse("delta.type"), AnyOf((Equal("text"),))),)
    point = EventPoint(after=True, event="delta", where=where)
    assert point.accepts("delta", {"delta": {"type": "text"}})
    assert not point.accepts("other", {"delta": {"type": "text"}})
    assert not point.accepts("delta", {"delta": {"type": "json"}})
    assert not point.accepts("delta", MISSING)
    assert EventPoint(after=False).accepts(None, MISSING)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (START, "after 0 bytes"),
        (BytesPoint(700), "after 700 bytes"),
        (TimePoint(2.5), "after 2.5 s"),
        (FIRST_EVENT, "before event 1"),
        (EventPoint(after=False, event="ping", count=3), "before ping event 3"),
        (EventPoint(after=True), "after 1 event"),
        (EventPoint(after=True, count=2), "after 2 events"),
        (EventPoint(after=True, event="ping"), "after 1 ping event"),
        (EventPoint(after=True, event="ping", count=2), "after 2 ping events"),
    ],
)
def test_points_in_words(point: Point, words: str) -> None:
    """As the log and the headers have them."""
    assert point_words(point) == words
