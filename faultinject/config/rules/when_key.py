"""Reads ``when``: how often a rule fires, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from faultinject.reading.keys import Keys, Read, all_apart
from faultinject.reading.node import Node
from faultinject.reading.value import (
    CHANCE,
    DURATION_SECONDS,
    FLAG,
    POSITIVE_DURATION,
    WHOLE,
    Value,
    any_of,
    by_type,
    filled_list,
    items,
    meaning,
    pair,
    text,
)
from faultinject.rules.when import Burst, GroupBy, Limit, Per, Ramp, Sequence, When, Window

_COUNTED = ("first", "after", "nth", "every", "sequence", "burst", "ramp", "limit")
_LONGEST_SEQUENCE = 10_000
_FAR = 10**9


def _when(node: Node, read: Read) -> When:
    when = When(**{_FIELDS.get(key, key): value for key, value in read.items()})
    _check_possible(node, when)
    if when.per is not None and not any(key in read for key in _COUNTED):
        raise node.part("per").problem(
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


def _steps(node: Node, steps: tuple[bool, ...]) -> tuple[bool, ...]:
    if not any(steps):
        raise node.problem("it can never fire: there is no fault in it")
    return steps


_STEPS = filled_list(
    meaning({"fault": True, "pass": False}),
    "a list of the words fault and pass, as in [fault, fault, pass]",
    _LONGEST_SEQUENCE,
).then(_steps)
_SEQUENCE = by_type(
    _STEPS.into(Sequence),
    object=Keys(
        {"steps": _STEPS, "repeat": FLAG},
        "a sequence",
        needed=("steps",),
        missing="steps is missing, as in {steps: [fault, pass], repeat: true}",
        about={
            "steps": "What happens to each request in turn: fault, or pass.",
            "repeat": "Whether the steps begin again at their end.",
        },
    ).into(lambda read: Sequence(**read)),
)


# -- windows ------------------------------------------------------------------------------------


def _window(node: Node, read: Read, start: float, end: float) -> Window:
    """Return a window; ``node`` has its end, if it is written with one, and how often it comes."""
    every = read.get("every")
    if every is not None and every <= end - start:
        raise node.part("every").wrong(f"longer than the window, which lasts {end - start:g} s")
    return Window(start, end, every)


def _after_start(end: Node, read: tuple[float, float]) -> None:
    start_seconds, end_seconds = read
    if end_seconds <= start_seconds:
        raise end.wrong(f"after {start_seconds:g} s, where the window begins")


def _between_two(node: Node, times: tuple[float, float]) -> Window:
    _after_start(node.items()[1], times)
    return Window(*times)


def _between_keys(node: Node, read: Read) -> Window:
    _after_start(node.part("to"), (read["from"], read["to"]))
    return _window(node, read, read["from"], read["to"])


_TWO_TIMES = "two times since the start, as in [10s, 20s] or {from: 10s, to: 20s}"
_BETWEEN = by_type(
    pair(DURATION_SECONDS, DURATION_SECONDS, _TWO_TIMES).then(_between_two),
    object=Keys(
        {"from": DURATION_SECONDS, "to": DURATION_SECONDS, "every": POSITIVE_DURATION},
        _TWO_TIMES,
        needed=("from", "to"),
        missing="give from and to, as in {from: 10s, to: 20s}",
        about={
            "from": "When the window begins, counted from the start of the run.",
            "to": "When the window ends, counted from the start of the run.",
            "every": "How often the window comes; without it, once.",
        },
    ).then(_between_keys),
)
_FOR = by_type(
    POSITIVE_DURATION.into(lambda seconds: Window(0.0, seconds)),
    object=Keys(
        {"lasting": POSITIVE_DURATION, "every": POSITIVE_DURATION},
        "a window",
        needed=("lasting",),
        missing="lasting is missing, as in {lasting: 10s, every: 1m}",
        about={
            "lasting": "How long the window lasts, counted from the start of the run.",
            "every": "How often the window comes; without it, once.",
        },
    ).then(lambda node, read: _window(node, read, 0.0, read["lasting"])),
)


# -- chances, limits, groups --------------------------------------------------------------------


def _mean(node: Node) -> float:
    expected = "a mean number of requests, 1 or more"
    number = node.number(expected)
    if number < 1:
        raise node.wrong(expected)
    return float(number)


_MEAN = Value(_mean, {"type": "number", "minimum": 1})
_BURST = Keys(
    {"calm": _MEAN, "storm": _MEAN},
    "an object, as in {calm: 50, storm: 5}",
    needed=("calm", "storm"),
    missing="give calm and storm: how many requests each lasts on average",
    about={
        "calm": "How many requests a calm lasts on average.",
        "storm": "How many requests a storm lasts on average.",
    },
).into(lambda read: Burst(read["calm"], read["storm"]))
_OVER_OR_TIMES = "give over (a duration since the start) or times (how many requests)"
_RAMP = Keys(
    {"from": CHANCE, "to": CHANCE, "over": POSITIVE_DURATION, "times": WHOLE},
    "an object, as in {from: 0, to: 0.5, over: 10m}",
    needed=("from", "to"),
    missing="give from and to, the probabilities at its beginning and its end",
    about={
        "from": "The chance at the beginning.",
        "to": "The chance at the end, and from then on.",
        "over": "How long the chance takes to change, counted from the start of the run.",
        "times": "In how many requests the chance changes.",
    },
    some=("over", "times"),
    none=_OVER_OR_TIMES,
    apart=(("over", "times", _OVER_OR_TIMES),),
).into(lambda read: Ramp(read["from"], read["to"], read.get("over"), read.get("times")))
_LIMITS = ("in_all", "at_a_time")
_LIMIT = by_type(
    WHOLE.into(Limit),
    object=Keys(
        dict.fromkeys(_LIMITS, WHOLE),
        "a limit",
        some=_LIMITS,
        none="give in_all or at_a_time",
        about={
            "in_all": "How often the rule fires at most.",
            "at_a_time": "For how many exchanges at a time the rule fires at most.",
        },
    ).into(lambda read: Limit(**read)),
)

_GROUPS = {each.value: each for each in GroupBy if each is not GroupBy.HEADER}
_NO_NAME = "header is missing, as in {header: x-user}"
_GROUP = "connection, attempt-group, client or 'header NAME'"
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_NAME = text("a header's name", f"^{_HEADER_NAME}$")


def _of_header(node: Node, name: str) -> Per:
    if not re.fullmatch(_HEADER_NAME, name):
        raise node.wrong("the name of a header, as in 'header x-user'")
    return Per(GroupBy.HEADER, name.lower())


def _group(node: Node) -> Per:
    written = node.text(_GROUP)
    if written in _GROUPS:
        return Per(_GROUPS[written])
    word, _, name = written.partition(" ")
    if word != GroupBy.HEADER.value:
        raise node.wrong(_GROUP)
    return _of_header(node, name)


_PER = by_type(
    Value(
        _group,
        any_of({"enum": list(_GROUPS)}, {"type": "string", "pattern": f"^header {_HEADER_NAME}$"}),
    ),
    object=Keys(
        {"header": _NAME},
        _GROUP,
        needed=("header",),
        missing=_NO_NAME,
        about={"header": "The header whose values are the groups."},
    ).then(lambda node, read: _of_header(node, read["header"])),
)


_KEYS: Mapping[str, Value[Any]] = {
    "probability": CHANCE,
    "first": WHOLE,
    "after": WHOLE,
    "nth": items(WHOLE),
    "every": WHOLE,
    "sequence": _SEQUENCE,
    "between": _BETWEEN,
    "for": _FOR,
    "burst": _BURST,
    "ramp": _RAMP,
    "limit": _LIMIT,
    "per": _PER,
}
_FIELDS = {"between": "window", "for": "window"}
WHEN_KEYS = tuple(_KEYS)
"""The keys of ``when``."""
ABOUT = {
    "probability": "By chance.",
    "first": "For the first n requests.",
    "after": "For all but the first n requests.",
    "nth": "For the n-th request, or for several.",
    "every": "For every n-th request.",
    "sequence": "In this order, once or repeated.",
    "between": "Between two times, counted from the start, or in windows that repeat.",
    "for": "For a time, counted from the start, or in windows that repeat.",
    "burst": "In storms with calms between them, whose average lengths in requests are given.",
    "ramp": "By a chance that changes evenly, over a time or over a number of requests.",
    "limit": "At most n times, or for at most n exchanges at a time.",
    "per": "With a separate count of all of the above for each group.",
}
_SAME = "{} says the same in another way; give one of the two"
WHEN = Keys(
    _KEYS,
    "an object, as in {probability: 0.3} or {first: 2}",
    apart=(*all_apart(("between", "for"), _SAME), *all_apart(("probability", "ramp"), _SAME)),
    more=(
        {"if": {"required": ["per"]}, "then": any_of(*({"required": [key]} for key in _COUNTED))},
    ),
    about=ABOUT,
).then(_when)
