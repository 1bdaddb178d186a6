"""What a fault is called in the events: short words, as "stream-error after 5 events".

Knows nothing of whether it happened.
"""

from __future__ import annotations

from faultinject.faults import stream
from faultinject.faults.breaks import Break
from faultinject.faults.delay import Before
from faultinject.faults.place import BytesPoint, EventPoint, Point, Stage

_ACTIONS: dict[type[stream.Action], str] = {
    stream.SendError: "stream-error",
    stream.Cut: "cut",
    stream.Reset: "reset",
    stream.End: "end",
    stream.EndEarly: "end-early",
    stream.Stall: "stall",
    stream.Drop: "drop",
    stream.Duplicate: "duplicate",
    stream.Garble: "garble",
    stream.Rechunk: "rechunk",
    stream.Pace: "pace",
}


_STAGES = {
    Stage.CONNECT: "at the CONNECT",
    Stage.HANDSHAKE: "at the handshake",
    Stage.REQUEST: "behind the request's head",
}


def stream_words(fault: stream.StreamFault) -> str:
    """Return what a fault of the stream does, and where."""
    return f"{_ACTIONS[type(fault.action)]} {point_words(fault.point)}"


def break_words(fault: Break) -> str:
    """Return how the connection breaks, and where if it is within the answer."""
    if fault.point is not None:
        return f"{fault.how.value} {point_words(fault.point)}"
    where = _STAGES.get(fault.at, "instead of an answer")
    return f"{fault.how.value} {where}"


def delay_words(seconds: float, before: Before) -> str:
    """Return how long a delay takes, and where."""
    return f"delay of {seconds:.3g} s before the {before.value}"


def point_words(point: Point) -> str:
    """Return where something happens."""
    if isinstance(point, BytesPoint):
        return f"after {point.after_bytes} bytes"
    if isinstance(point, EventPoint):
        return _event_words(point)
    return f"after {point.after_seconds:g} s"


def _event_words(point: EventPoint) -> str:
    name = f"{point.event} " if point.event else ""
    if not point.after:
        return f"before {name}event {point.count}"
    return f"after {point.count} {name}event{'s' if point.count > 1 else ''}"
