"""Reads ``match``: which requests a rule is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from faultinject.authority import TargetPattern
from faultinject.config.rules.rule_values import (
    HEADER_TESTS,
    JSON_TESTS,
    NUMBER_TESTS,
    TEXTS,
    TEXTS_OF_ANY_CASE,
)
from faultinject.matchers import AnyOf, JsonMatcher, JsonPath
from faultinject.providers.known import PROVIDERS, SHAPES
from faultinject.reading.keys import Keys, named
from faultinject.reading.node import Node, read_all
from faultinject.reading.shown import one_line
from faultinject.reading.value import FLAG, Value, by_type, items, text, word
from faultinject.rules.match import Match, Named

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
TOKEN_PATTERN = f"^{_TOKEN.pattern}$"


def _host(node: Node, written: str) -> TargetPattern:
    if "@" in written:  # what stands before it may be a password
        raise node.problem("it contains an '@'; write the host alone, without user and password")
    try:
        return TargetPattern.parse(written)
    except ValueError as error:
        raise node.problem(str(error)) from None


def _method(node: Node, written: str) -> str:
    if not _TOKEN.fullmatch(written):
        raise node.wrong("a method, as in POST")
    return written.upper()


def _check_path(node: Node) -> None:
    written = node.text("a path, as in /v1/messages or /v1/*")
    if not written.startswith(("/", "*", "?", "[")):
        raise node.wrong(f"a path; paths begin with a slash, as in /{one_line(written[:40])}")
    if "?" in written and "=" in written:
        raise node.wrong("a path alone; test parameters with query: {name: value}")


def _paths(node: Node) -> AnyOf:
    read_all(node.filled_items(), _check_path)
    return TEXTS.read(node)


def _header(name: str, node: Node) -> Named:
    if not _TOKEN.fullmatch(name):
        raise node.problem("it is not a header name (RFC 9110)")
    return Named(name.lower(), HEADER_TESTS.read(node))


def _parameter(name: str, node: Node) -> Named:
    return Named(name, HEADER_TESTS.read(node))


def json_test(path: str, node: Node) -> JsonMatcher:
    """Return the test of a JSON value at a path."""
    try:
        return JsonMatcher(JsonPath.parse(path), JSON_TESTS.read(node))
    except ValueError as error:
        raise node.problem(str(error)) from None


_EMPTY = "it is empty; give at least one test"
_KEYS: Mapping[str, Value[Any]] = {
    "host": items(
        text("a host, as in api.example.com, *.example.com or api.example.com:443").then(_host)
    ),
    "method": items(text("a method, as in POST", TOKEN_PATTERN).then(_method)),
    "path": Value(_paths, items(text(pattern=r"^[/*?\[]"))),
    "provider": items(word(*(provider.name for provider in PROVIDERS))),
    "shape": items(word(*SHAPES)),
    "model_call": FLAG,
    "housekeeping": FLAG,
    "query": named(
        _parameter,
        "an object of parameters and tests, as in {alt: sse}",
        HEADER_TESTS,
        none=_EMPTY,
        secret=True,
    ),
    "header": named(
        _header,
        "an object of header names and tests",
        HEADER_TESTS,
        none=_EMPTY,
        names={"pattern": TOKEN_PATTERN},
        secret=True,
    ),
    "client": TEXTS_OF_ANY_CASE,
    "json": named(
        json_test,
        "an object of paths and tests, as in {max_tokens: {above: 1000}}",
        JSON_TESTS,
        none=_EMPTY,
    ),
    "model": TEXTS,
    "stream": FLAG,
    "tools": by_type(TEXTS, boolean=FLAG),
    "attempt": NUMBER_TESTS,
}
_FIELDS = {"host": "hosts", "method": "methods", "header": "headers", "provider": "providers",
           "shape": "shapes"}  # fmt: skip
MATCH_KEYS = tuple(_KEYS)
"""The keys of ``match``."""
ABOUT = {
    "host": "Where the request goes; without it, to the [targets](options.md#which-hosts).",
    "method": "The method.",
    "path": "The path as it was sent, without the query.",
    "provider": "Whose API the request is for, by host and path.",
    "shape": "What is spoken at its path; several APIs speak the same.",
    "model_call": "Whether it is a [call of a model](options.md#housekeeping).",
    "housekeeping": (
        "Whether it is [housekeeping](options.md#housekeeping) or asks for a WebSocket, "
        "and no call of the API."
    ),
    "query": "The query, decoded: its first 1,000 parameters.",
    "header": "The headers.",
    "client": "The client's name (`User-Agent`).",
    "json": "The request's body.",
    "model": "The model that it names.",
    "stream": 'Whether it asks for a streamed response, mostly by `"stream": true` in the body.',
    "tools": "Whether the body has `tools`, or what one of them is called.",
    "attempt": "Which [attempt](#attempts) of its call the request is.",
}
MATCH = Keys(_KEYS, "an object of conditions, as in {path: /v1/messages}", about=ABOUT).into(
    lambda read: Match(**{_FIELDS.get(key, key): value for key, value in read.items()})
)
