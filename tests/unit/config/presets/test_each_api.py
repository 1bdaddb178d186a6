"""Each preset does something at each API that it meets, or it is told that it does nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import pytest
from attrs import evolve, frozen

from faultinject.authority import TargetPattern
from faultinject.config.presets import NAMES, preset_named
from faultinject.config.rule_set import composed
from faultinject.faults.place import Stage
from faultinject.http.message import RequestHead
from faultinject.providers.known import PROVIDERS, SHAPES
from faultinject.providers.provider import Provider
from faultinject.rules.counters import Counters
from faultinject.rules.decide import decide
from faultinject.rules.facts import Facts
from faultinject.rules.index import RuleSet
from faultinject.rules.match import Match
from faultinject.rules.model import Rule
from faultinject.settings import ChosenPreset, Settings

HEADERS_OF_MCP = ((b"Mcp-Protocol-Version", b"2025-11-25"),)
MORE_PATHS = {
    "azure": ["/openai/deployments/x/chat/completions"],
    "bedrock": [
        "/model/x/invoke",
        "/model/x/invoke-with-response-stream",
        "/anthropic/v1/messages",
    ],
    "gemini": ["/v1beta/openai/chat/completions"],
    "vertex": [
        "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
        "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
        "/v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions",
    ],
    "ollama": ["/v1/chat/completions", "/v1/responses", "/v1/messages"],
    "cohere": ["/compatibility/v1/chat/completions"],
    "plain": ["/orders"],
}
"""Paths that no example has."""
TOOLS = [{"type": "function", "function": {"name": "weather"}, "name": "weather"}]


@frozen
class Request:
    """A request to an API."""

    facts: Facts
    api: str
    shape: str


def requests() -> Iterator[Request]:
    """Yield a request with tools for each shape of each API, with a stream and without."""
    for provider in PROVIDERS:
        places = [(each.path, each.query, each.document) for each in provider.examples]
        places += [(path, "", {"tools": TOOLS}) for path in MORE_PATHS.get(provider.name, ())]
        for path, query, document in places:
            for stream in (True, False):
                body = json.dumps({"model": "m", "stream": stream, **document}).encode()
                yield _request(provider, f"{path}?{query}" if query else path, body)


def _request(provider: Provider, target: str, body: bytes) -> Request:
    headers = HEADERS_OF_MCP if provider.name == "mcp" else ()
    head = RequestHead(b"POST", target.encode(), headers)
    facts = Facts(provider.example_host, 443, head, body)
    return Request(facts, provider.name, facts.shape)


REQUESTS = list(requests())
MOST_TRIES = 100
"""Some presets are for a request in some."""
ANY_HOST = Settings(seed=1, target_host=(TargetPattern.parse_target("*"),))


def test_the_requests_are_for_all_there_is() -> None:
    """Each API with each of its shapes, but for paths at which nothing is known to be spoken."""
    met = {(each.facts.provider.name, each.shape) for each in REQUESTS}
    assert {(each.api, each.shape) for each in REQUESTS} == met
    assert {shape for _, shape in met} == set(SHAPES)
    meant = {
        (provider.name, shape.name)
        for provider in PROVIDERS
        for shape in provider.shapes
        if shape.name != "plain" or provider.name == "plain"
    }
    assert met == meant


@cache
def _rule_set(name: str) -> RuleSet:
    return composed(evolve(ANY_HOST, preset=(ChosenPreset(name),))).rule_set


def _decided(name: str, request: Request) -> tuple[bool, list[str]]:
    """Return whether a rule of a preset fired, and what was told."""
    rule_set, counters = _rule_set(name), Counters()
    told: list[str] = []

    def tell(rule: Rule, facts: Facts, why: str) -> None:
        del facts
        assert rule.id in rule_set.ids
        told.append(why)

    for _ in range(MOST_TRIES):
        if decide(rule_set, counters, request.facts, on_unfit=tell).rule_id is not None:
            return True, told
        if told:
            break
    return False, told


def _is_meant(match: Match, request: Request) -> bool:
    """Return True if a match holds but for the API that it names."""
    anywhere = evolve(match, hosts=None, providers=None, shapes=None, housekeeping=None, besides=())
    return anywhere.accepts(request.facts)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_never_silent(name: str) -> None:
    """If it lets a request pass that it is meant for but for its API, it says what would work."""
    preset = preset_named(name)
    if not _rule_set(name).has(Stage.ANSWER):
        return  # it is for connections, before there is a request
    for request in REQUESTS:
        fired, told = _decided(name, request)
        if fired:
            assert not told or preset.rules[1:], request
        elif any(_is_meant(rule.match, request) for rule in (*preset.rules, *preset.elsewhere)):
            assert told, request
            assert any(re.search(r"\b(use|has|cuts|are)\b", why) for why in told), told


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says_of_other_apis_is_said_of_those_alone(name: str) -> None:
    """Where one of its rules is for the API, nothing is said in its place."""
    preset = preset_named(name)
    limited = all(rule.match.providers or rule.match.shapes for rule in preset.rules)
    every_api = {
        (each.api, each.shape)
        for each in REQUESTS
        if any(rule.match.names_api(each.api, each.shape) for rule in preset.rules)
    } == {(each.api, each.shape) for each in REQUESTS}
    assert bool(preset.elsewhere) == (limited and not every_api)
    for rule in preset.elsewhere:
        for request in REQUESTS:
            theirs = any(each.match.names_api(request.api, request.shape) for each in preset.rules)
            assert not (theirs and rule.match.accepts_route(request.facts)), request


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("generativelanguage.googleapis.com/v1/models/m:streamGenerateContent", "comes whole"),
        ("localhost/api/chat", "comes whole"),
        ("api.mistral.ai/v1/chat/completions", "comes whole"),
        ("bedrock-runtime.x.amazonaws.com/model/m/invoke-with-response-stream", "coded text"),
        ("example.com/orders", "not known"),
    ],
)
def test_tool_calls_that_are_not_cut(target: str, why: str) -> None:
    """The reason is the API's own, and a request without tools gets none."""
    host, _, path = target.partition("/")
    head = RequestHead(b"POST", b"/" + path.encode(), ())
    body = {"stream": True, "tools": TOOLS}
    request = Request(Facts(host, 443, head, json.dumps(body).encode()), "", "")
    fired, told = _decided("tool-json-cut", request)
    assert not fired
    assert why in told[0]
    del body["tools"]
    request = Request(Facts(host, 443, head, json.dumps(body).encode()), "", "")
    assert _decided("tool-json-cut", request) == (False, [])
