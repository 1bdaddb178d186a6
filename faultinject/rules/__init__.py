"""Which requests a fault happens to: rules, and the decision between them.

`decide` takes facts and returns a plan; it uses no stream, no clock and no other source of random
numbers than the seed. The k-th request that reaches a rule gets that rule's k-th draw, whatever
came between (docs/design.md, property 4).
"""

from faultinject.rules.counters import Counters
from faultinject.rules.decide import PASS, Plan, Wait, decide
from faultinject.rules.draws import Draws
from faultinject.rules.index import Candidates, RuleSet
from faultinject.rules.match import Match
from faultinject.rules.model import Rule, Weighted
from faultinject.rules.when import When

__all__ = [
    "PASS",
    "Candidates",
    "Counters",
    "Draws",
    "Match",
    "Plan",
    "Rule",
    "RuleSet",
    "Wait",
    "Weighted",
    "When",
    "decide",
]
