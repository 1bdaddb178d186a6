"""Finding the rules that match a request, though there may be hundreds.

Which rules match depends on a few values of the request, and most requests have the same few:
for each combination it is remembered which rules matched. Knows nothing of what happens then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from faultinject.facts import Facts
from faultinject.rules.match import HEAD_READS, Match, Read

_FEW = 3
"""So many rules are asked one by one."""
_COMBINATIONS = 1024
"""So many combinations of values are remembered; when there are more, all are forgotten."""
_LONGEST = 512
"""Longest text, in characters, of which it is remembered what matched."""


class _HasMatch(Protocol):
    @property
    def match(self) -> Match:
        """Which requests it is for."""


Kind = TypeVar("Kind", bound=_HasMatch)


class Index(Generic[Kind]):
    """Some rules, in order."""

    def __init__(self, rules: tuple[Kind, ...], *, head_only: bool = False) -> None:
        self.rules = rules
        self._head_only = head_only
        self._by_route: dict[tuple[object, ...], _Routed[Kind]] = {}
        self._by_positions: dict[tuple[int, ...], _Routed[Kind]] = {}

    def matching(self, facts: Facts) -> Sequence[Kind]:
        """Return the rules that match, in order."""
        if len(self.rules) <= _FEW:
            return [rule for rule in self.rules if self._accepts(rule.match, facts)]
        path = facts.path
        route = (facts.host, facts.port, facts.head.method, path)
        routed = self._by_route.get(route)
        if routed is None:
            routed = self._routed(facts)
            if len(path) <= _LONGEST:
                _remember(self._by_route, route, routed)
        return routed.matching(facts)

    def _accepts(self, match: Match, facts: Facts) -> bool:
        if not self._head_only:
            return match.accepts(facts)
        return match.accepts_route(facts) and match.accepts_head(facts)

    def _routed(self, facts: Facts) -> _Routed[Kind]:
        positions = tuple(
            place for place, rule in enumerate(self.rules) if rule.match.accepts_route(facts)
        )
        routed = self._by_positions.get(positions)
        if routed is None:
            routed = _Routed([self.rules[place] for place in positions], self._head_only)
            _remember(self._by_positions, positions, routed)
        return routed


class _Routed(Generic[Kind]):
    """Those of the rules whose host, method and path are right."""

    def __init__(self, rules: list[Kind], head_only: bool) -> None:
        self._rules = rules
        self._accepts: Callable[[Match, Facts], bool] = (
            Match.accepts_head if head_only else Match.accepts_rest
        )
        reads = dict(read for rule in rules for read in rule.match.reads())
        self._reads: tuple[Read, ...] = tuple(
            read for name, read in reads.items() if not head_only or name.startswith(HEAD_READS)
        )
        self._known: dict[tuple[object, ...], Sequence[Kind]] = {}

    def matching(self, facts: Facts) -> Sequence[Kind]:
        if not self._reads:
            return self._rules
        key = tuple([read(facts) for read in self._reads])
        try:
            known = self._known.get(key)
        except TypeError:  # a list or an object within the JSON
            return self._asked(facts)
        if known is None:
            known = self._asked(facts)
            if len(repr(key)) <= _LONGEST:
                _remember(self._known, key, known)
        return known

    def _asked(self, facts: Facts) -> Sequence[Kind]:
        return [rule for rule in self._rules if self._accepts(rule.match, facts)]


Key = TypeVar("Key")
Value = TypeVar("Value")


def _remember(known: dict[Key, Value], key: Key, value: Value) -> None:
    if len(known) >= _COMBINATIONS:
        known.clear()
    known[key] = value
