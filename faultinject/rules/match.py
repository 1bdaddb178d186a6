"""Match: which requests a rule is for.

Knows nothing of how a match is written, and of how often its rule fires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from faultinject.authority import TargetPattern
from faultinject.facts import Facts
from faultinject.missing import MISSING

if TYPE_CHECKING:  # what reads rules loads them
    from faultinject.conditions import AnyOf, JsonTest

Condition = Callable[[Facts], bool]
Read = Callable[[Facts], object]
"""Returns what a condition looks at."""


@frozen
class Named:
    """A test of a header or a parameter of the query. Of several values one must fulfil it."""

    name: str
    """A header's in lower case."""
    test: AnyOf

    def holds(self, values: dict[str, tuple[str, ...]]) -> bool:
        """Say whether it holds."""
        return any(self.test.holds(value) for value in values.get(self.name, (MISSING,)))


@frozen
class Match:
    """Which requests a rule is for. Every condition that is given must hold."""

    hosts: tuple[TargetPattern, ...] | None = None
    methods: tuple[str, ...] | None = None
    path: AnyOf | None = None
    providers: tuple[str, ...] | None = None
    """The names of APIs, see `faultinject.providers`."""
    query: tuple[Named, ...] = ()
    headers: tuple[Named, ...] = ()
    client: AnyOf | None = None
    json: tuple[JsonTest, ...] = ()
    model: AnyOf | None = None
    stream: bool | None = None
    tools: AnyOf | bool | None = None
    """Whether there are tools, or what the name of one of them must fulfil."""
    attempt: AnyOf | None = None
    _route: tuple[Condition, ...] = field(init=False, eq=False, repr=False)
    _head: tuple[Condition, ...] = field(init=False, eq=False, repr=False)
    _body: tuple[Condition, ...] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, conditions in (
            ("_route", self._route_conditions()),
            ("_head", self._head_conditions()),
            ("_body", self._body_conditions()),
        ):
            object.__setattr__(self, name, tuple(conditions))

    def accepts(self, facts: Facts) -> bool:
        """Say whether the facts fulfil every condition."""
        return self.accepts_route(facts) and self.accepts_rest(facts)

    def accepts_route(self, facts: Facts) -> bool:
        """Say whether host, method and path are right, and the API, which follows from these."""
        return _hold(self._route, facts)

    def accepts_head(self, facts: Facts) -> bool:
        """Say whether all is right that stands in the head behind its first line's path."""
        return _hold(self._head, facts)

    def accepts_rest(self, facts: Facts) -> bool:
        """Say whether all but host, method and path is right."""
        return _hold(self._head, facts) and _hold(self._body, facts)

    @property
    def may_read_body(self) -> bool:
        """Whether there are requests whose body must be known."""
        return bool(self._body)

    def reads_body(self, facts: Facts) -> bool:
        """Say whether the body of a request must be known, whose head is given."""
        if self.attempt is not None and facts.retry_count is None:
            return True
        return len(self._body) > (self.attempt is not None)

    @property
    def given(self) -> dict[str, Any]:
        """The conditions that are given, by name."""
        return {
            each.name: getattr(self, each.name)
            for each in attrs.fields(type(self))
            if each.init and getattr(self, each.name) not in (None, ())
        }

    # The conditions, in the order in which they are asked

    def _route_conditions(self) -> Iterator[Condition]:
        hosts, methods, path, providers = self.hosts, self.methods, self.path, self.providers
        if hosts is not None:
            yield _host(hosts)
        if methods is not None:
            yield lambda facts: facts.method in methods
        if path is not None:
            yield lambda facts: path.holds(facts.path)
        if providers is not None:
            yield lambda facts: facts.provider.name in providers

    def _head_conditions(self) -> Iterator[Condition]:
        client = self.client
        if client is not None:
            yield lambda facts: client.holds(facts.client)
        yield from (_header(test) for test in self.headers)
        yield from (_query(test) for test in self.query)

    def _body_conditions(self) -> Iterator[Condition]:
        attempt, model, stream, tools = self.attempt, self.model, self.stream, self.tools
        if attempt is not None:
            yield lambda facts: attempt.holds(facts.attempt)
        if model is not None:
            yield lambda facts: model.holds(facts.model)
        if stream is not None:
            yield lambda facts: facts.json is not MISSING and facts.stream is stream
        if isinstance(tools, bool):
            yield lambda facts: facts.json is not MISSING and bool(facts.tools) is tools
        elif tools is not None:
            yield lambda facts: any(tools.holds(name) for name in facts.tools)
        yield from (_json(test) for test in self.json)

    def reads(self) -> Iterator[tuple[str, Read]]:
        """Return what is looked at beside the route and behind it: in the head first.

        Each has a name of its own, so that what several matches look at is read once.
        """
        for name in ("client", "model", "stream", "tools", "attempt"):
            if getattr(self, name) is not None:
                yield name, _fact(name)
        for test in self.headers:
            yield f"header {test.name}", _header_values(test.name)
        for test in self.query:
            yield f"query {test.name}", _query_values(test.name)
        for each in self.json:
            yield f"json {each.path.text}", _json_values(each)


HEAD_READS = ("client", "header ", "query ")
"""How the names of what `Match.reads` finds in a head begin."""


def _hold(conditions: tuple[Condition, ...], facts: Facts) -> bool:
    for condition in conditions:  # noqa: SIM110 -- a third faster than all() with a generator
        if not condition(facts):
            return False
    return True


# Functions, for a lambda in a loop would see the loop's last value only.


def _host(hosts: tuple[TargetPattern, ...]) -> Condition:
    if len(hosts) == 1:
        [host] = hosts
        return lambda facts: host.matches(facts.host, facts.port)
    return lambda facts: any(host.matches(facts.host, facts.port) for host in hosts)


def _header(test: Named) -> Condition:
    return lambda facts: test.holds(facts.headers)


def _query(test: Named) -> Condition:
    return lambda facts: test.holds(facts.query)


def _json(test: JsonTest) -> Condition:
    return lambda facts: facts.json is not MISSING and test.holds(facts.json)


def _fact(name: str) -> Read:
    if name in ("stream", "tools"):  # in these, a body that is no JSON is neither yes nor no
        return lambda facts: (facts.json is not MISSING, getattr(facts, name))
    return lambda facts: getattr(facts, name)


def _header_values(name: str) -> Read:
    return lambda facts: facts.headers.get(name)


def _query_values(name: str) -> Read:
    return lambda facts: facts.query.get(name)


def _json_values(test: JsonTest) -> Read:
    # With its type, for 1, 1.0 and True are the same to a dictionary. No JSON is not an empty path.
    return lambda facts: (
        facts.json is not MISSING
        and tuple((type(value), value) for value in test.path.find(facts.json))
    )
