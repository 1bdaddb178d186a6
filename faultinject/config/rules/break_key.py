"""Reads ``break``, and the points in an answer at which faults begin (``after``, ``before``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from faultinject.config.rules.match_key import json_test
from faultinject.config.rules.rule_values import JSON_TESTS
from faultinject.faults.breaks import WAYS, Break, How
from faultinject.faults.place import (
    FIRST_EVENT,
    BytesPoint,
    EventPoint,
    Point,
    Scope,
    Stage,
    TimePoint,
)
from faultinject.reading.keys import Keys, Read, all_apart, named
from faultinject.reading.node import Node
from faultinject.reading.value import (
    POSITIVE_DURATION,
    TEXT,
    WHOLE,
    Value,
    by_type,
    meaning,
    text,
    word,
)

_EVENT: Mapping[str, Value[Any]] = {
    "event": text("the name of an event"),
    "count": WHOLE,
    "where": named(json_test, "an object of paths and tests", JSON_TESTS),
}
_AFTER: Mapping[str, Value[Any]] = {**_EVENT, "bytes": WHOLE, "time": POSITIVE_DURATION}
_ALONE = "{} stands alone; give it or an event"


_OF_POINTS = {
    "event": "The name of the event.",
    "count": "Which of the events, counted from 1.",
    "where": "Tests of an event's data by paths: only events that pass are counted.",
    "bytes": "After how many bytes of the body.",
    "time": "How long after the head.",
}


def _point(keys: Mapping[str, Value[Any]], *, after: bool) -> Value[Point]:
    """Return what reads a point: an object, or the name of an event."""
    alone = [key for key in keys if key not in _EVENT]
    point = Keys(
        keys,
        "the name of an event, or an object as {event: content_block_delta, count: 5}",
        some=tuple(keys),
        none="it is empty; give an event, its count, or where",
        apart=tuple(
            (other, key, _ALONE.format(key)) for key in alone for other in keys if other != key
        ),
        about={key: _OF_POINTS[key] for key in keys},
    ).into(partial(_point_of, after=after))
    name: Value[Point] = TEXT.into(lambda event: EventPoint(after, event))
    return by_type(point, string=name)


def _point_of(read: Read, *, after: bool) -> Point:
    if "bytes" in read:
        return BytesPoint(read["bytes"])
    if "time" in read:
        return TimePoint(read["time"])
    return EventPoint(after, read.get("event"), read.get("count", 1), read.get("where", ()))


_ONE_POINT = "there is {} already; give one point"
_SIDES: Mapping[str, Value[Point]] = {
    "after": _point(_AFTER, after=True).titled("point after which"),
    "before": _point(_EVENT, after=False).titled("point before which"),
}
_FIRST_EVENT: Value[Point] = word("first-event").into(lambda _: FIRST_EVENT)
POINTS: Mapping[str, Value[Point]] = {**_SIDES, "at": _FIRST_EVENT}
"""The keys that say where in an answer something begins."""
ABOUT_POINTS = {
    "after": "The point after an event, a number of bytes, or a time.",
    "before": "The point before an event.",
    "at": "The point before the first event.",
}
POINTS_APART = all_apart(POINTS, _ONE_POINT)


def point_of(read: Read) -> Point | None:
    """Return the point among what was read of `POINTS`, if there is one."""
    return next((read[key] for key in POINTS if key in read), None)


SCOPE: Value[Scope] = meaning({scope.value: scope for scope in Scope})
"""What ends with an answer that a fault ends."""
_WAYS = {how.word: how for how in WAYS}
_OWNERS = {key: how for how in WAYS for key in how.keys}
_KEYS: Mapping[str, Value[Any]] = {
    "how": meaning(_WAYS),
    "at": meaning(
        {
            "connect": Stage.CONNECT,
            "handshake": Stage.HANDSHAKE,
            "request": Stage.REQUEST,
            "head": Stage.ANSWER,
        }
    ),
    **_SIDES,
    **{key: how.keys[key] for key, how in _OWNERS.items()},
    "scope": SCOPE,
}
BREAK_KEYS = tuple(_KEYS)
"""The keys of ``break``."""
ABOUT_SCOPE = "What ends: the request, or the connection with all requests that are open on it."
ABOUT = {
    **ABOUT_POINTS,
    "how": "How it breaks: FIN, RST, silence, bytes that are not valid there, or a TLS alert.",
    "at": "When it breaks: at the CONNECT, the handshake, the request, or its answer's head.",
    "for": "How long it hangs; without it, until the client leaves.",
    "alert": "Which TLS alert is sent.",
    "scope": ABOUT_SCOPE,
}
_ONE_OF = "one of " + ", ".join(_WAYS)
_HAS_POINT = "there is a point in the answer already; give one of the two"


def _break(node: Node, read: Read) -> Break:
    how: type[How] = read["how"]
    stage = read.get("at", how.stage)
    point = next((read[key] for key in _SIDES if key in read), None)
    if how.only_handshake and (stage is not Stage.HANDSHAKE or point is not None):
        raise node.problem(
            f"{how.only_handshake} is possible at the handshake only; write at: handshake"
        )
    for key, owner in _OWNERS.items():
        if key in read and how is not owner:
            raise node.part(key).problem(f"{key} belongs to {owner.word}, and this is {how.word}")
    return Break(how.of(read), stage, point, read.get("scope", Scope.REQUEST))


BREAK = by_type(
    _KEYS["how"].then(lambda node, how: _break(node, {"how": how})),
    object=Keys(
        _KEYS,
        _ONE_OF,
        needed=("how",),
        missing=f"how is missing: {_ONE_OF}",
        apart=(
            *all_apart(_SIDES, _ONE_POINT),
            *((side, "at", _HAS_POINT) for side in _SIDES),
        ),
        about=ABOUT,
    ).then(_break),
)
