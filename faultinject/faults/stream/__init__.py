"""The fault *stream*: harm an answer while it passes.

Each module has one kind of fault, whole: its key in a rule, its label, its flags, and the action
that carries it out. `STREAM_ACTIONS` names them all, and nothing else has to.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, EventPoint, Point, Scope, point_words
from faultinject.faults.stream.edit import Drop, Duplicate, Garble, WrongChecksum
from faultinject.faults.stream.end import CutStream, EndEarly, EndStream, HalfEvent, ResetStream
from faultinject.faults.stream.error import SendError
from faultinject.faults.stream.pace import Pace
from faultinject.faults.stream.rechunk import Rechunk
from faultinject.faults.stream.stall import Stall
from faultinject.faults.stream.stream_action import StreamAction
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape

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

    # What it is to an API

    @property
    def depends_on_api(self) -> bool:
        """Whether there may be APIs for which it means nothing."""
        return self.action.depends_on_api or bool(self._paths_of_pieces)

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:
        """Return why it means nothing for an API and what is spoken there; else None."""
        if shape.stream.whole_calls_at in self._paths_of_pieces:
            return (
                "a tool call comes whole there, in one event; half_event in a rule of your own cuts"
                " within that event"
            )
        return self.action.why_unfit(provider, shape)

    @property
    def _paths_of_pieces(self) -> Collection[str]:
        """What has to come more than once before the point: paths into the events."""
        point = self.point
        if not isinstance(point, EventPoint) or point.count == 1:
            return ()
        return [test.path.text for test in point.where]


def stream_words(fault: StreamFault) -> str:
    """Return a stream fault in words, as in "stream-error after 5 events"."""
    return f"{fault.action.label} {point_words(fault.point)}"
