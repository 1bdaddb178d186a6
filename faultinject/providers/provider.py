"""What there is to know of an API in order to fail as it does: the value `Provider` and its parts.

A provider is data and small functions. Whatever looks random in an answer (ids, padding) is drawn
from a `Uniform` that is handed in, and the time is handed in too, so that the same draws give the
same bytes.
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
"""Statuses below 500 that say "not now": RFC 9110 section 15.5.9, RFC 8470, RFC 6585."""
_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{0,9})?")
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def is_transient(head: ResponseHead, statuses: frozenset[int] = TRANSIENT) -> bool:
    """Return True if an answer is a failure that may be over at the next attempt.

    ``statuses`` are those below 500 that the API calls so; all from 500 on are.
    """
    told = find_header(head.headers, b"x-should-retry")
    if told in (b"true", b"false"):
        return told == b"true"
    return head.status in statuses or head.status >= 500


def asked_wait_seconds(head: ResponseHead, now_seconds: float) -> float:
    """Return how long an answer asks its client to wait; 0 if it does not.

    ``now_seconds`` is the Unix time.
    """
    milliseconds = _number(find_header(head.headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = find_header(head.headers, b"retry-after")
    seconds = _number(told)
    if seconds is not None:
        return seconds
    try:
        when = datetime.strptime((told or b"").decode("latin-1"), _DATE).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - now_seconds)


def _number(text: bytes | None) -> float | None:
    return None if text is None or not _NUMBER.fullmatch(text) else float(text)


Uniform = Callable[[], float]
"""Returns the next random number, from 0 up to and not including 1."""
_LONGEST_MODEL = 1000
"""In characters: a stream may have the model's name in each of its events."""
FAKE_MODEL = "fake-model"
"""What a made answer says is the model, if the request names none."""


@frozen
class Asked:
    """What an answer depends on in its request."""

    path: str
    """Without the query."""
    document: Any = field(default=None, repr=False)
    """The body as a JSON value, or None if it is none."""
    host: str = "localhost"
    query: str = field(default="", repr=False)
    """What stands behind the path's question mark."""
    shape: Shape | None = field(default=None, repr=False)
    """What is spoken at the path; None for what has its model and whether it is streamed in its
    body, as most have."""

    @property
    def model(self) -> str:
        """The model that the request names, to be named in the answer."""
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
        """Return a value of the request's document; None if there is none of that key."""
        return self.document.get(key) if isinstance(self.document, dict) else None


def model_in_body(asked: Asked) -> str | None:
    """Return the model that a request's body names."""
    model = asked.get("model")
    return model if isinstance(model, str) else None


def stream_in_body(asked: Asked) -> bool:
    """Return True if a request's body asks for a stream."""
    return asked.get("stream") is True


@frozen
class Fields:
    """What differs from one answer to the next: drawn once for an answer, used all over it."""

    now_seconds: float
    """Unix time."""
    request_id: str
    ray_id: str
    """Cloudflare's number of the request, 16 hexadecimal digits."""
    processing_ms: int
    """How long the API says it took, in milliseconds."""
    organization_id: str
    project_id: str
    """What the API calls a part of an organization: a workspace, a project."""
    host: str = "localhost"
    model: str = FAKE_MODEL
    """`FAKE_MODEL` if the request names none: errors in the API's words then name none either."""
    asked: Asked | None = field(default=None, repr=False)
    """The request, for APIs whose errors depend on it."""


@frozen
class Failure:
    """An error in an API's terms. What is None has the API's own value for the status."""

    status: int = 500
    """In a stream it chooses the type and the message, and is not sent."""
    error_type: str | None = None
    message: str | None = None
    """May hold the names of `Fields` in braces."""
    code: str | None = None
    """Only where the API has one (OpenAI)."""
    param: str | None = None
    """Only where the API has one (OpenAI)."""
    details: Mapping[str, Any] | None = None
    """More members of the error, where the API has a place for them."""
    exhausted: str | None = None
    """Which rate limit is exhausted, in the API's word for it (``input-tokens``)."""
    retry_after_seconds: float | None = None


