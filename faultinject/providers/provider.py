"""`Provider`: what one must know of an API to fail like it.

A provider is data and small functions. What is random in an answer (ids, padding) is drawn from a
`Uniform` that the caller passes, like the time, so that the same draws give the same bytes.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from faultinject.events import Kind
from faultinject.http.message import Headers, ResponseHead, standard_phrase
from faultinject.providers.shape import (
    ApiRequest,
    Failure,
    Fields,
    Shape,
    Uniform,
)

TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that mean "not now": RFC 9110 section 15.5.9, RFC 8470, RFC 6585."""
REMEMBERED = 64
LONGEST_PATH = 200
"""So many paths of so many characters are remembered of each API, at most."""
NOTHING = re.compile(r"(?!)")
"""For an API that has no path of its own, or whose clients ask for nothing beside the API."""


def is_transient(head: ResponseHead, statuses: frozenset[int] = TRANSIENT) -> bool:
    """Return True if an answer is a failure that may be over at the next attempt.

    ``statuses`` are those below 500 that count as such. All statuses from 500 on do.
    """
    should_retry = head.find(b"x-should-retry")
    if should_retry in (b"true", b"false"):
        return should_retry == b"true"
    return head.status in statuses or head.status >= 500


def known_account(status: int) -> bool:
    """Return True for a status that follows the check of the key: limits are an account's."""
    return status != 401


@frozen(eq=False, repr=False)
class ErrorPage:
    """An answer of something in front of the API: a gateway or an edge."""

    name: str
    status: int
    reason: str
    content_type: str
    body: Callable[[Fields], bytes]
    headers: Callable[[Fields], Headers]
    """All headers except Date, Content-Type, and those that frame the body."""
    evidence: str
    """How the bytes are known, in one line."""


@frozen(eq=False, repr=False)
class Example:
    """A request to an API, to which a response can be shown."""

    path: str
    document: Mapping[str, Any]
    """Its body, without a model and whether it is streamed."""
    query: str = ""
    streamed: bool | None = None
    """Whether it is for a stream; None if its body says so."""


EXAMPLE_MESSAGES = [{"role": "user", "content": "What is the weather in Oslo?"}]
EXAMPLE_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
EXAMPLE_FUNCTION = {"name": "weather", "parameters": EXAMPLE_SCHEMA}


def _no_headers(*_: object) -> Headers:
    return ()


