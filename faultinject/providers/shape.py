"""`Shape`: what an API speaks at some of its paths, and what its requests and failures are made of.

What is random in a response (ids, padding) is drawn from a `Uniform` that the caller passes, like
the time, so that the same draws give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from attrs import frozen

from faultinject.http.message import ResponseHead
from faultinject.providers.framing import Framing, StreamEvent, Tail
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.framing.ndjson import NDJSON
from faultinject.providers.framing.sse import SSE

Uniform = Callable[[], float]
"""Returns the next random number, from 0 up to and not including 1."""
_LONGEST_MODEL = 1000
"""The longest name that is repeated, in characters. A stream may have it in each event."""
FAKE_MODEL = "fake-model"
"""The model in a synthetic answer, if the request names none."""


@frozen(eq=False, repr=False)
class ApiRequest:
    """The parts of a request that an answer depends on."""

    path: str
    """The path without the query."""
    document: Any = None
    """The body as a JSON object, or None."""
    host: str = "localhost"
    query: str = ""
    """The text after the path's question mark."""
    shape: Shape | None = None
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


@frozen(eq=False, repr=False)
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
    request: ApiRequest | None = None
    """The request, for APIs whose errors depend on it."""


@frozen(eq=False, repr=False)
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
    return _media_type(head.find(b"content-type") or b"")


@lru_cache(maxsize=64)
def _media_type(value: bytes) -> str:
    return value.partition(b";")[0].strip().lower().decode("latin-1")


FRAMINGS = {
    kind: framing for framing in (SSE, NDJSON, AWS_EVENT_STREAM) for kind in framing.content_types
}
"""The framings of streams, by media type."""


def framing_of(head: ResponseHead) -> Framing | None:
    """Return the framing of a response, by its media type; None if it is not a stream."""
    return _framing(head.find(b"content-type") or b"")


@lru_cache(maxsize=64)
def _framing(value: bytes) -> Framing | None:
    return FRAMINGS.get(_media_type(value))


def tail_of(head: ResponseHead) -> Tail | None:
    """Return a tail for a response; None if it is not a stream, or its framing has none."""
    framing = framing_of(head)
    return None if framing is None or framing.tail is None else framing.tail()


_UNKNOWN = frozenset({"application/json-seq", "multipart/x-mixed-replace"})
"""Media types of streams whose form is unknown here."""


@frozen(eq=False, repr=False)
class StreamShape:
    """How an API writes one kind of stream."""

    framing: Framing
    is_terminator: Callable[[StreamEvent], bool]
    """Returns True for an event that is the last of a complete stream."""
    progress: Callable[[], Progress]
    minimal: Callable[[ApiRequest, Fields, Uniform], list[bytes]]
    """Makes the smallest valid stream for a request, event by event."""
    error_forms: tuple[str, ...] = ("data",)
    """The forms of an error within the stream. The first is the usual one."""
    ping: bytes | None = None
    """What the API sends to keep a stream open; None if it sends nothing."""
    whole_calls_at: str | None = None
    """Where the one event that has all tool calls, whole, has the arguments of the first (as in a
    rule's ``where``); None if calls come in pieces, in several events, or it is not known."""
    content_type: str = "text/event-stream; charset=utf-8"


@frozen(eq=False, repr=False)
class Shape:
    """The form of requests, responses and streams at some of an API's paths."""

    name: str
    """Its name in rules. Several APIs may have one shape."""
    paths: re.Pattern[str]
    minimal_response: Callable[[ApiRequest, Fields, Uniform], bytes]
    """Makes the smallest valid document for a request."""
    streams: tuple[StreamShape, ...]
    """The forms of its streams. The first is the usual one."""
    usage: Callable[[Any], Usage | None]
    """Reads the tokens that a complete response (a JSON value) reports."""
    is_streamed: Callable[[ApiRequest], bool] = stream_in_body
    model: Callable[[ApiRequest], str | None] = model_in_body
    stream_for: Callable[[ApiRequest], int] = lambda _: 0
    """Which of `streams` a request asks for."""

    ends_early: bool = True
    """Whether it is known how a message ends at the limit of tokens."""

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
