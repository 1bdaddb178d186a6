"""The fault *stream*: harm an answer as it passes. What is done, and where.

One file a fault: what it is, what it is called, and what it does to an answer.
"""

from __future__ import annotations

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, Point, point_words
from faultinject.faults.stream.edit import Drop, Duplicate, Garble
from faultinject.faults.stream.end_early import EndEarly
from faultinject.faults.stream.error import SendError
from faultinject.faults.stream.pace import Pace
from faultinject.faults.stream.rechunk import Rechunk
from faultinject.faults.stream.stall import Stall


@frozen
class CutStream:
    """FIN, without the body's proper end."""

    label = "cut"

    ends = True


@frozen
class ResetStream:
    """RST."""

    label = "reset"

    ends = True


@frozen
class EndStream:
    """The body's proper end, without the stream's terminator: as if all were well."""

    label = "end"

    ends = True


__all__ = [
    "CutStream", "Drop", "Duplicate", "EndEarly", "EndStream", "Garble", "Pace", "Rechunk",
    "ResetStream",
    "SendError", "Stall", "StreamAction", "StreamFault", "stream_words",
]  # fmt: skip

StreamAction = (
    SendError
    | CutStream
    | ResetStream
    | EndStream
    | EndEarly
    | Stall
    | Drop
    | Duplicate
    | Garble
    | Rechunk
    | Pace
)


@frozen
class StreamFault:
    """One thing that happens to an answer, from one point on."""

    action: StreamAction
    point: Point = field(default=FIRST_EVENT)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        more = {
            ResetStream: {Ability.RESET},
            CutStream: {Ability.CLOSE},
        }.get(type(self.action), set[Ability]())
        return frozenset({Ability.ANSWER} | more)


def stream_words(fault: StreamFault) -> str:
    """Return what a fault of the stream does, and where, as "stream-error after 5 events"."""
    return f"{fault.action.label} {point_words(fault.point)}"
