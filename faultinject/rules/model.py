"""Rules as values: match (which requests), when (how often), fault (what happens).

Knows nothing of how a rule is written, and of what its fault does.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from faultinject.faults.fault import Fault
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import InjectedResponse, Respond, injected_response
from faultinject.rules.match import Match
from faultinject.rules.when import When


@frozen
class Weighted:
    """One of the faults that a rule chooses from."""

    fault: Fault
    weight: float = 1.0


@frozen
class Rule:
    """One rule."""

    id: str
    match: Match
    when: When
    faults: tuple[Weighted, ...]
    """One of them happens; all are decided at the same stage."""
    response: InjectedResponse | None = None
    """The answer made ready, if it is the same for every request."""
    place: str = field(default="", eq=False)
    """Where the rule is written, for messages."""
    named: bool = field(default=True, eq=False)
    """Whether the id is a name that the user gave."""

    @classmethod
    def of(cls, id: str, match: Match, when: When, fault: Respond, *, marker: bool) -> Rule:  # noqa: A002 -- as the field
        """Make a rule of one answer for all requests; with ``marker`` it names the rule."""
        response = injected_response(fault, id if marker else None)
        return cls(id, match, when, (Weighted(Fault(fault)),), response)

    @property
    def stage(self) -> Stage:
        """When it must be decided whether the rule fires."""
        return self.faults[0].fault.stage

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        return frozenset().union(*(choice.fault.abilities for choice in self.faults))

    def of_first_attempts(self, first: int) -> Rule:
        """Return the same for the first so many attempts of each call alone.

        Raises `ValueError` if it is decided before a request is known, or counts anything else.
        """
        if self.stage is not Stage.ANSWER:
            raise ValueError("is decided before the request is known, which has no attempts then")
        return evolve(self, when=self.when.of_first_attempts(first))

    @property
    def counts_attempts(self) -> bool:
        """Whether the rule asks which attempt a request is."""
        return self.match.attempt is not None or self.when.counts_attempts

    @property
    def meets_preflights(self) -> bool:
        """Whether CORS preflights reach the rule: only if it names their method."""
        return "OPTIONS" in (self.match.methods or ())

    @property
    def reads_body(self) -> bool:
        """Whether the body must be known, if all else in the head matches."""
        return self.match.reads_body or self.when.counts_attempts
