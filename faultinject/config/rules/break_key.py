"""Reads ``break``, and the points in an answer at which faults begin (``after``, ``before``)."""

from __future__ import annotations

from collections.abc import Mapping

from faultinject.config.rules.match_key import json_test
from faultinject.faults.breaks import WAYS, Break, How
from faultinject.faults.place import FIRST_EVENT, BytesPoint, EventPoint, Point, Stage, TimePoint
from faultinject.reading.node import Node

_EVENT_KEYS = ("event", "count", "where")
_AFTER_KEYS = (*_EVENT_KEYS, "bytes", "time")
_SIDES = ("after", "before")


def read_point(fields: Mapping[str, Node], *, at: bool = True) -> Point | None:
    """Return the point that an object's members describe, or None if they describe none.

    ``at`` allows the point as a word under that key.
    """
    given = [key for key in (*_SIDES, "at") if key in fields and (at or key != "at")]
    for other in given[1:]:
        raise fields[other].problem(f"there is {given[0]} already; give one point")
    if not given:
        return None
    [key] = given
    if key == "at":
        fields[key].word("first-event")
        return FIRST_EVENT
    return _point(fields[key], after=key == "after")


def _point(node: Node, *, after: bool) -> Point:
    if isinstance(node.value, str):
        return EventPoint(after, node.text())
    expected = "the name of an event, or an object as {event: content_block_delta, count: 5}"
    fields = node.fields(_AFTER_KEYS if after else _EVENT_KEYS, expected)
    alone = next((key for key in ("bytes", "time") if key in fields), None)
    if alone is None:
        return _event(node, fields, after=after)
    if len(fields) > 1:
        raise node.problem(f"{alone} stands alone; give it or an event")
    if alone == "bytes":
        return BytesPoint(fields["bytes"].whole())
    return TimePoint(fields["time"].positive_duration())


def _event(node: Node, fields: Mapping[str, Node], *, after: bool) -> EventPoint:
    if not fields:
        raise node.problem("it is empty; give an event, its count, or where")
    event = fields["event"].text("the name of an event") if "event" in fields else None
    count = fields["count"].whole() if "count" in fields else 1
    tests = fields["where"].members("an object of paths and tests") if "where" in fields else {}
    where = tuple(json_test(path, field) for path, field in tests.items())
    return EventPoint(after, event, count, where)


_WAYS = {how.word: how for how in WAYS}
_STAGES = {
    "connect": Stage.CONNECT,
    "handshake": Stage.HANDSHAKE,
    "request": Stage.REQUEST,
    "head": Stage.ANSWER,
}
_OWNERS = {key: how for how in WAYS for key in how.keys}
BREAK_KEYS = ("how", "at", "after", "before", *_OWNERS)
"""The keys of ``break``."""


def read_break(node: Node) -> Break:
    """Return the fault. Raises `SettingsError`."""
    if not isinstance(node.value, dict):
        return _break(node, {"how": node})
    fields = node.fields(BREAK_KEYS, "one of " + ", ".join(_WAYS))
    if "how" not in fields:
        raise node.problem("how is missing: one of " + ", ".join(_WAYS))
    return _break(node, fields)


def _break(node: Node, fields: Mapping[str, Node]) -> Break:
    how = _WAYS[fields["how"].word(*_WAYS)]
    point = read_point(fields, at=False)
    stage = _STAGES[fields["at"].word(*_STAGES)] if "at" in fields else how.stage
    if point is not None and "at" in fields:
        raise fields["at"].problem("there is a point in the answer already; give one of the two")
    _check_place(node, how, stage, point)
    for key, owner in _OWNERS.items():
        if key in fields and how is not owner:
            raise fields[key].problem(f"{key} belongs to {owner.word}, and this is {how.word}")
    return Break(how.read(fields), stage, point)


def _check_place(node: Node, how: type[How], stage: Stage, point: Point | None) -> None:
    if how.only_handshake and (stage is not Stage.HANDSHAKE or point is not None):
        raise node.problem(
            f"{how.only_handshake} is possible at the handshake only; write at: handshake"
        )