@frozen
class ErrorPage:
    """An answer that something in front of the API gives: a gateway or an edge."""

    name: str
    status: int
    reason: str
    content_type: str
    body: Callable[[Fields], bytes] = field(repr=False)
    headers: Callable[[Fields], Headers] = field(repr=False)
    """All but Date, Content-Type, and what frames the body."""
    evidence: str
    """Where the bytes are known from, in one line."""


@frozen
class Usage:
    """The tokens that an answer says it took; None where it says nothing."""

    input_tokens: int | None
    output_tokens: int | None


class Progress(Protocol):
    """What has passed of one stream, so that it can be ended as its API would end it there."""

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""

    @property
    def usage(self) -> Usage | None:
        """The tokens told so far."""

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return the API's error within a stream; the stream then ends properly after it.

        ``form`` is one of the shape's `error_forms`, or empty for the first of them.
        """

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return the events that end the message here as if the limit of tokens were reached.

        Empty if there is no message to end: it has not begun, or it has ended.
        """


def media_type(head: ResponseHead) -> str:
    """Return the media type of a response, in lower case; empty if it has none."""
    value = find_header(head.headers, b"content-type") or b""
    return value.partition(b";")[0].strip().lower().decode("latin-1")


FRAMINGS = {
    kind: framing for framing in (SSE, NDJSON, AWS_EVENT_STREAM) for kind in framing.content_types
}
"""How streams are written that can be told by their media type."""


def framing_of(head: ResponseHead) -> Framing | None:
    """Return how a response's stream is written, by its media type; None if it is no stream."""
    return FRAMINGS.get(media_type(head))


def tail_of(head: ResponseHead) -> Tail | None:
    """Return what remembers the last event of a response; None if it is no stream."""
    framing = framing_of(head)
    return None if framing is None or framing.tail is None else framing.tail()


_UNKNOWN = frozenset({"application/json-seq", "multipart/x-mixed-replace"})
"""Media types of streams whose form is not known here."""


@frozen
class StreamShape:
    """How an API writes one kind of stream."""

    framing: Framing
    is_terminator: Callable[[StreamEvent], bool] = field(repr=False)
    """Says of an event whether it is the last of a whole stream."""
    progress: Callable[[], Progress] = field(repr=False)
    minimal: Callable[[Asked, Fields, Uniform], list[bytes]] = field(repr=False)
    """Makes the smallest valid stream for a request, event by event."""
    error_forms: tuple[str, ...] = ("data",)
    """The forms in which an error may come within the stream; the first is the usual one."""
    ping: bytes | None = None
    """What the API sends while it has nothing to say; None if it sends nothing."""
    content_type: str = "text/event-stream; charset=utf-8"


@frozen
class Shape:
    """What is spoken at some paths: the form of a request, its response and its stream."""

    name: str
    """The rules' word for it. Several APIs may speak what is alike."""
    paths: re.Pattern[str] = field(repr=False)
    minimal_response: Callable[[Asked, Fields, Uniform], bytes] = field(repr=False)
    """Makes the smallest valid document for a request."""
    streams: tuple[StreamShape, ...] = field(repr=False)
    """How a stream may be written; the first is the usual way."""
    usage: Callable[[Any], Usage | None] = field(repr=False)
    """Reads the tokens that a whole response (a JSON value) took."""
    is_streamed: Callable[[Asked], bool] = field(default=stream_in_body, repr=False)
    model: Callable[[Asked], str | None] = field(default=model_in_body, repr=False)
    stream_for: Callable[[Asked], int] = field(default=lambda _: 0, repr=False)
    """Which of `streams` a request asks for."""

    @property
    def stream(self) -> StreamShape:
        """The usual stream."""
        return self.streams[0]

    def stream_asked(self, asked: Asked) -> StreamShape:
        """Return the form of stream that a request asks for."""
        return self.streams[self.stream_for(asked)]

    def stream_of(self, head: ResponseHead, asked: Asked) -> StreamShape | None:
        """Return how a response's stream is written; None if it is no stream that is known."""
        kind = media_type(head)
        if head.status != 200 or not kind:
            return None
        found = [each for each in self.streams if kind in each.framing.content_types]
        # JSON is a stream only if the request asked for one.
        return found[0] if found and (kind != "application/json" or asked.stream) else None

    def unknown_stream(self, head: ResponseHead, asked: Asked) -> str | None:
        """Return the media type of a response that is a stream in a form that is not known here.

        None if it is no stream, or one that is known.
        """
        kind = media_type(head)
        is_stream = head.status == 200 and (kind in FRAMINGS or kind in _UNKNOWN)
        return kind if is_stream and self.stream_of(head, asked) is None else None

    def ends_with(self, event: StreamEvent | None) -> bool:
        """Return True if an event is the last of a whole stream."""
        return event is not None and any(each.is_terminator(event) for each in self.streams)


