"""Reads ``delay``: how long to wait, and before what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from faultinject.faults.delay import (
    Before,
    Delay,
    Exponential,
    Fixed,
    Length,
    LogNormal,
    Normal,
    Pareto,
    Range,
)
from faultinject.reading.keys import Keys, Read, all_apart
from faultinject.reading.node import Node
from faultinject.reading.value import (
    DURATION_SECONDS,
    POSITIVE,
    POSITIVE_DURATION,
    Value,
    by_type,
    items,
    meaning,
    pair,
)

Limited = Callable[[float], Length]
"""Makes a length of the longest time that it may last, in seconds; infinity for no limit."""


def _range(node: Node, seconds: tuple[float, float]) -> Limited:
    least, most = seconds
    if most <= least:
        raise node.items()[1].wrong(f"longer than {least:g} s, where the range begins")
    return lambda _: Range(least, most)


_PARAMETERS = {
    "mean": "The average length.",
    "deviation": "The standard deviation of the lengths.",
    "median": "The length that half of the delays do not reach.",
    "sigma": "How far the lengths scatter: the deviation of their logarithms.",
    "least": "The shortest length.",
    "shape": "How thin the tail is: the larger, the fewer long delays.",
}


def _parts(make: Callable[..., Length], **values: Value[Any]) -> Value[Limited]:
    """Return what reads an object with the parameters of a distribution, in its own order."""
    expected = "an object with " + " and ".join(values)
    about = {key: _PARAMETERS[key] for key in values}
    return Keys(values, expected, needed=tuple(values), about=about).into(
        lambda read: lambda cap: make(*(read[key] for key in values), cap)
    )


_LENGTHS: Mapping[str, Value[Limited]] = {
    "fixed": POSITIVE_DURATION.into(lambda seconds: lambda _: Fixed(seconds)),
    "range": pair(DURATION_SECONDS, POSITIVE_DURATION, "two durations, as in [1s, 3s]").then(
        _range
    ),
    "normal": _parts(Normal, mean=DURATION_SECONDS, deviation=POSITIVE_DURATION),
    "lognormal": _parts(LogNormal, median=POSITIVE_DURATION, sigma=POSITIVE),
    "exponential": by_type(
        POSITIVE_DURATION.into(lambda mean: lambda cap: Exponential(mean, cap)),
        object=_parts(Exponential, mean=POSITIVE_DURATION),
    ),
    "pareto": _parts(Pareto, least=POSITIVE_DURATION, shape=POSITIVE),
}
_KEYS: Mapping[str, Value[Any]] = {
    **_LENGTHS,
    "at_most": POSITIVE_DURATION,
    "before": meaning({each.value: each for each in Before}),
}
DELAY_KEYS = tuple(_KEYS)
"""The keys of ``delay``."""
ABOUT = {
    "fixed": "Always the same time.",
    "range": "A time between the two, evenly distributed.",
    "normal": "Mostly near the mean.",
    "lognormal": "Mostly near the median, sometimes several times as long.",
    "exponential": "As the time between random events.",
    "pareto": "With a long tail; `at_most` is required.",
    "at_most": "No longer than this (with the last four).",
    "before": (
        "What waits: asking `upstream` (the default), the answer's `head`, or the first "
        "byte of its `body`."
    ),
}


def _delay(node: Node, read: Read) -> Delay:
    [kind] = [key for key in _LENGTHS if key in read]
    if kind == "pareto" and "at_most" not in read:
        raise node.problem("at_most is missing: pareto has no upper bound")
    cap = read.get("at_most", math.inf)
    length = read[kind](cap)
    if isinstance(length, Pareto) and cap <= length.least_seconds:
        raise node.part(kind).problem(
            f"at_most is not longer than the least, {length.least_seconds:g} s"
        )
    return Delay(length, read.get("before", Before.UPSTREAM))


def _delays(node: Node, delays: tuple[Delay, ...]) -> tuple[Delay, ...]:
    seen: set[Before] = set()
    for item, delay in zip(node.items(), delays, strict=True):
        if delay.before in seen:
            raise item.problem(f"there is a delay before {delay.before.value} already; add them up")
        seen.add(delay.before)
    return delays


_GIVE_ONE = "give one of " + ", ".join(_LENGTHS)
DELAYS = items(
    by_type(
        POSITIVE_DURATION.into(lambda seconds: Delay(Fixed(seconds))),
        object=Keys(
            _KEYS,
            "a duration",
            some=tuple(_LENGTHS),
            none=_GIVE_ONE,
            apart=(
                *all_apart(_LENGTHS, _GIVE_ONE),
                *(
                    (kind, "at_most", f"{kind} has an upper bound already")
                    for kind in ("fixed", "range")
                ),
            ),
            more=({"if": {"required": ["pareto"]}, "then": {"required": ["at_most"]}},),
            about=ABOUT,
        )
        .then(_delay)
        .titled("delay item"),
    )
).then(_delays)
"""The delays, no two of them before the same thing."""
