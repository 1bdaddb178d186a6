"""Reads ``fault``: what happens, and what can be combined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faultinject.config.rules.break_key import BREAK
from faultinject.config.rules.delay_key import DELAYS
from faultinject.config.rules.respond_key import RESPOND
from faultinject.config.rules.stream_key import STREAM, StreamKey
from faultinject.faults.delay import Before
from faultinject.faults.fault import Fault
from faultinject.faults.place import Stage
from faultinject.reading.keys import Keys, Read
from faultinject.reading.node import Node, read_all
from faultinject.reading.value import POSITIVE, TRUE, Value, constant
from faultinject.rules.model import Weighted

_KINDS: Mapping[str, Value[Any]] = {
    "respond": RESPOND.titled("respond"),
    "delay": DELAYS.titled("delay"),
    "break": BREAK.titled("break"),
    "stream": STREAM.titled("stream"),
}
KINDS = tuple(_KINDS)
"""The kinds of faults."""
ABOUT = {
    "respond": "The proxy answers instead of the API.",
    "delay": "The request or the answer waits.",
    "break": "The connection breaks.",
    "stream": "The answer is harmed as it passes.",
    "one_of": "One of several, by weight.",
    "weight": "How often it is chosen, against the others; without it, 1.",
    "pass": "Nothing, and the rules after it are not asked: an exception to them.",
}
_EXPECTED = "an object with respond, delay, break, stream or one_of in it, or the word pass"
_NONE = "there is no fault in it; give one of " + ", ".join(KINDS)
_APART = tuple(
    (one, other, f"it cannot go with {one}: {reason}")
    for one, other, reason in (
        ("respond", "break", "an injected answer cannot be broken; give one of the two"),
        ("respond", "stream",
         "that replaces the API's answer; for a made-up one set stream.upstream"),
        ("break", "stream", "write cut, reset or stall in stream instead"),
    )
)  # fmt: skip


def _fault(node: Node, read: Read) -> Fault:
    """Build the fault from what was read of each kind."""
    streamed = read.get("stream", StreamKey((), synthetic=False))
    fault = Fault(
        respond=read.get("respond"),
        delays=read.get("delay", ()),
        breaks=read.get("break"),
        stream=streamed.faults,
        made_stream=streamed.synthetic,
    )
    upstream_only = fault.stage is not Stage.ANSWER or (
        fault.breaks is not None and fault.breaks.point is None
    )
    if upstream_only and any(delay.before is not Before.UPSTREAM for delay in fault.delays):
        raise node.part("delay").problem(
            "there is no answer whose head or body could be delayed; leave out before"
        )
    return fault


# -- one of several -----------------------------------------------------------------------------


def _choice(node: Node, read: Read) -> Weighted:
    weight = read.get("weight", 1.0)
    return Weighted(Fault() if "pass" in read else _fault(node, read), weight)


_CHOICE = Keys(
    {"weight": POSITIVE, "pass": TRUE, **_KINDS},
    _EXPECTED,
    some=("pass", *KINDS),
    none=_NONE,
    apart=(*_APART, *(("pass", kind, "pass stands alone, with its weight") for kind in KINDS)),
    about=ABOUT,
).then(_choice)


def _choices(node: Node) -> tuple[Weighted, ...]:
    if not isinstance(node.value, list):
        raise node.problem("it is not a list of faults")
    choices = tuple(read_all(node.filled_items(), _CHOICE.read))
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


# -- all of it ----------------------------------------------------------------------------------


def _faults(node: Node, read: Read) -> tuple[Weighted, ...]:
    choices: tuple[Weighted, ...] = read.get("one_of", ())
    return choices or (Weighted(_fault(node, read)),)


_ONE_OF = Value(_choices, {"type": "array", "items": _CHOICE, "minItems": 1})
_ALONE = "one_of stands alone; write what all share into each of its items"
FAULTS = constant(
    "pass",
    (Weighted(Fault()),),
    Keys(
        {**_KINDS, "one_of": _ONE_OF},
        _EXPECTED,
        some=(*KINDS, "one_of"),
        none=_NONE,
        apart=(*_APART, *(("one_of", kind, _ALONE) for kind in KINDS)),
        about=ABOUT,
    ).then(_faults),
)
"""The faults to choose from."""
