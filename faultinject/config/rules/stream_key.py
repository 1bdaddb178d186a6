"""Reads ``stream``: what happens to a response while it passes, and at which point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from faultinject.config.rules.break_key import (
    ABOUT_POINTS,
    ABOUT_SCOPE,
    POINTS,
    POINTS_APART,
    SCOPE,
    point_of,
)
from faultinject.faults.place import START, Ability, Scope
from faultinject.faults.stream import STREAM_ACTIONS, StreamAction, StreamFault
from faultinject.reading.keys import Keys, Read, all_apart
from faultinject.reading.node import Node
from faultinject.reading.value import Value, items, meaning

_ACTIONS: Mapping[str, type[StreamAction]] = {action.key: action for action in STREAM_ACTIONS}
ACTION_KEYS = tuple(_ACTIONS)
"""The keys of the actions at a point."""
_AT_POINT = tuple(key for key, action in _ACTIONS.items() if not action.throughout)
_KEYS: Mapping[str, Value[Any]] = {
    **POINTS,
    **{key: action.written() for key, action in _ACTIONS.items()},
    "scope": SCOPE,
    "upstream": meaning({"real": False, "skipped": True}),
}
STREAM_KEYS = tuple(_KEYS)
"""All keys of ``stream``."""
ABOUT = {
    **ABOUT_POINTS,
    **{key: action.about for key, action in _ACTIONS.items()},
    "scope": ABOUT_SCOPE,
    "upstream": "Whether the API's own stream is harmed (`real`), or a made-up one (`skipped`).",
}


@frozen(eq=False, repr=False)
class StreamKey:
    """The value of ``stream``."""

    faults: tuple[StreamFault, ...]
    synthetic: bool
    """Whether the proxy makes up the stream, in place of the upstream's."""


@frozen(eq=False, repr=False)
class _Item:
    faults: tuple[StreamFault, ...]
    synthetic: bool | None
    """As in `StreamKey`; None if it is not given."""


_BREAKING = {Ability.CLOSE, Ability.RESET}


def _item(node: Node, read: Read) -> _Item:
    point = point_of(read)
    throughout = [action for key, action in read.items() if key in _ACTIONS and action.throughout]
    given = next((read[key] for key in _AT_POINT if key in read), None)
    if given is None:
        faults = [StreamFault(action, point or action.point) for action in throughout]
    else:
        faults = [StreamFault(action, START) for action in throughout]
        scope = read.get("scope", Scope.REQUEST)
        faults.append(StreamFault(given, point or given.point, scope))
    if "scope" in read and (given is None or _BREAKING.isdisjoint(given.needs)):
        raise node.part("scope").problem("it is for what breaks the answer off, as cut and reset")
    return _Item(tuple(faults), read.get("upstream"))


def _stream(node: Node, found: tuple[_Item, ...]) -> StreamKey:
    faults = tuple(fault for item in found for fault in item.faults)
    sources = {item.synthetic for item in found if item.synthetic is not None}
    if len(sources) > 1:
        raise node.problem("upstream is real in one place and skipped in another; give it once")
    if sum(fault.action.ends for fault in faults) > 1:
        raise node.problem("two of these end the stream; give one (or one_of, to choose)")
    return StreamKey(faults, True in sources)


STREAM = items(
    Keys(
        _KEYS,
        "an object, as in {after: {bytes: 100}, cut: true}",
        some=ACTION_KEYS,
        none="it does nothing; give one of " + ", ".join(_ACTIONS),
        about=ABOUT,
        apart=(
            *POINTS_APART,
            *all_apart(
                _AT_POINT,
                "{} happens at this point already; write a list of objects for several points",
            ),
        ),
    )
    .then(_item)
    .titled("stream item")
).then(_stream)
