"""Reads ``fault``: what happens, and which of it can happen together.

Knows nothing of which requests it happens to.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from faultinject.faults.delay import Before
from faultinject.faults.fault import Fault
from faultinject.faults.stage import Stage
from faultinject.rules.model import Weighted
from faultinject.rules.reading.breaks import read_break
from faultinject.rules.reading.delays import read_delays
from faultinject.rules.reading.node import Node
from faultinject.rules.reading.responds import ReadFile, read_respond
from faultinject.rules.reading.streams import read_stream

KINDS = ("respond", "delay", "break", "stream")
"""What a fault is made of."""
_EXPECTED = "an object with respond, delay, break, stream or one_of in it, or the word pass"


def read_faults(node: Node, read_file: ReadFile) -> tuple[Weighted, ...]:
    """Return the faults to choose from. Raises `SettingsError`."""
    if node.value == "pass":
        return (Weighted(Fault()),)
    fields = node.fields((*KINDS, "one_of"), _EXPECTED)
    if "one_of" not in fields:
        return (Weighted(_fault(node, fields, read_file)),)
    if len(fields) > 1:
        raise node.problem("one_of stands alone; write what is common into each of its items")
    return _choices(fields["one_of"], read_file)


def _choices(node: Node, read_file: ReadFile) -> tuple[Weighted, ...]:
    if not isinstance(node.value, list):
        raise node.problem("it is not a list of faults")
    choices = tuple(_choice(item, read_file) for item in node.filled_items())
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


def _choice(node: Node, read_file: ReadFile) -> Weighted:
    fields = dict(node.fields(("weight", "pass", *KINDS), _EXPECTED))
    weight = fields.pop("weight").positive() if "weight" in fields else 1.0
    if "pass" in fields:
        fields.pop("pass").only_true()
        if fields:
            raise node.problem("pass stands alone, with its weight")
        return Weighted(Fault(), weight)
    return Weighted(_fault(node, fields, read_file), weight)


def _fault(node: Node, fields: Mapping[str, Node], read_file: ReadFile) -> Fault:
    if not fields:
        raise node.problem("there is no fault in it; give one of " + ", ".join(KINDS))
    fault = Fault()
    if "respond" in fields:
        fault = evolve(fault, respond=read_respond(fields["respond"], read_file))
    if "delay" in fields:
        fault = evolve(fault, delays=read_delays(fields["delay"]))
    if "break" in fields:
        fault = evolve(fault, breaks=read_break(fields["break"]))
    if "stream" in fields:
        streamed = read_stream(fields["stream"])
        fault = evolve(fault, stream=streamed.faults, made_stream=streamed.made)
    _check_together(fields, fault)
    return fault


_APART = (
    ("respond", "break", "an answer of ours is not broken; give one of the two"),
    ("respond", "stream", "the API's answer does not pass; for a made one set stream.upstream"),
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
