"""Where a fault happens: at which stage of a request, and at which point of an answer.

`Ability` is what the proxy or plugin must be able to do for a fault.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from faultinject.matchers import JsonMatcher


class Stage(Enum):
    """When a fault must be decided. Each later stage knows more facts."""

    CONNECT = "connect"
    """A client asks for a tunnel. The host is known."""
    HANDSHAKE = "handshake"
    """The client's ClientHello has come. The host is known."""
    REQUEST = "request"
    """A request's head was read, but not its body. All but the body is known."""
    ANSWER = "answer"
    """The request has come. Its body is known if a rule needs it."""


class Scope(Enum):
    """What ends when a fault ends an exchange in the midst of its response."""

    REQUEST = "request"
    """That exchange. HTTP/1.1 can only do so by the end of its connection."""
    CONNECTION = "connection"
    """The client's connection, with all exchanges that are open on it."""


class Ability(Enum):
    """What a fault needs of the proxy or plugin. The value completes "it cannot …"."""

    CONNECT = "act on a CONNECT"
    HANDSHAKE = "act on a TLS handshake"
    REQUEST = "act before the request's body is read"
    RESET = "reset a connection"
    CLOSE = "close a connection without an answer"
    HANG = "leave a client without an answer"
    GARBAGE = "send what is not HTTP"
    ALERT = "send a TLS alert"
    ANSWERED = "ask upstream and lose the answer"
    CLOSE_AFTER = "close the connection after an answer"
    DELAY = "delay a request"
    DELAY_HEAD = "delay an answer's head"
    DELAY_BODY = "delay an answer's body"
    ANSWER = "change an answer as it passes"
    MADE_STREAM = "make a stream of its own"


@frozen
class EventPoint:
    """Just before or after the ``count``-th matching event."""

    after: bool
    """Whether it is after the event, not before it."""
    event: str | None = None
    """The name of the event (for streams whose events have none: the type in its data); None for
    any."""
    count: int = 1
    where: tuple[JsonMatcher, ...] = ()
    """Tests of the event's data; all must hold."""

    def accepts(self, name: str | None, data: object) -> bool:
        """Return True if an event is counted.

        ``data`` is the event's data as a JSON value, or `MISSING` if it is not JSON.
        """
        if self.event is not None and self.event != name:
            return False
        return all(test.holds(data) for test in self.where)


@frozen
class BytesPoint:
    """After a number of bytes of the body."""

    after_bytes: int


@frozen
class TimePoint:
    """At a time after the head."""

    after_seconds: float


Point = EventPoint | BytesPoint | TimePoint

START = BytesPoint(0)
"""Before the first byte of the body."""
FIRST_EVENT = EventPoint(after=False)
"""Before the first event."""


def point_words(point: Point) -> str:
    """Return a point in words."""
    if isinstance(point, BytesPoint):
        return f"after {point.after_bytes} bytes"
    if isinstance(point, EventPoint):
        return _event_words(point)
    return f"after {point.after_seconds:g} s"


def _event_words(point: EventPoint) -> str:
    name = f"{point.event} " if point.event else ""
    if not point.after:
        return f"before {name}event {point.count}"
    return f"after {point.count} {name}event{'s' if point.count > 1 else ''}"
