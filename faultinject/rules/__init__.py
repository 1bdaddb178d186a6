"""Which requests a fault happens to: rules, and the decision between them.

`decide` is handed facts and returns a plan; it knows no stream, no clock and no random source
of its own. The k-th request that reaches a rule gets that rule's k-th draw, whatever came
between (docs/design.md, property 4).
"""

from faultinject.rules.decide import Plan, decide
from faultinject.rules.draws import Counters, Draws
from faultinject.rules.model import Match, Rule, RuleSet, When
from faultinject.rules.short_form import rule_set_of

__all__ = [
    "Counters",
    "Draws",
    "Match",
    "Plan",
    "Rule",
    "RuleSet",
    "When",
    "decide",
    "rule_set_of",
]
