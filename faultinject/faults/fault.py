"""The fault of a rule: all that happens to one request."""

from __future__ import annotations

from attrs import frozen

from faultinject.faults.breaks import Break
from faultinject.faults.delay import Delay
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import Respond
from faultinject.faults.stream import StreamFault


@frozen
class Fault:
    """What happens to a request.

    An empty fault lets the request pass, and no later rule can harm it.
    """

    respond: Respond | None = None
    delays: tuple[Delay, ...] = ()
    """At most one before each thing that can be delayed."""
    breaks: Break | None = None
    stream: tuple[StreamFault, ...] = ()
    """In the given order. Each has a point of its own."""
    made_stream: bool = False
    """Whether the API's smallest stream is made up and harmed, without asking the upstream."""

    @property
    def stage(self) -> Stage:
        """The stage at which it must be decided."""
        for part in (self.respond, self.breaks):
            if part is not None:
                return part.at
        return Stage.ANSWER

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        parts = [part for part in (self.respond, self.breaks) if part is not None]
        needed = [part.abilities for part in (*parts, *self.delays, *self.stream)]
        made = {Ability.MADE_STREAM} if self.made_stream else set[Ability]()
        return frozenset(made).union(*needed)