@frozen(kw_only=True)
class Provider:
    """One API. What has a default is so with most."""

    name: str
    told_as: str | None = None
    """The API as which a host speaks, if the user told that."""
    hosts: tuple[str, ...]
    """Its hosts, in lower case. In a pattern ``*`` matches any text. The first is used in
    examples."""
    paths: re.Pattern[str] = NOTHING
    """The paths that only this API has. On any host they mean this API."""
    draw_fields: Callable[[Uniform, float, ApiRequest], Fields] = field(repr=False)
    """Draws the fields of one answer, given the Unix time in seconds. The number of draws is
    fixed."""
    reason_phrase: Callable[[int], str] = field(default=standard_phrase, repr=False)
    error_type: Callable[[int], str] = field(repr=False)
    error_body: Callable[[Failure, Fields], bytes] = field(repr=False)
    error_content_type: str = "application/json"
    request_id_header: bytes | None = None
    """In lower case; None if the API has none. A stream's error has the id of this header."""
    identity_headers: Callable[[Fields, int], Headers] = field(default=_no_headers, repr=False)
    """Returns the headers with the API's identity and the request id, which every answer of the API
    has."""
    rate_limit_headers: Callable[[Failure, Fields], Headers] = field(
        default=_no_headers, repr=False
    )
    """Returns the headers of the rate limits. Of `Failure.exhausted` nothing is left."""
    retry_headers: Callable[[Failure], Headers] = field(default=_no_headers, repr=False)
    """Returns the headers that say whether and when to try again."""
    shapes: tuple[Shape, ...] = field(repr=False)
    """Its shapes. The last is for all paths that no other has."""
    failures: Mapping[str, Failure] = field(repr=False)
    """The API's own errors, by name."""
    pages: Mapping[str, ErrorPage] = field(repr=False)
    """Answers of what is in front of the API, by name."""
    tells_limits: Callable[[int], bool] = field(default=lambda _: False, repr=False)
    """Whether an answer with a status tells of the rate limits although none is exhausted."""
    examples: tuple[Example, ...] = field(default=(), repr=False)
    """Requests that show what it sends."""
    transient: frozenset[int] = TRANSIENT
    """Statuses below 500 that are worth another attempt."""
    model_calls: re.Pattern[str] | None = None
    """The paths at which a POST asks a model to generate; None if they are unknown."""
    housekeeping: re.Pattern[str] | None = None
    """The paths at which clients send telemetry, read settings and the like, without using the API;
    None if they are unknown."""
    _shape_at: dict[str, Shape] = field(factory=dict, init=False, eq=False, repr=False)
    """What `shape_of` has found of the latest paths."""

    def kind(self, method: str, path: str) -> Kind:
        """Return what a request to the API is for. CORS preflights are not recognised here.

        HEAD, OPTIONS and ``GET /`` are housekeeping: clients send them to check the host. All that
        is not known to be housekeeping is a call of the API.
        """
        if self.housekeeping is None:
            return "api"
        if method in ("HEAD", "OPTIONS") or (method == "GET" and path == "/"):
            return "housekeeping"
        if method == "POST" and self.model_calls and self.model_calls.fullmatch(path):
            return "model"
        # A gateway may have an API's paths below one of these.
        if self.housekeeping.fullmatch(path) and not self.paths.fullmatch(path):
            return "housekeeping"
        return "api"

    def is_transient(self, head: ResponseHead) -> bool:
        """Return True if another attempt may help, because an answer is transient or throttled."""
        return is_transient(head, self.transient)

    @cached_property
    def _host_pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(fnmatch.translate(host) for host in self.hosts) or "(?!)")

    @property
    def example_host(self) -> str:
        """One of its hosts."""
        return self.hosts[0].replace("*", "example") if self.hosts else "api.example.com"

    def has_host(self, host: str) -> bool:
        """Return True if a host (in lower case) is the API's own."""
        return self._host_pattern.fullmatch(host) is not None

    def has_shape(self, path: str) -> bool:
        """Return True if the API's shape at a path is known."""
        return any(shape.paths.fullmatch(path) for shape in self.shapes[:-1])

    def shape_of(self, path: str) -> Shape:
        """Return the API's shape at a path."""
        shape = self._shape_at.get(path)
        if shape is None:
            known = (each for each in self.shapes[:-1] if each.paths.fullmatch(path))
            shape = next(known, self.shapes[-1])
            if len(path) <= LONGEST_PATH:
                if len(self._shape_at) >= REMEMBERED:
                    self._shape_at.clear()
                self._shape_at[path] = shape
        return shape

    @property
    def title(self) -> str:
        """Its name in sentences."""
        return self.name if self.told_as is None else f"a host told to be ={self.told_as}"

    def why_no_failure(self, name: str) -> str | None:
        """Return that the API has no failure of a name, and which it has; None if it has it."""
        if name in self.failures:
            return None
        return f"{self.title} has no failure {name}; it has {', '.join(sorted(self.failures))}"

    def api_request(self, path: str, document: Any, host: str, query: str = "") -> ApiRequest:
        """Return the parts of a request that a response depends on.

        ``document`` is its body as a JSON value. What is not an object counts as None.
        """
        body = document if isinstance(document, dict) else None
        return ApiRequest(path, body, host, query, self.shape_of(path))

    def error_headers(self, failure: Failure, fields: Fields) -> Headers:
        """Return an error's headers except Date, Content-Type, and those that frame the body."""
        limits: Headers = ()
        if failure.exhausted is not None or self.tells_limits(failure.status):
            limits = self.rate_limit_headers(failure, fields)
        return (
            *self.retry_headers(failure),
            *limits,
            *self.identity_headers(fields, failure.status),
        )
