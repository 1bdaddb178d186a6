"""Reads ``stream``: what happens to a response while it passes, and at which point."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from faultinject.config.rules.break_key import read_point
from faultinject.faults.place import START
from faultinject.faults.stream import STREAM_ACTIONS, StreamAction, StreamFault
from faultinject.reading.node import Node, read_all

_ACTIONS: Mapping[str, type[StreamAction]] = {action.key: action for action in STREAM_ACTIONS}
ACTION_KEYS = tuple(_ACTIONS)
"""The keys of the actions at a point."""
STREAM_KEYS = ("after", "before", "at", *ACTION_KEYS, "upstream")
"""All keys of ``stream``."""


@frozen
class StreamKey:
    """The value of ``stream``."""

    faults: tuple[StreamFault, ...]
    synthetic: bool
    """Whether the proxy makes up the stream, in place of the upstream's."""


def read_stream(node: Node) -> StreamKey:
    """Return the faults. Raises `SettingsError`."""
    items = read_all(node.filled_items(), _item)
    faults = [fault for item in items for fault in item.faults]
    sources = {item.synthetic for item in items if item.synthetic is not None}
    if len(sources) > 1:
        raise node.problem("upstream is real in one place and skipped in another; give it once")
    _check_ends(node, faults)
    return StreamKey(tuple(faults), True in sources)


@frozen
class _Item:
    faults: list[StreamFault]
    synthetic: bool | None
    """As in `StreamKey`; None if it is not given."""


def _item(node: Node) -> _Item:
    fields = node.fields(STREAM_KEYS, "an object, as in {after: {bytes: 100}, cut: true}")
    synthetic = None
    if "upstream" in fields:
        synthetic = fields["upstream"].word("real", "skipped") == "skipped"
    return _Item(_faults(node, fields), synthetic)


def _check_ends(node: Node, faults: list[StreamFault]) -> None:
    enders = [fault for fault in faults if fault.action.ends]
    if len(enders) > 1:
        raise node.problem("two of these end the stream; give one (or one_of, to choose)")


def _faults(node: Node, fields: Mapping[str, Node]) -> list[StreamFault]:
    point = read_point(fields)
    throughout = [
        action.read(fields[key])
        for key, action in _ACTIONS.items()
        if action.throughout and key in fields
    ]
    given = [key for key in _ACTIONS if key in fields and not _ACTIONS[key].throughout]
    for other in given[1:]:
        raise fields[other].problem(
            f"{given[0]} happens at this point already; write a list of objects for several points"
        )
    if not throughout and not given:
        raise node.problem("it does nothing; give one of " + ", ".join(_ACTIONS))
    if not given:
        return [StreamFault(action, point or action.point) for action in throughout]
    action = _ACTIONS[given[0]].read(fields[given[0]])
    others = [StreamFault(each, START) for each in throughout]
    return [*others, StreamFault(action, point or action.point)]
