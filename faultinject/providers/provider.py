"""`Provider`: what one must know of an API to fail like it.

A provider is data and small functions. What is random in an answer (ids, padding) is drawn from a
`Uniform` that the caller passes, like the time, so that the same draws give the same bytes.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from attrs import field, frozen

from faultinject.events import Kind
from faultinject.http.message import Headers, ResponseHead, find_header
from faultinject.providers.framing import Framing, StreamEvent, Tail
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.framing.ndjson import NDJSON
from faultinject.providers.framing.sse import SSE

TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that mean "not now": RFC 9110 section 15.5.9, RFC 8470, RFC 6585."""
_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{0,9})?")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def is_transient(head: ResponseHead, statuses: frozenset[int] = TRANSIENT) -> bool:
    """Return True if an answer is a failure that may be over at the next attempt.

    ``statuses`` are those below 500 that count as such. All statuses from 500 on do.
    """
    should_retry = find_header(head.headers, b"x-should-retry")
    if should_retry in (b"true", b"false"):
        return should_retry == b"true"
    return head.status in statuses or head.status >= 500


def asked_wait_seconds(head: ResponseHead, now_seconds: float) -> float:
    """Return how long an answer asks its client to wait; 0 if it does not.

    ``now_seconds`` is the Unix time.
    """
    milliseconds = _number(find_header(head.headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    retry_after = find_header(head.headers, b"retry-after")
    seconds = _number(retry_after)
    if seconds is not None:
        return seconds
    try:
        when = datetime.strptime((retry_after or b"").decode("latin-1"), _DATE).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - now_seconds)


def _number(text: bytes | None) -> float | None:
    return None if text is None or not _NUMBER.fullmatch(text) else float(text)


Uniform = Callable[[], float]
"""Returns the next random number, from 0 up to and not including 1."""
_LONGEST_MODEL = 1000
"""The longest name that is repeated, in characters. A stream may have it in each event."""
FAKE_MODEL = "fake-model"
"""The model in a synthetic answer, if the request names none."""


@frozen
class ApiRequest:
    """The parts of a request that an answer depends on."""

    path: str
    """The path without the query."""
    document: Any = field(default=None, repr=False)
    """The body as a JSON object, or None."""
    host: str = "localhost"
    query: str = field(default="", repr=False)
    """The text after the path's question mark."""
    shape: Shape | None = field(default=None, repr=False)
    """The form of requests at the path. None for the usual form, with the model and ``stream`` in
    the body."""

    @property
    def model(self) -> str:
        """The model for the answer: the one that the request names, or `FAKE_MODEL`."""
        model = self.named_model
        return FAKE_MODEL if model is None or len(model) > _LONGEST_MODEL else model

    @property
    def named_model(self) -> str | None:
        """The model that the request names; None if it names none."""
        return model_in_body(self) if self.shape is None else self.shape.model(self)

    @property
    def stream(self) -> bool:
        """Whether the request wants its answer as a stream."""
        return stream_in_body(self) if self.shape is None else self.shape.is_streamed(self)

    def get(self, key: str) -> Any:
        """Return a value of the request's document; None if the key is missing."""
        return self.document.get(key) if isinstance(self.document, dict) else None


def model_in_body(request: ApiRequest) -> str | None:
    """Return the model that a request's body names."""
    model = request.get("model")
    return model if isinstance(model, str) else None


def stream_in_body(request: ApiRequest) -> bool:
    """Return True if a request's body asks for a stream."""
    return request.get("stream") is True


@frozen
class Fields:
    """The values that differ from one answer to the next. They are drawn once for each answer."""

    now_seconds: float
    """Unix time."""
    request_id: str
    ray_id: str
    """Cloudflare's number of the request, 16 hexadecimal digits."""
    processing_ms: int
    """The time that the API reports for processing, in milliseconds."""
    organization_id: str
    project_id: str
    """The id of a part of an organization: a workspace or a project."""
    host: str = "localhost"
    model: str = FAKE_MODEL
    """`FAKE_MODEL` if the request names none. Then the API's errors name none either."""
    request: ApiRequest | None = field(default=None, repr=False)
    """The request, for APIs whose errors depend on it."""


@frozen
class Failure:
    """An error in an API's terms. For a field that is None, the API's own value is used."""

    status: int = 500
    """In a stream it selects the type and the message, but is not sent."""
    error_type: str | None = None
    message: str | None = None
    """It may contain the names of `Fields` in braces."""
    code: str | None = None
    """Only where the API has one (OpenAI)."""
    param: str | None = None
    """Only where the API has one (OpenAI)."""
    details: Mapping[str, Any] | None = None
    """More members of the error, for APIs that have a place for them."""
    exhausted: str | None = None
    """The rate limit that is exhausted, as the API calls it (``input-tokens``)."""
    retry_after_seconds: float | None = None


@frozen
class ErrorPage:
    """An answer of something in front of the API: a gateway or an edge."""

    name: str
    status: int
    reason: str
    content_type: str
    body: Callable[[Fields], bytes] = field(repr=False)
    headers: Callable[[Fields], Headers] = field(repr=False)
    """All headers except Date, Content-Type, and those that frame the body."""
    evidence: str
    """How the bytes are known, in one line."""


@frozen
class Usage:
    """The tokens that an answer reports; None for what it does not report."""

    input_tokens: int | None
    output_tokens: int | None


class Progress(Protocol):
    """Follows one stream, so that it can be ended as its API would end it at that point."""

    def observe(self, event: StreamEvent) -> None:
        """Note an event that was passed on."""

    @property
    def usage(self) -> Usage | None:
        """The tokens that were reported so far."""

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return the API's error within a stream. The stream ends properly after it.

        ``form`` is one of the shape's `error_forms`, or empty for the first of them.
        """

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the events that end the message here, as if the token limit were reached.

        There are none if the message has not begun, or has ended.
        """


def media_type(head: ResponseHead) -> str:
    """Return the media type of a response, in lower case; empty if it has none."""
    value = find_header(head.headers, b"content-type") or b""
    return value.partition(b";")[0].strip().lower().decode("latin-1")


FRAMINGS = {
    kind: framing for framing in (SSE, NDJSON, AWS_EVENT_STREAM) for kind in framing.content_types
}
"""The framings of streams, by media type."""


def framing_of(head: ResponseHead) -> Framing | None:
    """Return the framing of a response, by its media type; None if it is not a stream."""
    return FRAMINGS.get(media_type(head))


def tail_of(head: ResponseHead) -> Tail | None:
    """Return a tail for a response; None if it is not a stream, or its framing has none."""
    framing = framing_of(head)
    return None if framing is None or framing.tail is None else framing.tail()


_UNKNOWN = frozenset({"application/json-seq", "multipart/x-mixed-replace"})
"""Media types of streams whose form is unknown here."""


@frozen
class StreamShape:
    """How an API writes one kind of stream."""

    framing: Framing
    is_terminator: Callable[[StreamEvent], bool] = field(repr=False)
    """Returns True for an event that is the last of a complete stream."""
    progress: Callable[[], Progress] = field(repr=False)
    minimal: Callable[[ApiRequest, Fields, Uniform], list[bytes]] = field(repr=False)
    """Makes the smallest valid stream for a request, event by event."""
    error_forms: tuple[str, ...] = ("data",)
    """The forms of an error within the stream. The first is the usual one."""
    ping: bytes | None = None
    """What the API sends to keep a stream open; None if it sends nothing."""
    content_type: str = "text/event-stream; charset=utf-8"


@frozen
class Shape:
    """The form of requests, responses and streams at some of an API's paths."""

    name: str
    """Its name in rules. Several APIs may have one shape."""
    paths: re.Pattern[str] = field(repr=False)
    minimal_response: Callable[[ApiRequest, Fields, Uniform], bytes] = field(repr=False)
    """Makes the smallest valid document for a request."""
    streams: tuple[StreamShape, ...] = field(repr=False)
    """The forms of its streams. The first is the usual one."""
    usage: Callable[[Any], Usage | None] = field(repr=False)
    """Reads the tokens that a complete response (a JSON value) reports."""
    is_streamed: Callable[[ApiRequest], bool] = field(default=stream_in_body, repr=False)
    model: Callable[[ApiRequest], str | None] = field(default=model_in_body, repr=False)
    stream_for: Callable[[ApiRequest], int] = field(default=lambda _: 0, repr=False)
    """Which of `streams` a request asks for."""

    @property
    def stream(self) -> StreamShape:
        """The usual stream."""
        return self.streams[0]

    def requested_stream(self, request: ApiRequest) -> StreamShape:
        """Return the form of stream that a request asks for."""
        return self.streams[self.stream_for(request)]

    def stream_of(self, head: ResponseHead, request: ApiRequest) -> StreamShape | None:
        """Return the form of a response's stream; None if it is not a stream, or an unknown one."""
        kind = media_type(head)
        if head.status != 200 or not kind:
            return None
        found = [each for each in self.streams if kind in each.framing.content_types]
        # JSON is a stream only if the request asked for one.
        return found[0] if found and (kind != "application/json" or request.stream) else None

    def unknown_stream(self, head: ResponseHead, request: ApiRequest) -> str | None:
        """Return the media type of a response that is a stream in an unknown form.

        None if it is not a stream, or a known one.
        """
        kind = media_type(head)
        is_stream = head.status == 200 and (kind in FRAMINGS or kind in _UNKNOWN)
        return kind if is_stream and self.stream_of(head, request) is None else None

    def ends_with(self, event: StreamEvent | None) -> bool:
        """Return True if an event is the last of a complete stream."""
        return event is not None and any(each.is_terminator(event) for each in self.streams)


@frozen
class Example:
    """A request to an API, to which a response can be shown."""

    path: str
    document: Mapping[str, Any] = field(repr=False)
    """Its body, without a model and whether it is streamed."""
    query: str = ""
    streamed: bool | None = None
    """Whether it is for a stream; None if its body says so."""


EXAMPLE_MESSAGES = [{"role": "user", "content": "What is the weather in Oslo?"}]
EXAMPLE_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
EXAMPLE_FUNCTION = {"name": "weather", "parameters": EXAMPLE_SCHEMA}


@frozen
class Provider:
    """One API."""

    name: str
    hosts: tuple[str, ...]
    """Its hosts, in lower case. In a pattern ``*`` matches any text. The first is used in
    examples."""
    paths: re.Pattern[str]
    """The paths that only this API has. On any host they mean this API."""
    draw_fields: Callable[[Uniform, float, ApiRequest], Fields] = field(repr=False)
    """Draws the fields of one answer, given the Unix time in seconds. The number of draws is
    fixed."""
    reason_phrase: Callable[[int], str] = field(repr=False)
    error_type: Callable[[int], str] = field(repr=False)
    error_body: Callable[[Failure, Fields], bytes] = field(repr=False)
    error_content_type: str
    request_id_header: bytes | None
    """In lower case; None if the API has none. A stream's error has the id of this header."""
    identity_headers: Callable[[Fields, int], Headers] = field(repr=False)
    """Returns the headers with the API's identity and the request id, which every answer of the API
    has."""
    rate_limit_headers: Callable[[Failure, Fields], Headers] = field(repr=False)
    """Returns the headers of the rate limits. Of `Failure.exhausted` nothing is left."""
    retry_headers: Callable[[Failure], Headers] = field(repr=False)
    """Returns the headers that say whether and when to try again."""
    shapes: tuple[Shape, ...] = field(repr=False)
    """Its shapes. The last is for all paths that no other has."""
    failures: Mapping[str, Failure] = field(repr=False)
    """The API's own errors, by name."""
    pages: Mapping[str, ErrorPage] = field(repr=False)
    """Answers of what is in front of the API, by name."""
    examples: tuple[Example, ...] = field(default=(), repr=False)
    """Requests that show what it sends."""
    transient: frozenset[int] = TRANSIENT
    """Statuses below 500 that are worth another attempt."""
    model_calls: re.Pattern[str] | None = None
    """The paths at which a POST asks a model to generate; None if they are unknown."""
    housekeeping: re.Pattern[str] | None = None
    """The paths at which clients send telemetry, read settings and the like, without using the API;
    None if they are unknown."""

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
        return self.hosts[0].replace("*", "us-east-1") if self.hosts else "api.example.com"

    def has_host(self, host: str) -> bool:
        """Return True if a host (in lower case) is the API's own."""
        return self._host_pattern.fullmatch(host) is not None

    def has_shape(self, path: str) -> bool:
        """Return True if the API's shape at a path is known."""
        return any(shape.paths.fullmatch(path) for shape in self.shapes[:-1])

    def shape_of(self, path: str) -> Shape:
        """Return the API's shape at a path."""
        known = (shape for shape in self.shapes[:-1] if shape.paths.fullmatch(path))
        return next(known, self.shapes[-1])

    def api_request(self, path: str, document: Any, host: str, query: str = "") -> ApiRequest:
        """Return the parts of a request that a response depends on.

        ``document`` is its body as a JSON value. What is not an object counts as None.
        """
        body = document if isinstance(document, dict) else None
        return ApiRequest(path, body, host, query, self.shape_of(path))

    def error_headers(self, failure: Failure, fields: Fields) -> Headers:
        """Return an error's headers except Date, Content-Type, and those that frame the body."""
        limits: Headers = ()
        if failure.exhausted is not None:
            limits = self.rate_limit_headers(failure, fields)
        return (
            *self.retry_headers(failure),
            *limits,
            *self.identity_headers(fields, failure.status),
        )
