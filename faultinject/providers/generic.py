"""Any other HTTP API: problem details (RFC 9457), and streams of server-sent events.

What an unknown API sends is not known. So this follows standards: problem details, ``Retry-After``
(RFC 9110 section 10.2.3), and the draft of headers for rate limits
(draft-ietf-httpapi-ratelimit-headers-10). Request ids and errors within a stream have no standard,
so they look as in many APIs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from attrs import define

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers import gateway
from faultinject.providers.documents import compact, event, message_of, pieces, uuid
from faultinject.providers.framing import Framing, StreamEvent, aws_event_stream, ndjson
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.framing.ndjson import NDJSON
from faultinject.providers.framing.sse import SSE, comment
from faultinject.providers.gateway.cloudflare import ray_id
from faultinject.providers.provider import Provider
from faultinject.providers.shape import (
    ApiRequest,
    Failure,
    Fields,
    Shape,
    StreamShape,
    Uniform,
    Usage,
)

_LIMIT = 100
_PERIOD_SECONDS = 60
_TEXT = "This answer was made by faultinject — nobody was asked."


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw the fields of an answer of an API that has no ids of a form of its own."""
    return Fields(
        now_seconds=now_seconds,
        request_id=uuid(uniform()),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 180),
        organization_id="",
        project_id="",
        host=request.host,
        model=request.model,
        request=request,
    )


# Errors


def _error_type(status: int) -> str:
    """Return the problem type that means the same as the status (RFC 9457 section 4.2.1)."""
    del status
    return "about:blank"


def _problem(failure: Failure, fields: Fields) -> dict[str, Any]:
    problem = {
        "type": failure.error_type or _error_type(failure.status),
        "title": standard_phrase(failure.status),
        "status": failure.status,
    }
    if failure.message is not None:
        problem["detail"] = message_of(failure, fields, "")
    # Other members are allowed next to those of the RFC (section 3.2).
    return problem | {"request_id": fields.request_id} | dict(failure.details or {})


def _error_body(failure: Failure, fields: Fields) -> bytes:
    return compact(_problem(failure, fields))


def _identity_headers(fields: Fields, status: int) -> Headers:
    del status
    return ((b"X-Request-Id", fields.request_id.encode()),)


def _rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    del fields
    again = failure.retry_after_seconds
    seconds = _PERIOD_SECONDS if again is None else math.ceil(again)
    remaining = _LIMIT - 1 if failure.exhausted is None else 0
    return (
        (b"RateLimit-Policy", b'"default";q=%d;w=%d' % (_LIMIT, _PERIOD_SECONDS)),
        (b"RateLimit", b'"default";r=%d;t=%d' % (remaining, seconds)),
    )


def retry_headers(failure: Failure) -> Headers:
    """Return the time to wait in whole seconds (RFC 9110 section 10.2.3)."""
    if failure.retry_after_seconds is None:
        return ()
    return ((b"Retry-After", b"%d" % math.ceil(failure.retry_after_seconds)),)


# Streams


Write = Callable[[Any, str], bytes]
"""Writes a document as one event with a name. Not every framing has names."""


@define(eq=False, repr=False)
class _GenericProgress:
    """What has passed of a stream: nothing is known that would help to end it."""

    write: Write
    usage: Usage | None = None

    def observe(self, event: StreamEvent) -> None:
        """Take note of an event that was passed on."""

    def error(self, failure: Failure, fields: Fields, uniform: Uniform, form: str = "") -> bytes:
        """Return a problem as an event called ``error``. Not verified: there is no standard."""
        del uniform, form
        return self.write(_problem(failure, fields), "error")

    def end_early(self, uniform: Uniform) -> list[bytes]:
        """Return nothing, because it is unknown how such a message ends."""
        del uniform
        return []


def _stream(framing: Framing, write: Write, ping: bytes | None, content_type: str) -> StreamShape:
    def minimal(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
        del request, fields, uniform
        numbered = enumerate(pieces(_TEXT))
        return [write({"number": number, "text": word}, "") for number, word in numbered]

    return StreamShape(
        framing,
        is_terminator=lambda event: event.data == b"[DONE]",
        progress=lambda: _GenericProgress(write),
        minimal=minimal,
        error_forms=("event",),
        ping=ping,
        content_type=content_type,
    )


def _frame(document: Any, name: str) -> bytes:
    headers = ((":event-type", name or "chunk"), (":content-type", "application/json"),
               (":message-type", "event"))  # fmt: skip
    return aws_event_stream.encode(headers, compact(document))


_STREAMS = (
    _stream(
        SSE,
        lambda document, name: event(document, name or None),
        comment("ping"),
        "text/event-stream; charset=utf-8",
    ),
    _stream(
        NDJSON, lambda document, _: ndjson.encode(compact(document)), None, "application/x-ndjson"
    ),
    _stream(AWS_EVENT_STREAM, _frame, None, "application/vnd.amazon.eventstream"),
)
"""Many APIs end a stream with ``[DONE]``, so that is taken as the end."""


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    del request, fields, uniform
    return compact({"text": _TEXT})


SHAPE = Shape(
    name="plain",
    paths=re.compile(r".*", re.DOTALL),
    minimal_response=_minimal_response,
    streams=_STREAMS,
    usage=lambda _: None,
    ends_early=False,
)
"""Any form. Streams are recognised by their media type."""


PROVIDER = Provider(
    name="plain",
    hosts=(),
    paths=re.compile(r".*", re.DOTALL),
    draw_fields=draw_fields,
    error_type=_error_type,
    error_body=_error_body,
    error_content_type="application/problem+json",
    request_id_header=b"x-request-id",
    identity_headers=_identity_headers,
    rate_limit_headers=_rate_limit_headers,
    retry_headers=retry_headers,
    shapes=(SHAPE,),
    failures={
        "rate-limited": Failure(429, exhausted="requests", retry_after_seconds=2),
        "auth-expired": Failure(401),
        "too-large": Failure(413),
        "server-error": Failure(500),
        "overloaded": Failure(503),
        "timeout": Failure(504),
    },
    pages=gateway.CLOUDFLARE_AND_ENVOY,
)
"""An unknown API."""
