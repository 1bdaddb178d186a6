"""The rules of a run, and a fast search for those that match a request among hundreds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from attrs import field, frozen

from faultinject.faults.place import Stage
from faultinject.matchers import MISSING
from faultinject.rules.facts import Facts
from faultinject.rules.match import Read
from faultinject.rules.model import Rule

_COMBINATIONS = 1024
"""How many combinations of values are remembered at each step. When there are more, all are
forgotten."""
_LONGEST = 512
"""The longest combination, in characters, that is remembered."""

Combination = tuple[object, ...]


class Index:
    """Some rules, in order."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._by_route: dict[Combination, _Routed] = {}
        self._by_head: dict[Combination, Candidates] = {}
        self._by_body: dict[Combination, Sequence[Rule]] = {}
        # There are many combinations, which mostly lead to the same few lists: each is made once
        self._routed: dict[Combination, _Routed] = {}
        self._candidates: dict[Combination, Candidates] = {}

    def candidates(self, facts: Facts) -> Candidates:
        """Return the rules that could match a request, by its head."""
        head = facts.head
        path = head.target.partition(b"?")[0]
        # Of MCP's messages, which share a path, some are calls and others are not.
        api = facts.kind if facts.is_mcp else None
        route = (facts.host, facts.port, head.method, path, api)
        routed = self._by_route.get(route)
        if routed is None:
            routed = self._after_route(facts)
            _remember_short(self._by_route, route, routed)
        key = routed.key(facts)
        candidates = self._by_head.get(key)
        if candidates is None:
            candidates = self._after_head(routed, facts)
            _remember_short(self._by_head, key, candidates)
        return candidates

    def _after_route(self, facts: Facts) -> _Routed:
        places = tuple(
            place for place, rule in enumerate(self.rules) if rule.match.accepts_route(facts)
        )
        routed = self._routed.get(places)
        if routed is None:
            routed = _Routed([self.rules[place] for place in places])
            _remember(self._routed, places, routed)
        return routed

    def _after_head(self, routed: _Routed, facts: Facts) -> Candidates:
        rules = routed.rules
        places = [place for place, rule in enumerate(rules) if rule.match.accepts_head(facts)]
        key = (routed, *places)
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = Candidates([rules[place] for place in places], self._by_body)
            _remember(self._candidates, key, candidates)
        return candidates


class _Routed:
    """The rules whose host, method and path match."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._headers = frozenset(name for rule in rules for name in rule.match.header_names)
        self._parameters = tuple({name for rule in rules for name in rule.match.parameter_names})

    def key(self, facts: Facts) -> Combination:
        """Return the parts of a head that decide which of them match."""
        head, names = facts.head, self._headers
        found = [header for header in head.headers if header[0].lower() in names] if names else ()
        if self._parameters and b"?" in head.target:
            return (self, *found, *map(facts.parameter, self._parameters))
        return (self, *found)


class Candidates:
    """The rules that match a request's head, up to the first that is sure to fire."""

    def __init__(self, rules: Sequence[Rule], by_body: dict[Combination, Sequence[Rule]]) -> None:
        self._rules = rules = _reachable(rules)
        self._by_body = by_body
        self.need_body = any(rule.reads_body for rule in rules)
        """Whether the body is needed to decide which of them match.

        If so, read it (within a limit) and put it into the facts. Without a body, rules that need
        it do not match.
        """
        self.count_attempts = any(rule.counts_attempts for rule in rules)
        """Whether the attempts of calls must be counted."""
        self._match_body = any(rule.match.reads_body for rule in rules)
        reads = dict(read for rule in rules for read in rule.match.body_reads())
        self._reads: tuple[Read, ...] = tuple(reads.values())

    def matching(self, facts: Facts) -> Sequence[Rule]:
        """Return the rules that match, in order."""
        if not self._match_body:
            return self._rules
        document = facts.json
        if isinstance(document, dict):
            found = [read(facts) for read in self._reads]
        elif document is MISSING:
            found = []
        else:  # JSON that is not an object, which no API takes
            return self._accepting(facts)
        key = (self, facts.attempt, *found)
        try:
            known = self._by_body.get(key)
        except TypeError:  # a list or an object within the JSON
            return self._accepting(facts)
        if known is None:
            known = self._accepting(facts)
            _remember_short(self._by_body, key, known)
        return known

    def _accepting(self, facts: Facts) -> Sequence[Rule]:
        return [rule for rule in self._rules if rule.match.accepts_body(facts)]


def _reachable(rules: Sequence[Rule]) -> Sequence[Rule]:
    for place, rule in enumerate(rules):
        if rule.when.always and not rule.reads_body and not rule.depends_on_api:
            return rules[: place + 1]
    return rules


Value = TypeVar("Value")


def _remember_short(known: dict[Combination, Value], key: Combination, value: Value) -> None:
    if len(repr(key)) <= _LONGEST:
        _remember(known, key, value)


def _remember(known: dict[Combination, Value], key: Combination, value: Value) -> None:
    if len(known) >= _COMBINATIONS:
        known.clear()
    known[key] = value


@frozen
class RuleSet:
    """The rules of a run, in order, and the seed of their draws. Immutable: swapped whole."""

    rules: tuple[Rule, ...]
    seed: int
    marker: bool = True
    """Whether injected answers name their rule."""
    elsewhere: tuple[Rule, ...] = ()
    """Rules that mean nothing (`Rule.unfit`): each stands for the rule with its id at APIs that
    this one is not for, so that it is told there. They are not counted."""
    asks_for_streams: bool = field(init=False, eq=False, repr=False)
    """Whether a rule is only for requests that ask for a stream."""
    harms_streams: bool = field(init=False, eq=False, repr=False)
    """Whether a rule has a stream fault."""
    _stages: dict[Stage, Index] = field(init=False, eq=False, repr=False)
    _of_preflights: dict[Stage, Index] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        preflights = tuple(rule for rule in self.rules if rule.meets_preflights)
        asks = any(rule.match.stream is True for rule in self.rules)
        harms = any(choice.fault.stream for rule in self.rules for choice in rule.faults)
        object.__setattr__(self, "asks_for_streams", asks)
        object.__setattr__(self, "harms_streams", harms)
        object.__setattr__(self, "_stages", _by_stage(tuple(self._asked())))
        object.__setattr__(self, "_of_preflights", _by_stage(preflights))

    def _asked(self) -> Iterator[Rule]:
        """Return all rules, in the order in which they are asked."""
        for rule in self.rules:
            yield from (each for each in self.elsewhere if each.id == rule.id)
            yield rule

    @property
    def ids(self) -> tuple[str, ...]:
        """The names (or ids) of the rules, in order."""
        return tuple(rule.id for rule in self.rules)

    def has(self, stage: Stage) -> bool:
        """Return True if a rule is decided at this stage."""
        return bool(self._stages[stage].rules)

    def candidates(self, stage: Stage, facts: Facts) -> Candidates:
        """Return the rules of a stage that could match a request, by its head."""
        stages = self._of_preflights if facts.kind == "preflight" else self._stages
        return stages[stage].candidates(facts)


def _by_stage(rules: Iterable[Rule]) -> dict[Stage, Index]:
    return {stage: Index(tuple(rule for rule in rules if rule.stage is stage)) for stage in Stage}
