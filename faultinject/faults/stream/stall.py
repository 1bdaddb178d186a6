"""The action *stall*: pass nothing on for a time, and let the API's pings go on if told to.

Knows nothing of what a ping looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

from faultinject.faults.transform import Act, Action, Hang, Send, WaitUntil


@frozen
class Stall:
    """Pass nothing on for a time."""

    label = "stall"

    seconds: float | None = None
    """None until the client leaves."""
    ping_seconds: float | None = None
    """How often the API's own ping is sent meanwhile; None for never."""

    @property
    def ends(self) -> bool:
        """Whether nothing can follow it."""
        return self.seconds is None


class Stalling(Action):
    """Waits at the point. What comes meanwhile is not read: it waits too."""

    def __init__(
        self, seconds: float | None, ping: bytes | None = None, ping_seconds: float = math.inf
    ) -> None:
        """Wait so long (None: for ever) and send the ping as often, if there is one."""
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
