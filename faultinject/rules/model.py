"""Rules as values: match (which requests), when (how often), fault (what happens).

Knows nothing of how a rule is written, and of what its fault does.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from attrs import evolve, field, frozen

from faultinject.faults.fault import Fault
from faultinject.faults.place import Ability, Stage
from faultinject.faults.respond import InjectedResponse, Respond, injected_response
from faultinject.rules.facts import Facts
from faultinject.rules.index import Candidates, Index
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


@frozen
class RuleSet:
    """The rules of a run, in order, and the seed of their draws. Immutable: swapped whole."""

    rules: tuple[Rule, ...]
    seed: int
    marker: bool = True
    """Whether injected answers name their rule."""
    _stages: dict[Stage, Index] = field(init=False, eq=False, repr=False)
    _of_preflights: dict[Stage, Index] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        preflights = tuple(rule for rule in self.rules if rule.meets_preflights)
        object.__setattr__(self, "_stages", _by_stage(self.rules))
        object.__setattr__(self, "_of_preflights", _by_stage(preflights))

    @property
    def ids(self) -> tuple[str, ...]:
        """The names (or ids) of the rules, in order."""
        return tuple(rule.id for rule in self.rules)

    @cached_property
    def asks_for_streams(self) -> bool:
        """Whether a rule is for requests alone that want a stream."""
        return any(rule.match.stream is True for rule in self.rules)

    @cached_property
    def harms_streams(self) -> bool:
        """Whether a rule does something to streams."""
        return any(choice.fault.stream for rule in self.rules for choice in rule.faults)

    def has(self, stage: Stage) -> bool:
        """Say whether there is anything to decide at a stage."""
        return bool(self._stages[stage].rules)

    def candidates(self, stage: Stage, facts: Facts) -> Candidates:
        """Return the rules of a stage that could match a request, whose head is given."""
        stages = self._of_preflights if facts.is_preflight else self._stages
        return stages[stage].candidates(facts)


def _by_stage(rules: Iterable[Rule]) -> dict[Stage, Index]:
    return {stage: Index(tuple(rule for rule in rules if rule.stage is stage)) for stage in Stage}
