"""Reads ``delay``: how long to wait, and before what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

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
from faultinject.reading.node import Node


def read_delays(node: Node) -> tuple[Delay, ...]:
    """Return the delays, no two of them before the same thing. Raises `SettingsError`."""
    delays: dict[Before, Delay] = {}
    for item in node.filled_items():
        delay = _delay(item)
        if delay.before in delays:
            raise item.problem(f"there is a delay before {delay.before.value} already; add them up")
        delays[delay.before] = delay
    return tuple(delays.values())


def _delay(node: Node) -> Delay:
    if not isinstance(node.value, dict):
        return Delay(Fixed(node.positive_duration()))
    fields = node.fields(DELAY_KEYS, "a duration")
    before = Before.UPSTREAM
    if "before" in fields:
        before = Before(fields["before"].word(*(each.value for each in Before)))
    kinds = [key for key in _LENGTHS if key in fields]
    if len(kinds) != 1:
        raise node.problem("give one of " + ", ".join(_LENGTHS))
    [kind] = kinds
    cap = _cap(node, fields.get("at_most"), kind)
    return Delay(_LENGTHS[kind](fields[kind], cap), before)


def _cap(node: Node, at_most: Node | None, kind: str) -> float:
    if at_most is None:
        if kind == "pareto":
            raise node.problem("at_most is missing: pareto has no upper bound")
        return math.inf
    if kind in ("fixed", "range"):
        raise at_most.problem(f"{kind} has an upper bound already")
    return at_most.positive_duration()


def _parts(node: Node, *keys: str) -> Mapping[str, Node]:
    fields = node.fields(keys, "an object with " + " and ".join(keys))
    for key in keys:
        if key not in fields:
            raise node.problem(f"{key} is missing")
    return fields


def _fixed(node: Node, cap: float) -> Length:
    del cap
    return Fixed(node.positive_duration())


def _range(node: Node, cap: float) -> Length:
    del cap
    if not isinstance(node.value, list) or len(node.value) != 2:
        raise node.wrong("two durations, as in [1s, 3s]")
    least, most = node.items()
    least_seconds, most_seconds = least.duration(), most.positive_duration()
    if most_seconds <= least_seconds:
        raise most.wrong(f"longer than {least_seconds:g} s, where the range begins")
    return Range(least_seconds, most_seconds)


def _normal(node: Node, cap: float) -> Length:
    parts = _parts(node, "mean", "deviation")
    return Normal(parts["mean"].duration(), parts["deviation"].positive_duration(), cap)


def _lognormal(node: Node, cap: float) -> Length:
    parts = _parts(node, "median", "sigma")
    return LogNormal(parts["median"].positive_duration(), parts["sigma"].positive(), cap)


def _exponential(node: Node, cap: float) -> Length:
    if isinstance(node.value, dict):
        node = _parts(node, "mean")["mean"]
    return Exponential(node.positive_duration(), cap)


def _pareto(node: Node, cap: float) -> Length:
    parts = _parts(node, "least", "shape")
    least_seconds = parts["least"].positive_duration()
    if cap <= least_seconds:
        raise node.problem(f"at_most is not longer than the least, {least_seconds:g} s")
    return Pareto(least_seconds, parts["shape"].positive(), cap)


_LENGTHS: dict[str, Callable[[Node, float], Length]] = {
    "fixed": _fixed,
    "range": _range,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
    "pareto": _pareto,
}
DELAY_KEYS = (*_LENGTHS, "at_most", "before")
"""The keys of ``delay``."""
