"""The fault *stream*: harm an answer as it passes. What is done, and where.

Each file has a kind of fault whole: its description, label and flags, and the action that does it.
"""

from __future__ import annotations

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, Point, point_words
from faultinject.faults.stream.edit import Drop, Duplicate, Garble
from faultinject.faults.stream.end import CutStream, EndEarly, EndStream, ResetStream
from faultinject.faults.stream.error import SendError
from faultinject.faults.stream.pace import Pace
from faultinject.faults.stream.rechunk import Rechunk
from faultinject.faults.stream.stall import Stall
from faultinject.faults.transform import StreamAction

__all__ = [
    "CutStream", "Drop", "Duplicate", "EndEarly", "EndStream", "Garble", "Pace", "Rechunk",
    "ResetStream", "SendError", "Stall", "StreamAction", "StreamFault", "stream_words",
]  # fmt: skip


@frozen
class StreamFault:
    """One thing that happens to an answer, from one point on."""

    action: StreamAction
    point: Point = field(default=FIRST_EVENT)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        return self.action.needs | {Ability.ANSWER}


def stream_words(fault: StreamFault) -> str:
    """Return what a fault of the stream does, and where, as "stream-error after 5 events"."""
    return f"{fault.action.label} {point_words(fault.point)}"
