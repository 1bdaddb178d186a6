"""A run that stands still, for what is copied of an exchange."""

from __future__ import annotations

from faultinject.proxy.traffic_copy import CopyRoom


class StoppedRun:
    """A run whose time is set by hand."""

    def __init__(self, room: CopyRoom | None = None) -> None:
        self.now_seconds = 0.0
        self.started_at = 100.0
        self.copy_room = room or CopyRoom()

    def clock(self) -> float:
        """Return the time."""
        return self.started_at + self.now_seconds
