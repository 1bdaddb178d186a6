"""Reads ``stream``: what happens to a response while it passes, and at which point."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from faultinject.config.rules.break_key import read_point
from faultinject.config.rules.node import Node, read_all
from faultinject.config.rules.rule_values import positive_duration
from faultinject.faults.place import FIRST_EVENT, START
from faultinject.faults.stream import (
    CutStream,
    Drop,
    Duplicate,
    EndEarly,
    EndStream,
    Garble,
    Pace,
    Rechunk,
    ResetStream,
    SendError,
    Stall,
    StreamAction,
    StreamFault,
)


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
    throughout = [_ACTIONS[key](fields[key]) for key in _THROUGHOUT if key in fields]
    given = [key for key in _ACTIONS if key in fields and key not in _THROUGHOUT]
    for other in given[1:]:
        raise fields[other].problem(
            f"{given[0]} happens at this point already; write a list of objects for several points"
        )
    if not throughout and not given:
        raise node.problem("it does nothing; give one of " + ", ".join(_ACTIONS))
    if not given:
        return [StreamFault(action, point or START) for action in throughout]
    [key] = given
    default = FIRST_EVENT if key in _AT_EVENTS else START
    action = _ACTIONS[key](fields[key])
    others = [StreamFault(each, START) for each in throughout]
    return [*others, StreamFault(action, point or default)]


# -- actions ------------------------------------------------------------------------------------


def _error(node: Node) -> StreamAction:
    if node.value is True:
        return SendError()
    if isinstance(node.value, str):
        return SendError(error=node.text())
    keys = ("status", "type", "message", "code", "failure", "form")
    fields = node.fields(keys, "true, the type of the error, or an object as {status: 529}")
    status = fields["status"].whole(400, 599) if "status" in fields else 529
    words = {key: fields[key].text() for key in keys[2:] if key in fields}
    kind = fields["type"].text() if "type" in fields else None
    return SendError(status, kind, **words)


def _only_true(action: Callable[[], StreamAction]) -> Callable[[Node], StreamAction]:
    def read(node: Node) -> StreamAction:
        node.only_true()
        return action()

    return read


def _end_early(node: Node) -> StreamAction:
    if node.value is not True:
        node.word("max_tokens")
    return EndEarly()


def _stall(node: Node) -> StreamAction:
    if not isinstance(node.value, dict):
        return Stall(_length(node))
    fields = node.fields(
        ("for", "pings"), "a duration, the word forever, or {for: 60s, pings: 10s}"
    )
    seconds = _length(fields["for"]) if "for" in fields else None
    return Stall(seconds, positive_duration(fields["pings"]) if "pings" in fields else None)


def _length(node: Node) -> float | None:
    if node.value is True or node.value == "forever":
        return None
    return positive_duration(node)


def _events(action: Callable[[int | None], StreamAction]) -> Callable[[Node], StreamAction]:
    def read(node: Node) -> StreamAction:
        if node.value == "all":
            return action(None)
        return action(1 if node.value is True else node.whole())

    return read


def _chunks(node: Node) -> StreamAction:
    return Rechunk(node.word("split", "merge") == "split")


def _pace(node: Node) -> StreamAction:
    keys = ("events_per_second", "bytes_per_second")
    fields = node.fields(keys, "an object, as in {bytes_per_second: 100}")
    if len(fields) != 1:
        raise node.problem("give one of " + ", ".join(keys))
    return Pace(**{key: field.positive() for key, field in fields.items()})


_ACTIONS: dict[str, Callable[[Node], StreamAction]] = {
    "error": _error,
    "cut": _only_true(CutStream),
    "reset": _only_true(ResetStream),
    "end": _only_true(EndStream),
    "end_early": _end_early,
    "stall": _stall,
    "drop": _events(Drop),
    "duplicate": _events(Duplicate),
    "garble": _events(Garble),
    "chunks": _chunks,
    "pace": _pace,
}
_THROUGHOUT = ("chunks", "pace")
_AT_EVENTS = ("error", "end_early", "drop", "duplicate", "garble")
STREAM_ACTIONS = tuple(_ACTIONS)
"""The keys of the actions at a point."""
STREAM_KEYS = ("after", "before", "at", *_ACTIONS, "upstream")
"""All keys of ``stream``."""