@frozen
class Provider:
    """One API."""

    name: str
    hosts: tuple[str, ...]
    """Its hosts, in lower case; in one that is a pattern, ``*`` stands for any text. The first may
    serve as an example."""
    paths: re.Pattern[str]
    """Its paths that no other API is known to have; on any host they are taken for its own."""
    draw_fields: Callable[[Uniform, float, Asked], Fields] = field(repr=False)
    """Draws the fields of one answer, given the Unix time in seconds; always as many draws."""
    reason_phrase: Callable[[int], str] = field(repr=False)
    error_type: Callable[[int], str] = field(repr=False)
    error_body: Callable[[Failure, Fields], bytes] = field(repr=False)
    error_content_type: str
    request_id_header: bytes | None
    """In lower case; None if the API has none. In a stream's error the id is the one that the
    stream's head has here."""
    identity_headers: Callable[[Fields, int], Headers] = field(repr=False)
    """Headers that say who answered and under which id, for a status: on every answer of the
    API's own."""
    rate_limit_headers: Callable[[Failure, Fields], Headers] = field(repr=False)
    """Headers of the rate limits, those of `Failure.exhausted` with nothing left."""
    retry_headers: Callable[[Failure], Headers] = field(repr=False)
    """Headers that tell a client whether and when to try again."""
    shapes: tuple[Shape, ...] = field(repr=False)
    """What it speaks. The last is for all paths that no other has."""
    failures: Mapping[str, Failure] = field(repr=False)
    """Errors of the API's own by name."""
    pages: Mapping[str, ErrorPage] = field(repr=False)
    """Answers of what stands in front of the API, by name."""
    transient: frozenset[int] = TRANSIENT
    """Statuses below 500 that are worth another attempt."""
    model_calls: re.Pattern[str] | None = None
    """The paths at which a POST asks a model to generate; None if they are not known."""
    housekeeping: re.Pattern[str] | None = None
    """The paths of the API's host at which clients send telemetry, read settings and the like,
    which is no use of the API; None if nothing is known of the API."""

    def kind(self, method: str, path: str) -> Kind:
        """Return what a request to the API is for. CORS preflights are not told here.

        HEAD, OPTIONS and ``GET /`` are housekeeping: clients send them to see whether the host is
        there. All that is not known to be housekeeping is a call of the API.
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
        """Return True if the API calls an answer transient or throttled: trying again may help."""
        return is_transient(head, self.transient)

    @cached_property
    def _host_pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(fnmatch.translate(host) for host in self.hosts) or "(?!)")

    def has_host(self, host: str) -> bool:
        """Return True if a host (in lower case) is the API's own."""
        return self._host_pattern.fullmatch(host) is not None

    def has_shape(self, path: str) -> bool:
        """Return True if it is known what the API speaks at a path."""
        return any(shape.paths.fullmatch(path) for shape in self.shapes[:-1])

    def shape_of(self, path: str) -> Shape:
        """Return what the API speaks at a path."""
        known = (shape for shape in self.shapes[:-1] if shape.paths.fullmatch(path))
        return next(known, self.shapes[-1])

    def asked(self, path: str, document: Any, host: str, query: str = "") -> Asked:
        """Return what a response to a request depends on.

        ``document`` is its body as a JSON value; what is no object counts as none.
        """
        body = document if isinstance(document, dict) else None
        return Asked(path, body, host, query, self.shape_of(path))

    def error_headers(self, failure: Failure, fields: Fields) -> Headers:
        """Return all headers of an error but Date, Content-Type, and what frames the body."""
        limits: Headers = ()
        if failure.exhausted is not None:
            limits = self.rate_limit_headers(failure, fields)
        return (
            *self.retry_headers(failure),
            *limits,
            *self.identity_headers(fields, failure.status),
        )
