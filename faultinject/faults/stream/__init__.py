"""The fault *stream*: harm an answer as it passes. What is done, and where.

Knows nothing of how it is done.
"""

from __future__ import annotations

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, Point
from faultinject.faults.stream.edit import Drop, Duplicate, Garble
from faultinject.faults.stream.end_early import EndEarly
from faultinject.faults.stream.error import SendError
from faultinject.faults.stream.pace import Pace
from faultinject.faults.stream.rechunk import Rechunk
from faultinject.faults.stream.stall import Stall


@frozen
class Cut:
    """FIN, without the body's proper end."""

    ends = True


@frozen
class Reset:
    """RST."""

    ends = True


@frozen
class End:
    """The body's proper end, without the stream's terminator: as if all were well."""

    ends = True


__all__ = [
    "Action", "Cut", "Drop", "Duplicate", "End", "EndEarly", "Garble", "Pace", "Rechunk", "Reset",
    "SendError", "Stall", "StreamFault",
]  # fmt: skip

Action = (
    SendError | Cut | Reset | End | EndEarly | Stall | Drop | Duplicate | Garble | Rechunk | Pace
)


@frozen
class StreamFault:
    """One thing that happens to an answer, from one point on."""

    action: Action
    point: Point = field(default=FIRST_EVENT)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        more = {
            Reset: {Ability.RESET},
            Cut: {Ability.CLOSE},
        }.get(type(self.action), set[Ability]())
        return frozenset({Ability.ANSWER} | more)
