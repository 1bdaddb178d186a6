"""Rules as values: match (which requests), when (how often), fault (what happens)."""

from __future__ import annotations

from functools import cached_property

from attrs import evolve, field, frozen

from faultinject.faults.fault import Fault
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import InjectedResponse, Respond, injected_response
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape
from faultinject.reading.source import Place
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
    """One of them happens. All are decided at the same stage."""
    response: InjectedResponse | None = None
    """The ready response, if it is the same for every request."""
    place: Place = field(default=Place(), eq=False)
    """Where the rule is written, for messages."""
    named: bool = field(default=True, eq=False)
    """Whether the user gave the id, as the rule's name."""
    unfit: str | None = None
    """Why it means nothing where it matches, and what would; None if that follows from its
    faults."""

    @classmethod
    def of(cls, id: str, match: Match, when: When, fault: Respond, *, marker: bool) -> Rule:  # noqa: A002 -- as the field
        """Make a rule with one response for all requests; with ``marker`` it names the rule."""
        response = injected_response(fault, id if marker else None)
        return cls(id, match, when, (Weighted(Fault(fault)),), response)

    @property
    def stage(self) -> Stage:
        """The stage at which it is decided whether the rule fires."""
        return self.faults[0].fault.stage

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or the plugin must be able to do for this rule."""
        return frozenset().union(*(choice.fault.abilities for choice in self.faults))

    def of_first_attempts(self, first: int) -> Rule:
        """Return a copy that fires for the ``first`` attempts of each call only.

        Raises `ValueError` if it is decided before the request is read, or counts something else.
        """
        if self.stage is not Stage.ANSWER:
            raise ValueError("is decided before the request is read, so it cannot count attempts")
        return evolve(self, when=self.when.of_first_attempts(first))

    @cached_property
    def depends_on_api(self) -> bool:
        """Whether there may be APIs for which one of the faults means nothing."""
        return self.unfit is not None or any(choice.fault.depends_on_api for choice in self.faults)

    def fitting(self, provider: Provider, shape: Shape) -> tuple[Weighted, ...]:
        """Return the faults that mean something for an API and what is spoken there."""
        return tuple(
            choice for choice in self.faults if choice.fault.why_unfit(provider, shape) is None
        )

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:
        """Return why it means nothing for an API and what is spoken there, and what would.

        None if one of its faults means something.
        """
        if self.unfit is not None:
            return self.unfit
        if self.fitting(provider, shape):
            return None
        return self.faults[0].fault.why_unfit(provider, shape)

    @property
    def counts_attempts(self) -> bool:
        """Whether the rule counts the attempts of calls."""
        return self.match.attempt is not None or self.when.counts_attempts

    @property
    def meets_preflights(self) -> bool:
        """Whether CORS preflights reach the rule: only if it names the method OPTIONS."""
        return "OPTIONS" in (self.match.methods or ())

    @property
    def reads_body(self) -> bool:
        """Whether the body is needed, if the head matches."""
        return self.match.reads_body or self.when.counts_attempts
