"""Reads ``match``: which requests a rule is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from faultinject.authority import TargetPattern
from faultinject.config.rules.rule_values import header_tests, json_tests, number_tests, text_tests
from faultinject.matchers import AnyOf, JsonMatcher, JsonPath
from faultinject.providers.known import PROVIDERS, SHAPES
from faultinject.reading.node import Node
from faultinject.reading.shown import one_line
from faultinject.rules.match import Match, Named

Found = TypeVar("Found")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


def read_match(node: Node) -> Match:
    """Return the match. Raises `SettingsError`."""
    found = node.read(_READERS, "an object of conditions, as in {path: /v1/messages}")
    return Match(**{_FIELDS.get(key, key): value for key, value in found.items()})


def _hosts(node: Node) -> tuple[TargetPattern, ...]:
    return tuple(_host(item) for item in node.filled_items())


def _host(node: Node) -> TargetPattern:
    text = node.text("a host, as in api.example.com, *.example.com or api.example.com:443")
    if "@" in text:  # what stands before it may be a password
        raise node.problem("it contains an '@'; write the host alone, without user and password")
    try:
        return TargetPattern.parse(text)
    except ValueError as error:
        raise node.problem(str(error)) from None


def _methods(node: Node) -> tuple[str, ...]:
    return tuple(_method(item) for item in node.filled_items())


def _method(node: Node) -> str:
    text = node.text("a method, as in POST")
    if not _TOKEN.fullmatch(text):
        raise node.wrong("a method, as in POST")
    return text.upper()


def _providers(node: Node) -> tuple[str, ...]:
    names = [provider.name for provider in PROVIDERS]
    return tuple(item.word(*names) for item in node.filled_items())


def _shapes(node: Node) -> tuple[str, ...]:
    return tuple(item.word(*SHAPES) for item in node.filled_items())


def _path(node: Node) -> AnyOf:
    for item in node.filled_items():
        text = item.text("a path, as in /v1/messages or /v1/*")
        if not text.startswith(("/", "*", "?", "[")):
            raise item.wrong(f"a path; paths begin with a slash, as in /{one_line(text[:40])}")
        if "?" in text and "=" in text:
            raise item.wrong("a path alone; test parameters with query: {name: value}")
    return text_tests(node)


def _client(node: Node) -> AnyOf:
    return text_tests(node, any_case=True)


def _headers(node: Node) -> tuple[Named, ...]:
    found = []
    for name, field in node.members("an object of header names and tests").items():
        if not _TOKEN.fullmatch(name):
            raise field.problem("it is not a header name (RFC 9110)")
        found.append(Named(name.lower(), header_tests(field)))
    return tuple(_some(node, found))


def _query(node: Node) -> tuple[Named, ...]:
    members = node.members("an object of parameters and tests, as in {alt: sse}")
    return tuple(_some(node, [Named(name, header_tests(item)) for name, item in members.items()]))


def _json(node: Node) -> tuple[JsonMatcher, ...]:
    members = node.members("an object of paths and tests, as in {max_tokens: {above: 1000}}")
    return tuple(_some(node, [json_test(path, item) for path, item in members.items()]))


def json_test(path: str, node: Node) -> JsonMatcher:
    """Return the test of a JSON value at a path."""
    try:
        return JsonMatcher(JsonPath.parse(path), json_tests(node))
    except ValueError as error:
        raise node.problem(str(error)) from None


def _some(node: Node, found: list[Found]) -> list[Found]:
    if not found:
        raise node.problem("it is empty; give at least one test")
    return found


def _tools(node: Node) -> AnyOf | bool:
    return node.value if isinstance(node.value, bool) else text_tests(node)


_READERS: dict[str, Callable[[Node], Any]] = {
    "host": _hosts,
    "method": _methods,
    "path": _path,
    "provider": _providers,
    "shape": _shapes,
    "model_call": Node.flag,
    "housekeeping": Node.flag,
    "query": _query,
    "header": _headers,
    "client": _client,
    "json": _json,
    "model": text_tests,
    "stream": Node.flag,
    "tools": _tools,
    "attempt": number_tests,
}
_FIELDS = {"host": "hosts", "method": "methods", "header": "headers", "provider": "providers",
           "shape": "shapes"}  # fmt: skip
MATCH_KEYS = tuple(_READERS)
"""The keys of ``match``."""
