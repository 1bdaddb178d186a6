"""The fault *stream*: harm an answer while it passes.

Each module has one kind of fault, whole: its key in a rule, its label, its flags, and the action
that carries it out. `STREAM_ACTIONS` names them all, and nothing else has to.
"""

from __future__ import annotations

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, Point, Scope, point_words
from faultinject.faults.stream.edit import Drop, Duplicate, Garble, WrongChecksum
from faultinject.faults.stream.end import CutStream, EndEarly, EndStream, HalfEvent, ResetStream
from faultinject.faults.stream.error import SendError
from faultinject.faults.stream.pace import Pace
from faultinject.faults.stream.rechunk import Rechunk
from faultinject.faults.stream.stall import Stall
from faultinject.faults.stream.stream_action import StreamAction

__all__ = [
    "STREAM_ACTIONS",
    "CutStream", "Drop", "Duplicate", "EndEarly", "EndStream", "Garble", "HalfEvent", "Pace",
    "Rechunk", "ResetStream", "SendError", "Stall", "StreamAction", "StreamFault", "WrongChecksum",
    "stream_words",
]  # fmt: skip

STREAM_ACTIONS: tuple[type[StreamAction], ...] = (
    SendError,
    CutStream,
    ResetStream,
    EndStream,
    EndEarly,
    HalfEvent,
    Stall,
    Drop,
    Duplicate,
    Garble,
    WrongChecksum,
    Rechunk,
    Pace,
)
"""All faults of a stream, in the order in which messages name them."""


@frozen
class StreamFault:
    """One action on an answer, from one point on."""

    action: StreamAction
    point: Point = field(default=FIRST_EVENT)
    scope: Scope = Scope.REQUEST
    """What ends with the answer, if it ends it."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        return self.action.needs | {Ability.ANSWER}


def stream_words(fault: StreamFault) -> str:
    """Return a stream fault in words, as in "stream-error after 5 events"."""
    return f"{fault.action.label} {point_words(fault.point)}"
