"""Points: which events are counted."""

from __future__ import annotations

from faultinject.faults.place import EventPoint
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
