"""Reads ``when``: how often a rule fires, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from faultinject.config.rules.rule_values import chance
from faultinject.reading.node import Node
from faultinject.rules.when import Burst, GroupBy, Limit, Per, Ramp, Sequence, When, Window

_COUNTED = ("first", "after", "nth", "every", "sequence", "burst", "ramp", "limit")
_LONGEST_SEQUENCE = 10_000
_FAR = 10**9


def read_when(node: Node) -> When:
    """Return the value. Raises `SettingsError`."""
    read = node.read(_READERS, "an object, as in {probability: 0.3} or {first: 2}")
    fields = node.members("an object")
    for one, other in (("between", "for"), ("probability", "ramp")):
        if one in fields and other in fields:
            raise fields[other].problem(f"{one} says the same in another way; give one of the two")
    when = When(**{_FIELDS.get(key, key): value for key, value in read.items()})
    _check_possible(node, when)
    if when.per is not None and not any(key in fields for key in _COUNTED):
        raise fields["per"].problem(
            "there is nothing to count; give one of " + ", ".join(_COUNTED) + " with it"
        )
    return when


def _check_possible(node: Node, when: When) -> None:
    """Refuse a rule that can never fire."""
    last = when.first or _FAR
    if when.sequence is not None and not when.sequence.repeat:
        last = min(last, len(when.sequence.steps))
    start = (when.after or 0) + 1
    step = when.every or 1
    begin = -(-start // step) * step  # the first multiple that is not below
    period = len(when.sequence.steps) if when.sequence is not None else 1
    numbers = when.nth or range(begin, min(last, begin + step * period) + 1, step)
    if not any(when.counts(number) for number in numbers):
        raise node.problem(
            "it can never fire: no request's number meets all of this (requests are counted from"
            " 1). For some requests after a number, give after and limit"
        )


def _numbers(node: Node) -> tuple[int, ...]:
    return tuple(item.whole() for item in node.filled_items())


def _sequence(node: Node) -> Sequence:
    repeat = False
    if isinstance(node.value, dict):
        fields = node.fields(("steps", "repeat"), "a sequence")
        if "steps" not in fields:
            raise node.problem("steps is missing, as in {steps: [fault, pass], repeat: true}")
        repeat = fields["repeat"].flag() if "repeat" in fields else False
        node = fields["steps"]
    if not isinstance(node.value, list) or len(node.value) > _LONGEST_SEQUENCE:
        raise node.wrong("a list of the words fault and pass, as in [fault, fault, pass]")
    steps = tuple(item.word("fault", "pass") == "fault" for item in node.filled_items())
    if not any(steps):
        raise node.problem("it can never fire: there is no fault in it")
    return Sequence(steps, repeat)


def _between(node: Node) -> Window:
    every = None
    if isinstance(node.value, list) and len(node.value) == 2:
        start, end = node.items()
    elif isinstance(node.value, dict):
        fields = node.fields(("from", "to", "every"), "a window")
        if "from" not in fields or "to" not in fields:
            raise node.problem("give from and to, as in {from: 10s, to: 20s}")
        start, end, every = fields["from"], fields["to"], fields.get("every")
    else:
        raise node.wrong("two times since the start, as in [10s, 20s] or {from: 10s, to: 20s}")
    start_seconds, end_seconds = start.duration(), end.duration()
    if end_seconds <= start_seconds:
        raise end.wrong(f"after {start_seconds:g} s, where the window begins")
    return _window(start_seconds, end_seconds, every)


def _for(node: Node) -> Window:
    if not isinstance(node.value, dict):
        return Window(0.0, node.positive_duration())
    fields = node.fields(("lasting", "every"), "a window")
    if "lasting" not in fields:
        raise node.problem("lasting is missing, as in {lasting: 10s, every: 1m}")
    return _window(0.0, fields["lasting"].positive_duration(), fields.get("every"))


def _window(start_seconds: float, end_seconds: float, every: Node | None) -> Window:
    if every is None:
        return Window(start_seconds, end_seconds)
    every_seconds = every.positive_duration()
    if every_seconds <= end_seconds - start_seconds:
        raise every.wrong(f"longer than the window, which lasts {end_seconds - start_seconds:g} s")
    return Window(start_seconds, end_seconds, every_seconds)


def _burst(node: Node) -> Burst:
    fields = node.fields(("calm", "storm"), "an object, as in {calm: 50, storm: 5}")
    if len(fields) < 2:
        raise node.problem("give calm and storm: how many requests each lasts on average")
    return Burst(*(_mean(fields[key]) for key in ("calm", "storm")))


def _mean(node: Node) -> float:
    expected = "a mean number of requests, 1 or more"
    number = node.number(expected)
    if number < 1:
        raise node.wrong(expected)
    return float(number)


def _ramp(node: Node) -> Ramp:
    fields = node.fields(
        ("from", "to", "over", "times"), "an object, as in {from: 0, to: 0.5, over: 10m}"
    )
    if ("over" in fields) is ("times" in fields):
        raise node.problem("give over (a duration since the start) or times (how many requests)")
    start, end = (chance(fields[key]) if key in fields else None for key in ("from", "to"))
    if start is None or end is None:
        raise node.problem("give from and to, the probabilities at its beginning and its end")
    seconds = fields["over"].positive_duration() if "over" in fields else None
    return Ramp(start, end, seconds, fields["times"].whole() if "times" in fields else None)


def _limit(node: Node) -> Limit:
    if not isinstance(node.value, dict):
        return Limit(node.whole())
    fields = node.fields(("in_all", "at_a_time"), "a limit")
    if not fields:
        raise node.problem("give in_all or at_a_time")
    return Limit(**{key: field.whole() for key, field in fields.items()})


def _per(node: Node) -> Per:
    expected = "connection, attempt-group, client or 'header NAME'"
    if isinstance(node.value, dict):
        fields = node.fields(("header",), expected)
        name = fields["header"].text("a header's name") if fields else ""
    else:
        word, _, name = node.text(expected).partition(" ")
        by = {each.value: each for each in GroupBy}.get(word)
        if by is not None and by is not GroupBy.HEADER and not name:
            return Per(by)
        if by is not GroupBy.HEADER:
            raise node.wrong(expected)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise node.wrong("the name of a header, as in 'header x-user'")
    return Per(GroupBy.HEADER, name.lower())


_READERS: dict[str, Callable[[Node], Any]] = {
    "probability": chance,
    "first": Node.whole,
    "after": Node.whole,
    "nth": _numbers,
    "every": Node.whole,
    "sequence": _sequence,
    "between": _between,
    "for": _for,
    "burst": _burst,
    "ramp": _ramp,
    "limit": _limit,
    "per": _per,
}
_FIELDS = {"between": "window", "for": "window"}
WHEN_KEYS = tuple(_READERS)
"""The keys of ``when``."""
