"""What is remembered of earlier requests: how often rules were reached and fired, and calls.

Counters live as long as the run, outside of any rule set, by rule id. Rules that are loaded anew
continue the counts of the same ids. Everything that a stranger could make grow is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

from attrs import define, field

from faultinject.rules.attempts import Attempts
from faultinject.rules.backlog import Backlog
from faultinject.rules.clients import get_or_create

GROUPS = 10_000
"""How many groups of a rule are remembered. Beyond that the least recently seen is forgotten, and
counted from the start if it comes again."""

_LONGEST_GROUP = 64


@define(eq=False, repr=False)
class Tally:
    """The counts of one rule, or of one group of it."""

    reached: int = 0
    """How often it was reached."""
    fired: int = 0
    open: int = 0
    """How many of the exchanges that it fired for are still open."""
    stormy: bool = False
    """Whether its burst is in a storm."""


class Counters:
    """How often each rule was reached."""

    def __init__(self, groups: int = GROUPS, backlog: Backlog | None = None) -> None:
        self.attempts = Attempts()
        self.backlog = backlog or Backlog()
        """What is put off of `attempts`: catch up before a use of them that cannot wait."""
        self._groups = groups
        self._rules: dict[str, Tally] = {}
        self._grouped: dict[str, OrderedDict[str, Tally]] = {}

    def count(self, rule_id: str, group: str = "") -> int:
        """Count that a rule was reached and return the new count, from 1."""
        tally = self.tally(rule_id, group)
        tally.reached += 1
        return tally.reached

    def tally(self, rule_id: str, group: str = "") -> Tally:
        """Return the counts of a rule, or of a group of it."""
        if group:
            return self._group(self._grouped.setdefault(rule_id, OrderedDict()), group)
        tally = self._rules.get(rule_id)
        if tally is None:
            tally = self._rules[rule_id] = Tally()
        return tally

    def totals(self, rule_ids: Iterable[str]) -> tuple[dict[str, str | int], ...]:
        """Return how often each rule was reached and fired, as in events."""
        tallies = ((rule_id, self.tally(rule_id)) for rule_id in rule_ids)
        return tuple(
            {"rule": rule_id, "reached": tally.reached, "fired": tally.fired}
            for rule_id, tally in tallies
        )

    def _group(self, groups: OrderedDict[str, Tally], group: str) -> Tally:
        if len(group) > _LONGEST_GROUP:  # a client may write anything into a header
            group = blake2b(group.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        return get_or_create(groups, group, Tally, self._groups)


@define(eq=False, repr=False)
class Slot:
    """One of the exchanges that a rule may affect at a time."""

    tally: Tally
    open: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self.tally.open += 1

    def release(self) -> None:
        """Free the place when the exchange is over. Further calls do nothing."""
        if self.open:
            self.open = False
            self.tally.open -= 1
