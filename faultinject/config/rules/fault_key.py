"""Reads ``fault``: what happens, and what can be combined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faultinject.config.rules.break_key import read_break
from faultinject.config.rules.delay_key import read_delays
from faultinject.config.rules.respond_key import read_respond
from faultinject.config.rules.stream_key import StreamKey, read_stream
from faultinject.faults.delay import Before
from faultinject.faults.fault import Fault
from faultinject.faults.place import Stage
from faultinject.reading.node import Node, Readers, read_all
from faultinject.rules.model import Weighted

_READERS: Readers = {
    "respond": read_respond,
    "delay": read_delays,
    "break": read_break,
    "stream": read_stream,
}
KINDS = tuple(_READERS)
"""The kinds of faults."""
_EXPECTED = "an object with respond, delay, break, stream or one_of in it, or the word pass"


def read_faults(node: Node) -> tuple[Weighted, ...]:
    """Return the faults to choose from. Raises `SettingsError`."""
    if node.value == "pass":
        return (Weighted(Fault()),)
    readers: Readers = {**_READERS, "one_of": _choices}
    read = node.read(readers, _EXPECTED)
    if "one_of" not in read:
        return (Weighted(_fault(node, read)),)
    if len(read) > 1:
        raise node.problem("one_of stands alone; write what all share into each of its items")
    choices: tuple[Weighted, ...] = read["one_of"]
    return choices


def _choices(node: Node) -> tuple[Weighted, ...]:
    if not isinstance(node.value, list):
        raise node.problem("it is not a list of faults")
    choices = tuple(read_all(node.filled_items(), _choice))
    first = choices[0].fault.stage
    for item, choice in zip(node.items(), choices, strict=True):
        if choice.fault.stage is not first:
            raise item.problem(
                f"it happens at {_shown(choice.fault.stage)} and the first at {_shown(first)}; one"
                " rule is decided at one time, so write two rules"
            )
    return choices


def _shown(stage: Stage) -> str:
    return "the " + stage.value


def _choice(node: Node) -> Weighted:
    readers: Readers = {"weight": Node.positive, "pass": Node.only_true, **_READERS}
    read = node.read(readers, _EXPECTED)
    weight = read.pop("weight", 1.0)
    if "pass" not in read:
        return Weighted(_fault(node, read), weight)
    if len(read) > 1:
        raise node.problem("pass stands alone, with its weight")
    return Weighted(Fault(), weight)


def _fault(node: Node, read: Mapping[str, Any]) -> Fault:
    """Build the fault from what was read of each kind."""
    if not read:
        raise node.problem("there is no fault in it; give one of " + ", ".join(KINDS))
    streamed = read.get("stream", StreamKey((), synthetic=False))
    fault = Fault(
        respond=read.get("respond"),
        delays=read.get("delay", ()),
        breaks=read.get("break"),
        stream=streamed.faults,
        made_stream=streamed.synthetic,
    )
    _check_together(node.members(_EXPECTED), fault)
    return fault


_APART = (
    ("respond", "break", "an injected answer cannot be broken; give one of the two"),
    ("respond", "stream", "that replaces the API's answer; for a made-up one set stream.upstream"),
    ("break", "stream", "write cut, reset or stall in stream instead"),
)  # fmt: skip


def _check_together(fields: Mapping[str, Node], fault: Fault) -> None:
    for one, other, reason in _APART:
        if one in fields and other in fields:
            raise fields[other].problem(f"it cannot go with {one}: {reason}")
    upstream_only = fault.stage is not Stage.ANSWER or (
        fault.breaks is not None and fault.breaks.point is None
    )
    if upstream_only and any(delay.before is not Before.UPSTREAM for delay in fault.delays):
        raise fields["delay"].problem(
            "there is no answer whose head or body could be delayed; leave out before"
        )
