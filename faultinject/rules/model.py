"""Rules as values: match (which requests), when (how often), fault (what happens).

Knows nothing of how a rule is written, and of what its fault does.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from faultinject.facts import Facts
from faultinject.faults.fault import Fault
from faultinject.faults.respond import InjectedResponse, Respond, injected_response
from faultinject.faults.stage import Ability, Stage
from faultinject.rules.index import Index
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
    def of(cls, id: str, match: Match, when: When, fault: Respond, *, marker: bool) -> Rule:  # noqa: A002
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

    @property
    def counts_attempts(self) -> bool:
        """Whether the rule asks which attempt a request is."""
        return self.match.attempt is not None or self.when.counts_attempts

    @property
    def may_read_body(self) -> bool:
        """Whether there are requests whose body must be known."""
        when = self.when
        return self.match.may_read_body or when.needs_call or when.counts_attempts

    def reads_body(self, facts: Facts) -> bool:
        """Say whether the body of a request must be known, whose head is given."""
        if self.match.reads_body(facts) or self.when.needs_call:
            return True
        return self.when.counts_attempts and facts.retry_count is None


@frozen
class RuleSet:
    """The rules of a run, in order, and the seed of their draws. Immutable: swapped whole."""

    rules: tuple[Rule, ...]
    seed: int
    marker: bool = True
    """Whether injected answers name their rule."""
    counts_attempts: bool = field(init=False, eq=False, repr=False)
    _stages: dict[Stage, Index[Rule]] = field(init=False, eq=False, repr=False)
    _heads: Index[Rule] = field(init=False, eq=False, repr=False)
    _may_read_bodies: bool = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        counts = any(rule.counts_attempts for rule in self.rules)
        stages = {stage: Index(self._of(stage)) for stage in Stage}
        object.__setattr__(self, "counts_attempts", counts)
        reads = any(rule.may_read_body for rule in self._of(Stage.ANSWER))
        object.__setattr__(self, "_may_read_bodies", reads)
        object.__setattr__(self, "_stages", stages)
        object.__setattr__(self, "_heads", Index(self._of(Stage.ANSWER), head_only=True))

    @property
    def ids(self) -> tuple[str, ...]:
        """The names (or ids) of the rules, in order."""
        return tuple(rule.id for rule in self.rules)

    def _of(self, stage: Stage) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.stage is stage)

    def has(self, stage: Stage) -> bool:
        """Say whether there is anything to decide at a stage."""
        return bool(self._stages[stage].rules)

    def matching(self, stage: Stage, facts: Facts) -> Sequence[Rule]:
        """Return the rules of a stage that match, in order."""
        return self._stages[stage].matching(facts)

    def needs_body(self, facts: Facts) -> bool:
        """Say whether a rule that could fire must know the body of a request, whose head is given.

        If so, read it (within a limit) and put it into the facts, before `Stage.ANSWER`. Without
        a body no such rule matches.
        """
        if not self._may_read_bodies:
            return False
        for rule in self._heads.matching(facts):
            if rule.reads_body(facts):
                return True
            if rule.when.always:
                return False
        return False
