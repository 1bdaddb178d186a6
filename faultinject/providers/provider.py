"""What there is to know of an API in order to fail as it does: the value `Provider` and its parts.

A provider is data and small functions. Whatever looks random in an answer (ids, padding) is drawn
from a `Uniform` that is handed in, and the time is handed in too, so that the same draws give the
same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from attrs import field, frozen

from faultinject.events import Kind
from faultinject.http.message import Headers, ResponseHead, find_header
from faultinject.providers.framing import Decoder, StreamEvent

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

    @property
    def model(self) -> str:
        """The model that the request names, to be named in the answer."""
        model = self.get("model")
        named = isinstance(model, str) and len(model) <= _LONGEST_MODEL
        return model if named else FAKE_MODEL

    @property
    def stream(self) -> bool:
        """Whether the request wants its answer as a stream."""
        return self.get("stream") is True

    def get(self, key: str) -> Any:
        """Return a value of the request's document; None if there is none of that key."""
        return self.document.get(key) if isinstance(self.document, dict) else None


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


@frozen
class StreamShape:
    """How an API writes one kind of stream."""

    name: str
    decoder: Callable[[], Decoder] = field(repr=False)
    is_terminator: Callable[[StreamEvent], bool] = field(repr=False)
    """Says of an event whether it is the last of a whole stream."""
    progress: Callable[[], Progress] = field(repr=False)
    minimal: Callable[[Asked, Fields, Uniform], list[bytes]] = field(repr=False)
    """Makes the smallest valid stream for a request, event by event."""
    error_forms: tuple[str, ...]
    """The forms in which an error may come within the stream; the first is the usual one."""
    ping: bytes | None = None
    """What the API sends while it has nothing to say; None if it sends nothing."""
    content_type: str = "text/event-stream; charset=utf-8"

    def ends_with(self, last: bytes | None) -> bool:
        """Return True if an event, given by how it begins, is the last of a whole stream."""
        pieces = self.decoder().feed(last or b"")
        return any(piece.is_event and self.is_terminator(piece) for piece in pieces)


@frozen
class Provider:
    """One API."""

    name: str
    hosts: tuple[str, ...]
    """Its hosts, in lower case."""
    paths: re.Pattern[str]
    """Its paths that no other API is known to have; on any host they are taken for its own."""
    draw_fields: Callable[[Uniform, float, Asked], Fields] = field(repr=False)
    """Draws the fields of one answer, given the Unix time in seconds; always as many draws."""
    reason_phrase: Callable[[int], str] = field(repr=False)
    error_type: Callable[[int], str] = field(repr=False)
    error_body: Callable[[Failure, Fields], bytes] = field(repr=False)
    error_content_type: str
    request_id_header: bytes
    """In lower case. In a stream's error the id is the one that the stream's head has here."""
    identity_headers: Callable[[Fields, int], Headers] = field(repr=False)
    """Headers that say who answered and under which id, for a status: on every answer of the
    API's own."""
    rate_limit_headers: Callable[[Failure, Fields], Headers] = field(repr=False)
    """Headers of the rate limits, those of `Failure.exhausted` with nothing left."""
    retry_headers: Callable[[Failure], Headers] = field(repr=False)
    """Headers that tell a client whether and when to try again."""
    shape: Callable[[str], StreamShape] = field(repr=False)
    """The shape of the streams of a path; the plain one where none is known."""
    minimal_response: Callable[[Asked, Fields, Uniform], bytes] = field(repr=False)
    """Makes the smallest valid document for a request."""
    usage: Callable[[Any], Usage | None] = field(repr=False)
    """Reads the tokens that a whole answer (a JSON value) took."""
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

    def recognises(self, host: str, path: str) -> bool:
        """Return True if a request to a host (lower case) and a path (no query) is for this API."""
        return self.paths.fullmatch(path) is not None or host in self.hosts

    def stream_kind(self, path: str, head: ResponseHead) -> StreamShape | None:
        """Return the shape of an answer's stream; None if the answer is no stream."""
        if head.status != 200 or not is_event_stream(head):
            return None
        return self.shape(path)

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


def is_event_stream(head: ResponseHead) -> bool:
    """Return True if a response is a stream of server-sent events, by its Content-Type."""
    value = find_header(head.headers, b"content-type") or b""
    return value.partition(b";")[0].strip().lower() == b"text/event-stream"


_STREAMS = frozenset({
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/stream+json", "application/json-seq", "application/vnd.amazon.eventstream",
})  # fmt: skip
"""Content types of streams that are not of server-sent events: Ollama's, Amazon Bedrock's, …"""


def unknown_stream(head: ResponseHead, path: str) -> str | None:
    """Return the content type of an answer that is a stream in a form that is not known.

    None if it is no stream, or one of server-sent events. Gemini's answer to
    ``:streamGenerateContent`` is a JSON array, piece by piece, unless events are asked for.
    """
    value = find_header(head.headers, b"content-type") or b""
    kind = value.partition(b";")[0].strip().lower().decode("latin-1")
    of_gemini = kind == "application/json" and path.endswith(":streamGenerateContent")
    return kind if head.status == 200 and (kind in _STREAMS or of_gemini) else None
