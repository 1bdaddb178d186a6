"""Problem details and the other standards for APIs that are not known."""

from __future__ import annotations

import json
import uuid
from typing import Any

from faultinject.providers.generic import PROVIDER, SHAPE
from faultinject.providers.shape import Failure
from tests.unit.providers.support import documents_of, events_of, fields_of, uniform

FIELDS = fields_of(PROVIDER)


def problem(failure: Failure) -> dict[str, Any]:
    """Return the problem of a failure."""
    document: dict[str, Any] = json.loads(PROVIDER.error_body(failure, FIELDS))
    return document


def test_a_problem_that_says_no_more_than_its_status() -> None:
    """Its title is the status's phrase (RFC 9457 section 4.2.1)."""
    assert problem(Failure(503)) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "request_id": FIELDS.request_id,
    }
    assert PROVIDER.error_content_type == "application/problem+json"
    assert uuid.UUID(FIELDS.request_id).version == 4


def test_a_problem_of_ones_own() -> None:
    """It has a type, a detail, and members of its own."""
    failure = Failure(
        403, error_type="/problems/credit", message="for {host}", details={"balance": 30}
    )
    found = problem(failure)
    assert found["type"] == "/problems/credit"
    assert found["detail"] == "for localhost"
    assert found["balance"] == 30


def test_limits() -> None:
    """The fields are structured (draft-ietf-httpapi-ratelimit-headers)."""
    headers = dict(PROVIDER.error_headers(Failure(429, exhausted="requests"), FIELDS))
    assert headers[b"RateLimit-Policy"] == b'"default";q=100;w=60'
    assert headers[b"RateLimit"] == b'"default";r=0;t=60'
    limited = Failure(429, exhausted="requests", retry_after_seconds=2)
    headers = dict(PROVIDER.error_headers(limited, FIELDS))
    assert headers[b"RateLimit"] == b'"default";r=0;t=2'
    assert headers[b"Retry-After"] == b"2"


def test_a_stream() -> None:
    """It is numbered events; pings are comments; the end is nobody's business."""
    pieces = SHAPE.stream.minimal(None, FIELDS, uniform())  # type: ignore[arg-type]
    assert [document["number"] for document in documents_of(*pieces)] == list(range(len(pieces)))
    assert SHAPE.stream.ping == b": ping\n\n"
    assert SHAPE.stream.is_terminator(events_of(b"data: [DONE]\n\n")[0])
    assert SHAPE.usage({"usage": {"input_tokens": 1}}) is None
