"""Transforms of an answer's body: what they receive, the acts that they return, and how they begin.

A transform receives what comes of a body (pieces, ticks, the end) and returns acts. `Pointed` lets
everything pass up to a point. From there on an action handles it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from attrs import define, field, frozen

from faultinject.http.message import End, Headers

# What a transform receives


class Tick:
    """Nothing came, but the time of `Transform.wake_at` has come."""


TICK: Final = Tick()

Received = bytes | End | Tick
"""A piece of the body as it came, its end, or a tick."""


# What a transform returns


@frozen
class Send:
    """Pass these bytes of the body on, in one piece."""

    data: bytes


@frozen
class WaitUntil:
    """Do nothing and read nothing before this time."""

    seconds: float


@frozen
class Finish:
    """End the body properly, now."""

    trailers: Headers = ()


@frozen
class Cut:
    """End the connection (FIN) without the proper end of the body."""


@frozen
class Reset:
    """End the connection with RST."""


@frozen
class Hang:
    """Do nothing more until the client leaves."""


@frozen(eq=False, repr=False)
class Garbage:
    """Send bytes without the required framing, and end the connection (FIN)."""

    data: bytes


Ending = Finish | Cut | Reset | Hang | Garbage
"""Nothing follows one of these."""
Act = Send | WaitUntil | Ending
ENDINGS = (Finish, Cut, Reset, Hang, Garbage)


class Transform(Protocol):
    """One fault on one answer."""

    @property
    def wake_at(self) -> float:
        """When it wants a `TICK`; infinity for never."""

    @property
    def done(self) -> str | None:
        """What it has done to the answer, in words; None if it has done nothing yet."""

    @property
    def undone(self) -> str:
        """What it has not done, in words, while `done` is None."""

    @property
    def harms(self) -> bool:
        """Whether it changes what comes, and not only when."""

    @property
    def waits(self) -> bool:
        """Whether it has begun to take time."""

    @property
    def lasts_seconds(self) -> float:
        """How long it takes at most, once it has begun; infinity if there is no limit."""

    def step(self, received: Received, now_seconds: float) -> Iterator[Act]:
        """Yield acts. Each is done before the next is requested."""

    def release(self) -> bytes:
        """Return what came and was not passed on, because there will be no further step."""


def later(now_seconds: float, act: Act) -> float:
    """Return the time after an act."""
    return max(now_seconds, act.seconds) if isinstance(act, WaitUntil) else now_seconds


@frozen(eq=False, repr=False)
class Chain:
    """Two transforms as one: what the first passes on goes through the second.

    So the second acts on an answer that the first has changed. While the first waits, the second
    may get a tick.
    """

    first: Transform
    second: Transform

    @property
    def wake_at(self) -> float:
        """The earlier of the two times."""
        return min(self.first.wake_at, self.second.wake_at)

    @property
    def done(self) -> str | None:
        """What both have done."""
        words = [each.done for each in (self.first, self.second) if each.done is not None]
        return ", ".join(words) or None

    @property
    def undone(self) -> str:
        """What neither has done."""
        return f"{self.first.undone}, {self.second.undone}"

    @property
    def harms(self) -> bool:
        """Whether one of them changes what comes."""
        return self.first.harms or self.second.harms

    @property
    def waits(self) -> bool:
        """Whether one of them has begun to take time."""
        return self.first.waits or self.second.waits

    @property
    def lasts_seconds(self) -> float:
        """How long both take at most."""
        return self.first.lasts_seconds + self.second.lasts_seconds

    def step(self, received: Received, now_seconds: float) -> Iterator[Act]:
        """Yield the acts of both."""
        for act in self.first.step(received, now_seconds):
            over = False
            for following in self._through_second(act, now_seconds):
                yield following
                now_seconds = later(now_seconds, following)
                over = over or isinstance(following, ENDINGS)
            if over:
                return
        if isinstance(received, Tick) and self.second.wake_at <= now_seconds:
            yield from self.second.step(received, now_seconds)

    def _through_second(self, act: Act, now_seconds: float) -> Iterator[Act]:
        match act:
            case Send():
                yield from self.second.step(act.data, now_seconds)
            case Finish():
                yield from self.second.step(End(act.trailers), now_seconds)
            case WaitUntil():
                yield from self._waiting(act, act.seconds)
            case Hang():
                yield from self._waiting(act, math.inf)
            case _:
                if held := self.second.release():
                    yield Send(held)
                yield act

    def _waiting(self, act: Act, until_seconds: float) -> Iterator[Act]:
        """Wait for the first, and wake the second meanwhile."""
        while (wake_at := self.second.wake_at) < until_seconds:
            yield WaitUntil(wake_at)
            for following in self.second.step(TICK, wake_at):
                yield following
                if isinstance(following, ENDINGS):
                    return
        yield act

    def release(self) -> bytes:
        """Return what both hold."""
        # What the first holds did not go through the second, which has no step left for it.
        return self.second.release() + self.first.release()


def parts_of(transform: Transform | None) -> Iterator[Transform]:
    """Return the single transforms of a chain, in order."""
    if isinstance(transform, Chain):
        yield from parts_of(transform.first)
        yield from parts_of(transform.second)
    elif transform is not None:
        yield transform


@frozen(eq=False, repr=False)
class Found:
    """What is passed on, and whether the point comes right after it."""

    before: bytes
    rest: bytes | None = None
    """What has come after the point; None if the point is not reached."""
    missing_end: bytes = b""
    """What must come at the point before another event can; see `StreamEvent.missing_end`."""


class Finder(Protocol):
    """Looks for one point."""

    @property
    def wake_at(self) -> float:
        """When it wants a `TICK`; infinity for never."""

    def find(self, received: Received, now_seconds: float) -> Found:
        """Take what came. Do not call this again once the point is found."""

    def release(self) -> bytes:
        """Return what is held back, because nothing more will come, not even the end."""


BodyPiece = bytes | End


class Action:
    """Base class: from its point on it passes everything on, in the pieces in which it comes."""

    done = True
    """Whether the answer has been changed. It is read only after the action has begun."""

    def begin(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        """Yield the acts at the point itself."""
        yield from ()

    def step(self, piece: BodyPiece, now_seconds: float) -> Iterator[Act]:
        """Yield the acts for what comes after the point."""
        if isinstance(piece, End):
            yield from self._end(piece, now_seconds)
        else:
            yield from self._pass(piece, now_seconds)

    def release(self) -> bytes:
        """Return what is held back, because there will be no further step."""
        return b""

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        yield Send(data)

    def _end(self, end: End, now_seconds: float) -> Iterator[Act]:
        yield from self._pass_rest(now_seconds)
        yield Finish(end.trailers)

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        """Yield the acts for what is held back, because the answer ends."""
        if held := self.release():
            yield Send(held)


class AtOnce(Action):
    """Does everything at the point. Nothing comes after it."""

    def __init__(self, acts: Callable[[float], list[Act]]) -> None:
        """Take the function that returns the acts for a time."""
        self._acts = acts

    def begin(self, now_seconds: float) -> Iterator[Act]:
        """Yield the acts. The last one ends the answer."""
        yield from self._acts(now_seconds)


def at_once(*acts: Act) -> AtOnce:
    """Return an action that does these acts at the point."""
    return AtOnce(lambda _: list(acts))


@define(eq=False, repr=False)
class Pointed:
    """A `Transform`: an action that begins at a point."""

    undone: str
    """What it does, and where."""
    _finder: Finder
    _action: Action
    harms: bool = True
    """Whether it changes what comes, and not only when."""
    lasts_seconds: float = 0.0
    """How long it takes at most, once it has begun; infinity if there is no limit."""
    waits: bool = field(default=False, init=False)
    """Whether it has begun to take time."""
    _reached: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)

    @property
    def wake_at(self) -> float:
        """The time of the point, if it is a time."""
        return math.inf if self._reached else self._finder.wake_at

    @property
    def done(self) -> str | None:
        """What it has done."""
        return self.undone if self._reached and self._action.done else None

    def step(self, received: Received, now_seconds: float) -> Iterator[Act]:
        """Yield the acts; see `Transform`."""
        for act in self._reach(received, now_seconds):
            self.waits = self.waits or isinstance(act, (WaitUntil, Hang))
            yield act
            if isinstance(act, ENDINGS):
                return

    def _reach(self, received: Received, now_seconds: float) -> Iterator[Act]:
        behind: list[Received] = [received]
        if not self._reached:
            found = self._finder.find(received, now_seconds)
            if found.before:
                yield Send(found.before)
            if found.rest is None:
                if isinstance(received, End):
                    yield Finish(received.trailers)
                return
            self._reached = True
            behind = [found.rest, received] if isinstance(received, End) else [found.rest]
            for act in self._begin(found.missing_end, now_seconds):
                now_seconds = later(now_seconds, act)
                yield act
        for piece in behind:
            if piece and not isinstance(piece, Tick):
                for act in self._action.step(piece, now_seconds):
                    now_seconds = later(now_seconds, act)
                    yield act

    def _begin(self, missing_end: bytes, now_seconds: float) -> Iterator[Act]:
        """Begin the action. If it sends bytes, first complete an event that lacks its end."""
        for act in self._action.begin(now_seconds):
            if missing_end and isinstance(act, Send):
                yield Send(missing_end + act.data)
                missing_end = b""
            else:
                yield act

    def release(self) -> bytes:
        """Return what came and was not passed on."""
        return self._action.release() if self._reached else self._finder.release()
