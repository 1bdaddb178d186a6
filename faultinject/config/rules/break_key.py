"""Reads ``break``: how and where the connection breaks.

Knows nothing of the rest of a fault.
"""

from __future__ import annotations

from collections.abc import Mapping

from faultinject.config.rules.node import Node
from faultinject.config.rules.point_keys import read_point
from faultinject.config.rules.rule_values import positive_duration
from faultinject.faults.breaks import ALERTS, Break, How
from faultinject.faults.place import Stage

_WORDS = tuple(how.value for how in How)
_STAGES = {
    "connect": Stage.CONNECT,
    "handshake": Stage.HANDSHAKE,
    "request": Stage.REQUEST,
    "head": Stage.ANSWER,
}
BREAK_KEYS = ("how", "at", "after", "before", "for", "alert")
"""What ``break`` may have."""


def read_break(node: Node) -> Break:
    """Return the fault. Raises `SettingsError`."""
    if not isinstance(node.value, dict):
        return _break(node, {"how": node})
    fields = node.fields(BREAK_KEYS, "one of " + ", ".join(_WORDS))
    if "how" not in fields:
        raise node.problem("how is missing: one of " + ", ".join(_WORDS))
    return _break(node, fields)


def _break(node: Node, fields: Mapping[str, Node]) -> Break:
    how = How(fields["how"].word(*_WORDS))
    point = read_point(fields, at=False)
    stage = _stage(fields.get("at"), how)
    if point is not None and "at" in fields:
        raise fields["at"].problem("there is a point in the answer already; give one of the two")
    if how is How.TLS_ALERT and (stage is not Stage.HANDSHAKE or point is not None):
        raise node.problem("a TLS alert is possible at the handshake only; write at: handshake")
    for key, only in (("for", How.HANG), ("alert", How.TLS_ALERT)):
        if key in fields and how is not only:
            raise fields[key].problem(f"{key} belongs to {only.value}, and this is {how.value}")
    seconds = positive_duration(fields["for"]) if "for" in fields else None
    alert = ALERTS[fields["alert"].word(*ALERTS) if "alert" in fields else "handshake_failure"]
    return Break(how, stage, point, seconds, alert)


def _stage(at: Node | None, how: How) -> Stage:
    if at is None:
        return Stage.HANDSHAKE if how is How.TLS_ALERT else Stage.ANSWER
    return _STAGES[at.word(*_STAGES)]
