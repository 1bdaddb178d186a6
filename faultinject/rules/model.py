"""Rules as values: match (which requests), when (how often), fault (what happens).

Knows nothing of how a rule is judged against a request beyond what its own fields mean.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.authority import TargetPattern
from faultinject.facts import Facts
from faultinject.faults.respond import InjectedResponse, Respond, injected_response


@frozen
class Match:
    """Which requests a rule is for. Every condition must hold."""

    hosts: tuple[TargetPattern, ...]

    def accepts(self, facts: Facts) -> bool:
        """Say whether the facts fulfil every condition."""
        return any(pattern.matches(facts.host, facts.port) for pattern in self.hosts)


@frozen
class When:
    """How often a rule fires of the times that it is reached."""

    probability: float
    """The chance of each time, 0 to 1."""


@frozen
class Rule:
    """One rule, with the answer that it injects made ready."""

    id: str
    match: Match
    when: When
    fault: Respond
    response: InjectedResponse

    @classmethod
    def of(cls, id: str, match: Match, when: When, fault: Respond, *, marker: bool) -> Rule:  # noqa: A002
        """Make a rule; ``marker`` says whether its answers name it."""
        return cls(id, match, when, fault, injected_response(fault, id if marker else None))


@frozen
class RuleSet:
    """The rules of a run, in order, and the seed of their draws. Immutable: swapped whole."""

    rules: tuple[Rule, ...]
    seed: int
