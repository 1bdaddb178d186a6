"""Where in an answer something happens, as values.

Knows nothing of how an answer is read, and of what happens there.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.conditions import JsonTest


@frozen
class EventPoint:
    """Just before or after the ``count``-th event that fits."""

    after: bool
    """Whether it is after that event, or before it."""
    event: str | None = None
    """The name of the event (for streams whose events have none: the type in its data); None for
    any."""
    count: int = 1
    where: tuple[JsonTest, ...] = ()
    """Tests of the event's data; all must hold."""

    def accepts(self, name: str | None, data: object) -> bool:
        """Say whether an event is one of those that are counted.

        ``data`` is the event's data as a JSON value, `MISSING` if it is none.
        """
        if self.event is not None and self.event != name:
            return False
        return all(test.holds(data) for test in self.where)


@frozen
class BytesPoint:
    """After so many bytes of the body."""

    after_bytes: int


@frozen
class TimePoint:
    """So long after the head."""

    after_seconds: float


Point = EventPoint | BytesPoint | TimePoint

START = BytesPoint(0)
"""Before the first byte of the body."""
FIRST_EVENT = EventPoint(after=False)
"""Before the first event."""
