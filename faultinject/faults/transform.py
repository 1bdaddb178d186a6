"""What a transform wants done to an answer: acts, and what it is told: pieces and ticks.

Times are seconds on the answer's own clock, which is 0 when its head is there. Knows nothing of
who acts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Protocol

from attrs import field, frozen

from faultinject.http.message import End, Headers

# What is told


class Tick:
    """Nothing came, but it is time (see `Transform.wake_at`)."""


TICK: Final = Tick()

Told = bytes | End | Tick
"""A piece of the body as it came, its end, or that it is time."""


# What is wanted


@frozen
class Send:
    """Pass these bytes of the body on, in one piece."""

    data: bytes


@frozen
class WaitUntil:
    """Do nothing, and read nothing, before this time."""

    seconds: float


@frozen
class Finish:
    """End the body properly, now."""

    trailers: Headers = ()


@frozen
class Cut:
    """End the connection (FIN), the body without its proper end."""


@frozen
class Reset:
    """End the connection with RST."""


@frozen
class Hang:
    """Do nothing any more, until the client leaves."""


@frozen
class Garbage:
    """Send bytes without the framing that is due, and end the connection (FIN)."""

    data: bytes = field(repr=False)


Ending = Finish | Cut | Reset | Hang | Garbage
"""Nothing follows one of these."""
Act = Send | WaitUntil | Ending
ENDINGS = (Finish, Cut, Reset, Hang, Garbage)


class Transform(Protocol):
    """One fault on one answer."""

    @property
    def wake_at(self) -> float:
        """When it wants to be told `TICK`; infinity for never."""

    @property
    def done(self) -> str | None:
        """What it has done to the answer, in words; None as long as it has done nothing."""

    @property
    def undone(self) -> str:
        """What it has not done, in words, as long as `done` is None."""

    @property
    def harms(self) -> bool:
        """Whether it changes what comes, and not only when."""

    @property
    def waits(self) -> bool:
        """Whether it has begun to take time."""

    @property
    def lasts_seconds(self) -> float:
        """How long it takes at most once it has begun to; infinity if nothing bounds it."""

    def step(self, told: Told, now_seconds: float) -> Iterator[Act]:
        """Return what is to be done, one by one; the next is asked for when one has been done."""

    def release(self) -> bytes:
        """Return what came and was not passed on yet, for there will be no further step."""


def later(now_seconds: float, act: Act) -> float:
    """Return the time after an act."""
    return max(now_seconds, act.seconds) if isinstance(act, WaitUntil) else now_seconds


@frozen
class Chain:
    """Two transforms as one: what the first passes on goes through the second.

    So the second acts on an answer that the first has changed already. While the first waits, it
    may be time for the second.
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

    def step(self, told: Told, now_seconds: float) -> Iterator[Act]:
        """Return what is to be done."""
        for act in self.first.step(told, now_seconds):
            over = False
            for following in self._through_second(act, now_seconds):
                yield following
                now_seconds = later(now_seconds, following)
                over = over or isinstance(following, ENDINGS)
            if over:
                return
        if isinstance(told, Tick) and self.second.wake_at <= now_seconds:
            yield from self.second.step(told, now_seconds)

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
        """Wait with the first, and wake the second meanwhile."""
        while (wake_at := self.second.wake_at) < until_seconds:
            yield WaitUntil(wake_at)
            for following in self.second.step(TICK, wake_at):
                yield following
                if isinstance(following, ENDINGS):
                    return
        yield act

    def release(self) -> bytes:
        """Return what both hold."""
        # What the first holds has not been through the second, which has no step left for it.
        return self.second.release() + self.first.release()


def parts_of(transform: Transform | None) -> Iterator[Transform]:
    """Return the single transforms of a chain, in order."""
    if isinstance(transform, Chain):
        yield from parts_of(transform.first)
        yield from parts_of(transform.second)
    elif transform is not None:
        yield transform
