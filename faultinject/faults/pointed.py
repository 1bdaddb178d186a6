"""A fault on one answer: everything passes up to a point, and from there on an action has it.

Knows nothing of which points and which actions there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import define, field

from faultinject.faults.action import Action
from faultinject.faults.locate import Finder
from faultinject.faults.transform import (
    ENDINGS,
    Act,
    Finish,
    Hang,
    Send,
    Tick,
    Told,
    WaitUntil,
    later,
)
from faultinject.http.message import End


@define(eq=False)
class Pointed:
    """A `Transform`: an action that begins at a point."""

    undone: str
    """What it does, and where."""
    _finder: Finder
    _action: Action
    harms: bool = True
    """Whether it changes what comes, and not only when."""
    lasts_seconds: float = 0.0
    """How long it takes at most once it has begun to take time; infinity if nothing bounds it."""
    waits: bool = field(default=False, init=False)
    """Whether it has begun to take time."""
    _reached: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)

    @property
    def wake_at(self) -> float:
        """When the point is, if it is a moment."""
        return math.inf if self._reached else self._finder.wake_at

    @property
    def done(self) -> str | None:
        """What it has done."""
        return self.undone if self._reached and self._action.done else None

    def step(self, told: Told, now_seconds: float) -> Iterator[Act]:
        """Return what is to be done; see `Transform`."""
        for act in self._reach(told, now_seconds):
            self.waits = self.waits or isinstance(act, (WaitUntil, Hang))
            yield act
            if isinstance(act, ENDINGS):
                return

    def _reach(self, told: Told, now_seconds: float) -> Iterator[Act]:
        behind: list[Told] = [told]
        if not self._reached:
            found = self._finder.find(told, now_seconds)
            if found.before:
                yield Send(found.before)
            if found.rest is None:
                if isinstance(told, End):
                    yield Finish(told.trailers)
                return
            self._reached = True
            behind = [found.rest, told] if isinstance(told, End) else [found.rest]
            for act in self._begin(found.lacks, now_seconds):
                now_seconds = later(now_seconds, act)
                yield act
        for piece in behind:
            if piece and not isinstance(piece, Tick):
                for act in self._action.step(piece, now_seconds):
                    now_seconds = later(now_seconds, act)
                    yield act

    def _begin(self, lacks: bytes, now_seconds: float) -> Iterator[Act]:
        """Begin the action. What it says is kept apart from an event that lacks its end."""
        for act in self._action.begin(now_seconds):
            if lacks and isinstance(act, Send):
                yield Send(lacks + act.data)
                lacks = b""
            else:
                yield act

    def release(self) -> bytes:
        """Return what came and was not passed on."""
        return self._action.release() if self._reached else self._finder.release()
