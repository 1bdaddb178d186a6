"""The fault *stall*: pass nothing on for a time, except the API's pings if they are wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

from faultinject.faults.transform import Act, Action, Hang, Send, StreamAction, WaitUntil


@frozen
class Stall(StreamAction):
    """Pass nothing on for a time."""

    label = "stall"

    seconds: float | None = None
    """None until the client leaves."""
    ping_seconds: float | None = None
    """How often the API's own ping is sent meanwhile; None for never."""

    @property
    def ends(self) -> bool:
        """Whether it lasts until the client leaves."""
        return self.seconds is None

    @property
    def whole_events(self) -> bool:
        """Whether it sends pings."""
        return self.ping_seconds is not None

    @property
    def keeps_length(self) -> bool:
        """Whether it sends no pings."""
        return self.ping_seconds is None

    @property
    def harms(self) -> bool:
        """Whether nothing arrives any more."""
        return self.seconds is None

    @property
    def lasts_seconds(self) -> float:
        """How long it takes."""
        return math.inf if self.seconds is None else self.seconds


class Stalling(Action):
    """Waits at the point. What comes meanwhile is not read."""

    def __init__(
        self, seconds: float | None, ping: bytes | None = None, ping_seconds: float = math.inf
    ) -> None:
        """Take the time to wait (None for ever), and a ping with its interval, if any."""
        self._seconds = math.inf if seconds is None else seconds
        self._ping, self._ping_seconds = ping, ping_seconds

    def begin(self, now_seconds: float) -> Iterator[Act]:
        """Return the wait."""
        until = now_seconds + self._seconds
        if self._ping is not None:
            while (now_seconds := now_seconds + self._ping_seconds) < until:
                yield WaitUntil(now_seconds)
                yield Send(self._ping)
        yield Hang() if until == math.inf else WaitUntil(until)
