"""Match: which requests a rule is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
from attrs import field, frozen

from faultinject.authority import TargetPattern
from faultinject.matchers import MISSING, AnyOf, JsonMatcher, JsonPath
from faultinject.rules.facts import USER_AGENT, Facts

Condition = Callable[[Facts], bool]
Read = Callable[[Facts], object]
"""Returns what a condition reads in a body that is a JSON object."""


@frozen
class Named:
    """A test of a header or a parameter of the query. One of several values must pass it."""

    name: str
    """A header's in lower case."""
    test: AnyOf

    def holds(self, values: tuple[str, ...]) -> bool:
        """Return True if one of the values passes the test."""
        return any(self.test.holds(value) for value in values or (MISSING,))


@frozen
class Match:
    """Which requests a rule is for. Every condition that is given must hold."""

    hosts: tuple[TargetPattern, ...] | None = None
    methods: tuple[str, ...] | None = None
    path: AnyOf | None = None
    providers: tuple[str, ...] | None = None
    """The names of APIs, see `faultinject.providers`."""
    shapes: tuple[str, ...] | None = None
    """What is spoken at the path: the names of shapes, see `faultinject.providers`."""
    besides: tuple[Match, ...] = ()
    """Other matches: the API, or what is spoken, must be one that none of them names."""
    model_call: bool | None = None
    """Whether a model is asked to generate, see `Facts.kind`."""
    housekeeping: bool | None = None
    """Whether the request is not a call of the API. A preflight is none, and neither is a request
    for a WebSocket: calls come through it."""
    query: tuple[Named, ...] = ()
    headers: tuple[Named, ...] = ()
    client: AnyOf | None = None
    json: tuple[JsonMatcher, ...] = ()
    model: AnyOf | None = None
    stream: bool | None = None
    tools: AnyOf | bool | None = None
    """Whether there are tools, or a test that the name of one of them must pass."""
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
        """Return True if every condition holds."""
        return self.accepts_route(facts) and self.accepts_head(facts) and self.accepts_body(facts)

    def accepts_route(self, facts: Facts) -> bool:
        """Return True if host, method, path and API match."""
        return _hold(self._route, facts)

    def accepts_head(self, facts: Facts) -> bool:
        """Return True if headers and query match."""
        return _hold(self._head, facts)

    def accepts_body(self, facts: Facts) -> bool:
        """Return True if the body matches, and the attempt if it was counted."""
        return _hold(self._body, facts)

    def names_api(self, provider: str, shape: str) -> bool:
        """Return True if an API and what is spoken, by their names, are among those it is for."""
        return (self.providers is None or provider in self.providers) and (
            self.shapes is None or shape in self.shapes
        )

    @property
    def reads_body(self) -> bool:
        """Whether the body is needed, as it is to count attempts."""
        return bool(self._body)

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
        shapes, model_call, housekeeping = self.shapes, self.model_call, self.housekeeping
        besides = self.besides
        if hosts is not None:
            yield _host(hosts)
        if methods is not None:
            yield lambda facts: facts.method in methods
        if path is not None:
            yield lambda facts: path.holds(facts.path)
        if providers is not None:
            yield lambda facts: facts.provider.name in providers
        if shapes is not None:
            yield lambda facts: facts.shape in shapes
        if besides:
            yield (
                lambda facts: (
                    not any(each.names_api(facts.provider.name, facts.shape) for each in besides)
                )
            )
        if model_call is not None:
            yield lambda facts: (facts.kind == "model") is model_call
        if housekeeping is not None:
            yield lambda facts: (facts.kind in _NO_CALLS) is housekeeping

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

    # What they look at behind the route, so that what several matches look at is read once

    @property
    def header_names(self) -> Iterator[bytes]:
        """The headers that the conditions read, in lower case."""
        if self.client is not None:
            yield USER_AGENT
        yield from (test.name.encode() for test in self.headers)

    @property
    def parameter_names(self) -> Iterator[str]:
        """The parameters of the query that the conditions read."""
        return (test.name for test in self.query)

    def body_reads(self) -> Iterator[tuple[str, Read]]:
        """Return what the conditions read in a JSON object, each with a unique name."""
        for name, read in _MEMBERS.items():
            if getattr(self, name) is not None:
                yield name, read
        for test in self.json:
            yield f"json {test.path.text}", _json_read(test.path)


_NO_CALLS = ("housekeeping", "preflight", "websocket")


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
    name = test.name.encode()
    return lambda facts: test.holds(facts.header(name))


def _query(test: Named) -> Condition:
    return lambda facts: test.holds(facts.parameter(test.name))


def _json(test: JsonMatcher) -> Condition:
    return lambda facts: facts.json is not MISSING and test.holds(facts.json)


# What is read has its type beside it where 1, 1.0 and True differ, which they do not as the keys
# of a dictionary.

_MEMBERS: dict[str, Read] = {
    "model": lambda facts: facts.model,
    "stream": lambda facts: facts.stream,
    "tools": lambda facts: facts.tools,
}


def _json_read(path: JsonPath) -> Read:
    def read(facts: Facts) -> object:
        value = path.find_one(facts.json)
        return type(value), value

    def read_all(facts: Facts) -> object:
        return tuple((type(value), value) for value in path.find(facts.json))

    return read if path.single else read_all
