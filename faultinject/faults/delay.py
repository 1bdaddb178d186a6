"""The fault *delay*: make the client or the upstream wait.

A delay's length is a distribution, which turns a given number into seconds.
"""

from __future__ import annotations

import math
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from attrs import frozen

from faultinject.faults.place import Ability

if TYPE_CHECKING:
    from statistics import NormalDist

_LEAST = 2.0**-54  # in place of 0, whose normal quantile is not finite


class Before(Enum):
    """What a delay comes before."""

    UPSTREAM = "upstream"
    """The request to the upstream, or an injected answer."""
    HEAD = "head"
    """The answer's head, when it has come."""
    BODY = "body"
    """The first byte of the answer's body, after the head was sent."""


# Each distribution turns a number from [0, 1), evenly drawn, into seconds: its quantile.


@frozen
class Fixed:
    """Always the same length."""

    seconds: float

    def quantile(self, number: float) -> float:
        """Return the length."""
        del number
        return self.seconds


@frozen
class Range:
    """Uniform between two lengths."""

    least_seconds: float
    most_seconds: float

    def quantile(self, number: float) -> float:
        """Return the length for a number."""
        return self.least_seconds + number * (self.most_seconds - self.least_seconds)


@frozen
class Normal:
    """The normal distribution. Values below 0 become 0."""

    mean_seconds: float
    deviation_seconds: float
    cap_seconds: float = math.inf

    def __attrs_post_init__(self) -> None:
        _standard()  # is loaded now, and not when a request waits

    def quantile(self, number: float) -> float:
        """Return the length for a number."""
        seconds = self.mean_seconds + self.deviation_seconds * _normal(number)
        return min(max(0.0, seconds), self.cap_seconds)


@frozen
class LogNormal:
    """The length's logarithm is normal: most are short, and a few are several times the median."""

    median_seconds: float
    sigma: float
    """The deviation of the logarithm; at 1, one in six is longer than 2.7 times the median."""
    cap_seconds: float = math.inf

    def __attrs_post_init__(self) -> None:
        _standard()  # as above

    def quantile(self, number: float) -> float:
        """Return the length for a number."""
        exponent = min(self.sigma * _normal(number), _MOST_EXPONENT)
        return min(self.median_seconds * math.exp(exponent), self.cap_seconds)


_MOST_EXPONENT = 600.0  # exp() of 710 is more than a float holds


@frozen
class Exponential:
    """The time to the next of events that come at random (it has no memory)."""

    mean_seconds: float
    cap_seconds: float = math.inf

    def quantile(self, number: float) -> float:
        """Return the length for a number."""
        return min(-self.mean_seconds * math.log1p(-number), self.cap_seconds)


@frozen
class Pareto:
    """A long tail: none is shorter than the least, and a few are very much longer."""

    least_seconds: float
    shape: float
    """The smaller, the longer the tail. At 1 or less there is no mean."""
    cap_seconds: float

    def quantile(self, number: float) -> float:
        """Return the length for a number."""
        exponent = min(-math.log1p(-number) / self.shape, _MOST_EXPONENT)
        return min(self.least_seconds * math.exp(exponent), self.cap_seconds)


def _normal(number: float) -> float:
    return _standard().inv_cdf(max(number, _LEAST))


@cache
def _standard() -> NormalDist:
    from statistics import NormalDist  # late: few rules need it, and it takes 700 KiB

    return NormalDist()


Length = Fixed | Range | Normal | LogNormal | Exponential | Pareto


@frozen
class Delay:
    """Wait before something."""

    length: Length
    before: Before = Before.UPSTREAM

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        return frozenset({_ABILITIES[self.before]})


_ABILITIES = {
    Before.UPSTREAM: Ability.DELAY,
    Before.HEAD: Ability.DELAY_HEAD,
    Before.BODY: Ability.DELAY_BODY,
}


def delay_words(seconds: float, before: Before) -> str:
    """Return in words how long a delay takes, and before what."""
    return f"delay of {seconds:.3g} s before the {before.value}"
