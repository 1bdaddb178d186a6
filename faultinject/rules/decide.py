"""The decision: from the facts of a request to a plan of what happens to it.

Knows nothing of streams, clocks and random sources; see the package's docstring.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.facts import Facts
from faultinject.faults.respond import InjectedResponse
from faultinject.rules.draws import Counters, Draws
from faultinject.rules.model import RuleSet


@frozen
class Plan:
    """What happens to one request: who answers it."""

    source: InjectedResponse | None
    """The answer to inject, or None if the upstream is asked."""
    rule_id: str | None = None
    """The rule that fired, if any."""


PASS = Plan(source=None)
"""No rule fired: the upstream is asked and its answer passed on."""


def decide(rule_set: RuleSet, counters: Counters, facts: Facts) -> Plan:
    """Return the plan of the first rule that fires; each rule that is reached is counted."""
    for rule in rule_set.rules:
        if not rule.match.accepts(facts):
            continue
        number = counters.take(rule.id)
        if Draws(rule_set.seed, rule.id, number).chance(rule.when.probability):
            return Plan(rule.response, rule.id)
    return PASS
