"""The fault of a rule: all that happens to one request."""

from __future__ import annotations

from attrs import frozen

from faultinject.faults.breaks import Break
from faultinject.faults.delay import Delay
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import Respond
from faultinject.faults.stream import StreamFault
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape


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

    # A preset says "the API's own error of a spending cap", and some APIs have none. Then nothing
    # is made up: the request passes, and the run says so.

    @property
    def depends_on_api(self) -> bool:
        """Whether there may be APIs for which it means nothing."""
        responds = self.respond is not None and self.respond.depends_on_api
        return responds or any(each.depends_on_api for each in self.stream)

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:
        """Return why it means nothing for an API and what is spoken there, and what would.

        None if it means something.
        """
        reasons = [each.why_unfit(provider, shape) for each in self.stream]
        if self.respond is not None and self.respond.at is not Stage.CONNECT:
            reasons.insert(0, self.respond.why_unfit(provider))
        return next((reason for reason in reasons if reason is not None), None)
