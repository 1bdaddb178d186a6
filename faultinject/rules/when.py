"""When: how often a rule fires, of the times that it is reached, and in which order.

All conditions that are given must hold.
"""

from __future__ import annotations

from enum import Enum

import attrs
from attrs import frozen

from faultinject.rules.counters import Tally
from faultinject.rules.draws import Draws
from faultinject.rules.facts import Facts


class GroupBy(Enum):
    """How a rule groups the requests that it counts."""

    CONNECTION = "connection"
    ATTEMPT_GROUP = "attempt-group"
    """All attempts of one call; the count is the number of the attempt."""
    CLIENT = "client"
    """The client's User-Agent."""
    HEADER = "header"
    """The value of one header."""


@frozen
class Per:
    """Count each group of requests separately."""

    by: GroupBy
    header: str = ""
    """The header's name in lower case."""

    def group(self, facts: Facts) -> str:
        """Return the name of a request's group; never empty."""
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
                    return "-"  # not the group of an empty value
                name = "\n".join(values)
        return "=" + name


@frozen
class Sequence:
    """Fire and pass in a fixed order."""

    steps: tuple[bool, ...]
    """Whether the rule fires, for each time it is reached."""
    repeat: bool = False
    """Whether to start again after the last step; else the rule never fires again."""

    def holds(self, number: int) -> bool:
        """Return True if it fires the ``number``-th time, counted from 1."""
        place = number - 1
        if self.repeat:
            return self.steps[place % len(self.steps)]
        return place < len(self.steps) and self.steps[place]


@frozen
class Window:
    """A span of time since the start, once or repeated."""

    start_seconds: float = 0.0
    end_seconds: float = float("inf")
    every_seconds: float | None = None
    """Time from the start of one window to the start of the next; None for one window only."""

    def contains(self, now_seconds: float) -> bool:
        """Return True if a time is in the window."""
        if self.every_seconds is not None and now_seconds >= self.start_seconds:
            now_seconds = self.start_seconds + (
                (now_seconds - self.start_seconds) % self.every_seconds
            )
        return self.start_seconds <= now_seconds < self.end_seconds


@frozen
class Burst:
    """A chain of two states: calm, in which the rule does not fire, and storm, in which it does.

    It begins calm. The state may change before each request, so the lengths are geometric.
    """

    calm: float
    """The mean length of a calm, in requests; 1 or more."""
    storm: float
    """The mean length of a storm, in requests; 1 or more."""

    def storms(self, tally: Tally, draws: Draws) -> bool:
        """Move on by one request and return True if it is in a storm."""
        if draws.chance(1 / (self.storm if tally.stormy else self.calm)):
            tally.stormy = not tally.stormy
        return tally.stormy


@frozen
class Ramp:
    """A probability that changes linearly, and then stays."""

    start: float
    end: float
    seconds: float | None = None
    """How long the change takes, from the start of the run; None if ``times`` is given."""
    times: int | None = None
    """How many requests the change takes."""

    def probability(self, number: int, now_seconds: float) -> float:
        """Return the probability for the ``number``-th request, at a time since the start."""
        if self.seconds is not None:
            share = now_seconds / self.seconds
        else:
            share = (number - 1) / (self.times or 1)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


@frozen
class Limit:
    """The most often that a rule fires."""

    in_all: int | None = None
    at_a_time: int | None = None
    """How many exchanges it may affect at the same time."""

    def allows(self, tally: Tally) -> bool:
        """Return True if the rule may fire once more."""
        return (self.in_all is None or tally.fired < self.in_all) and (
            self.at_a_time is None or tally.open < self.at_a_time
        )


@frozen
class When:
    """How often a rule fires, of the times that it is reached. All that is given must hold."""

    probability: float = 1.0
    """The probability for each request, 0 to 1."""
    first: int | None = None
    after: int | None = None
    nth: tuple[int, ...] = ()
    every: int | None = None
    sequence: Sequence | None = None
    window: Window | None = None
    """Outside of it the rule is ignored, and not counted as reached."""
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
        """Whether attempts are counted, not requests."""
        return self.per is not None and self.per.by is GroupBy.ATTEMPT_GROUP

    @property
    def greatest_chance(self) -> float:
        """The greatest probability that a request may meet: with a ramp, at one of its ends."""
        return self.probability if self.ramp is None else max(self.ramp.start, self.ramp.end)

    def fires(self, number: int, tally: Tally, draws: Draws, now_seconds: float) -> bool:
        """Return True if the rule fires at the ``number``-th time that it is reached, from 1."""
        stormy = self.burst is None or self.burst.storms(tally, draws)
        return (
            stormy
            and self.counts(number)
            and draws.chance(self.chance(number, now_seconds))
            and (self.limit is None or self.limit.allows(tally))
        )

    def of_first_attempts(self, first: int) -> When:
        """Return a copy that fires for the ``first`` attempts of each call only.

        Raises `ValueError` if it counts anything else.
        """
        counts = attrs.evolve(self, probability=1.0, ramp=None, window=None, first=None, per=None)
        if counts != ALWAYS or (self.per is not None and not self.counts_attempts):
            raise ValueError("counts something else already")
        return attrs.evolve(self, first=first, per=Per(GroupBy.ATTEMPT_GROUP))

    def scaled(self, factor: float) -> When:
        """Return a copy with the probability multiplied by ``factor``, at most 1."""
        ramp = self.ramp
        if ramp is not None:
            ramp = attrs.evolve(
                ramp, start=min(1.0, ramp.start * factor), end=min(1.0, ramp.end * factor)
            )
        return attrs.evolve(self, probability=min(1.0, self.probability * factor), ramp=ramp)

    def chance(self, number: int, now_seconds: float) -> float:
        """Return the probability for the ``number``-th request, at a time since the start."""
        if self.ramp is None:
            return self.probability
        return self.ramp.probability(number, now_seconds)

    def counts(self, number: int) -> bool:
        """Return True if the rule may fire for the ``number``-th request."""
        return (
            (self.first is None or number <= self.first)
            and (self.after is None or number > self.after)
            and (not self.nth or number in self.nth)
            and (self.every is None or number % self.every == 0)
            and (self.sequence is None or self.sequence.holds(number))
        )


ALWAYS = When()
"""For every request."""
