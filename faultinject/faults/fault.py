"""A fault as a rule has it: what happens, together, to one request."""

from __future__ import annotations

from attrs import frozen

from faultinject.faults.breaks import Break
from faultinject.faults.delay import Delay
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import Respond
from faultinject.faults.stream import StreamFault


@frozen
class Fault:
    """What happens.

    Nothing at all means that the request passes unharmed, and that no rule behind harms it.
    """

    respond: Respond | None = None
    delays: tuple[Delay, ...] = ()
    """At most one before each thing that can be delayed."""
    breaks: Break | None = None
    stream: tuple[StreamFault, ...] = ()
    """In the order in which they are given; each has its own point."""
    made_stream: bool = False
    """Whether the upstream is not asked, and the API's smallest stream is made and harmed."""

    @property
    def stage(self) -> Stage:
        """When it must be decided."""
        for part in (self.respond, self.breaks):
            if part is not None:
                return part.at
        return Stage.ANSWER

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        parts = [part for part in (self.respond, self.breaks) if part is not None]
        needed = [part.abilities for part in (*parts, *self.delays, *self.stream)]
        made = {Ability.MADE_STREAM} if self.made_stream else set[Ability]()
        return frozenset(made).union(*needed)
