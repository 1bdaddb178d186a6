"""When: how often a rule fires of the times that it is reached, and in which order.

All that is given must hold. Knows nothing of requests: it is handed the number of this time, what
is remembered of the earlier ones, a time and random numbers.
"""

from __future__ import annotations

from enum import Enum

import attrs
from attrs import frozen

from faultinject.rules.counters import Tally
from faultinject.rules.draws import Draws
from faultinject.rules.facts import Facts


class GroupBy(Enum):
    """What a rule counts apart."""

    CONNECTION = "connection"
    ATTEMPT_GROUP = "attempt-group"
    """A call with all its attempts; the number of a time is that of the attempt."""
    CLIENT = "client"
    """What the client calls itself (User-Agent)."""
    HEADER = "header"
    """The value of one header."""


@frozen
class Per:
    """Count every group of requests for itself."""

    by: GroupBy
    header: str = ""
    """The header's name in lower case."""

    def group(self, facts: Facts) -> str:
        """Return what the group of a request is known by; never empty."""
        match self.by:
            case GroupBy.CONNECTION:
                name = str(facts.connection)
            case GroupBy.ATTEMPT_GROUP:
                name = facts.call
            case GroupBy.CLIENT:
                name = facts.client
            case _:
                values = facts.header(self.header.encode())
                if not values:
                    return "-"  # another than that of an empty value
                name = "\n".join(values)
        return "=" + name


@frozen
class Sequence:
    """Fire and pass in a fixed order."""

    steps: tuple[bool, ...]
    """Whether the rule fires, time by time."""
    repeat: bool = False
    """Whether it begins anew after the last; else it never fires again."""

    def holds(self, number: int) -> bool:
        """Say whether it fires at a time, counted from 1."""
        place = number - 1
        if self.repeat:
            return self.steps[place % len(self.steps)]
        return place < len(self.steps) and self.steps[place]


@frozen
class Window:
    """A stretch of time since the start, once or again and again."""

    start_seconds: float = 0.0
    end_seconds: float = float("inf")
    every_seconds: float | None = None
    """How long from the beginning of one window to the next; None for one window only."""

    def contains(self, now_seconds: float) -> bool:
        """Say whether a time is within."""
        if self.every_seconds is not None and now_seconds >= self.start_seconds:
            now_seconds = self.start_seconds + (
                (now_seconds - self.start_seconds) % self.every_seconds
            )
        return self.start_seconds <= now_seconds < self.end_seconds


@frozen
class Burst:
    """A chain of two states: calm, in which the rule does not fire, and storm, in which it does.

    It begins calm. Each time it may change first, so that the lengths are geometric.
    """

    calm: float
    """The mean length of a calm, in times; 1 or more."""
    storm: float

    def storms(self, tally: Tally, draws: Draws) -> bool:
        """Go on by one time and say whether it is a storm then."""
        if draws.chance(1 / (self.storm if tally.stormy else self.calm)):
            tally.stormy = not tally.stormy
        return tally.stormy


@frozen
class Ramp:
    """A probability that changes evenly, and then stays."""

    start: float
    end: float
    seconds: float | None = None
    """How long it takes, from the start of the run; None if it goes by ``times``."""
    times: int | None = None
    """Over how many times that the rule is reached."""

    def probability(self, number: int, now_seconds: float) -> float:
        """Return the chance of a time."""
        if self.seconds is not None:
            share = now_seconds / self.seconds
        else:
            share = (number - 1) / (self.times or 1)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


@frozen
class Limit:
    """How often the rule fires at most."""

    in_all: int | None = None
    at_a_time: int | None = None
    """Of how many exchanges that are not over."""

    def allows(self, tally: Tally) -> bool:
        """Say whether once more is allowed."""
        return (self.in_all is None or tally.fired < self.in_all) and (
            self.at_a_time is None or tally.open < self.at_a_time
        )


@frozen
class When:
    """How often a rule fires of the times that it is reached. All that is given must hold."""

    probability: float = 1.0
    """The chance of each time, 0 to 1."""
    first: int | None = None
    after: int | None = None
    nth: tuple[int, ...] = ()
    every: int | None = None
    sequence: Sequence | None = None
    window: Window | None = None
    """Outside of it the rule is not reached: it is as if it were not there."""
    burst: Burst | None = None
    ramp: Ramp | None = None
    limit: Limit | None = None
    per: Per | None = None

    @property
    def always(self) -> bool:
        """Whether the rule fires whenever it is reached, and can be reached at any time."""
        return attrs.evolve(self, per=None) == ALWAYS

    @property
    def counts_attempts(self) -> bool:
        """Whether the number of a time is that of the attempt."""
        return self.per is not None and self.per.by is GroupBy.ATTEMPT_GROUP

    def fires(self, number: int, tally: Tally, draws: Draws, now_seconds: float) -> bool:
        """Say whether the rule fires at the ``number``-th time that it is reached, from 1."""
        stormy = self.burst is None or self.burst.storms(tally, draws)
        return (
            stormy
            and self.counts(number)
            and draws.chance(self.chance(number, now_seconds))
            and (self.limit is None or self.limit.allows(tally))
        )

    def of_first_attempts(self, first: int) -> When:
        """Return the same for the first so many attempts of each call alone.

        Raises `ValueError` if it counts anything else.
        """
        counts = attrs.evolve(self, probability=1.0, ramp=None, window=None, first=None, per=None)
        if counts != ALWAYS or (self.per is not None and not self.counts_attempts):
            raise ValueError("counts something of its own")
        return attrs.evolve(self, first=first, per=Per(GroupBy.ATTEMPT_GROUP))

    def scaled(self, factor: float) -> When:
        """Return the same with its chance so many times as high, at most 1; what counts stays."""
        ramp = self.ramp
        if ramp is not None:
            ramp = attrs.evolve(
                ramp, start=min(1.0, ramp.start * factor), end=min(1.0, ramp.end * factor)
            )
        return attrs.evolve(self, probability=min(1.0, self.probability * factor), ramp=ramp)

    def chance(self, number: int, now_seconds: float) -> float:
        """Return the probability of a time."""
        if self.ramp is None:
            return self.probability
        return self.ramp.probability(number, now_seconds)

    def counts(self, number: int) -> bool:
        """Say whether the number of a time is one at which the rule may fire."""
        return (
            (self.first is None or number <= self.first)
            and (self.after is None or number > self.after)
            and (not self.nth or number in self.nth)
            and (self.every is None or number % self.every == 0)
            and (self.sequence is None or self.sequence.holds(number))
        )


ALWAYS = When()
"""Each time."""
