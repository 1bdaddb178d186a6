"""Checks that a rule can be judged when its fault must happen.

Knows nothing of how rules are written.
"""

from __future__ import annotations

from faultinject.config.rules.node import Node
from faultinject.faults.place import Stage
from faultinject.rules.match import Match
from faultinject.rules.when import GroupBy, When

_BODY = ("json", "model", "stream", "tools", "attempt")
_KEYS = {"hosts": "host", "methods": "method", "headers": "header", "providers": "provider"}
_REASONS = {
    Stage.CONNECT: "a fault at connect happens before there is a request: only the host is known",
    Stage.HANDSHAKE: "a fault at handshake happens before there is a request: only the host is"
    " known",
    Stage.REQUEST: "a fault at request happens before the body is read, which this needs; with"
    " at: head it can be judged",
}


def check_stage(node: Node, stage: Stage, match: Match, when: When) -> None:
    """Refuse what cannot be known at a stage. Raises `SettingsError`."""
    if stage is Stage.ANSWER:
        return
    for field in match.given:
        known = field == "hosts" if stage is not Stage.REQUEST else field not in _BODY
        if not known:
            raise node.part("match", _KEYS.get(field, field)).problem(_REASONS[stage])
    if when.per is not None and not _countable(stage, when.per.by):
        raise node.part("when", "per").problem(_REASONS[stage])


def _countable(stage: Stage, by: GroupBy) -> bool:
    if stage is Stage.REQUEST:
        return by is not GroupBy.ATTEMPT_GROUP
    return by is GroupBy.CONNECTION
