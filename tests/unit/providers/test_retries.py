"""What an error says about another attempt."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.http.message import ResponseHead
from faultinject.providers.known import provider_for
from faultinject.providers.retries import asked_wait, failure_kind, should_retry

ANTHROPIC = provider_for("api.anthropic.com", "/v1/messages")
NOW = 1_800_000_000.0


def head(status: int, *headers: tuple[bytes, bytes]) -> ResponseHead:
    """Return the head of an answer."""
    return ResponseHead(status, b"X", headers)


def error(**members: Any) -> dict[str, Any]:
    """Return an error's body."""
    return {"error": members}


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (529, None, "transient"),
        (500, "text", "transient"),
        (408, None, "transient"),
        (409, None, "transient"),
        (429, None, "throttled"),
        (429, error(message="Your limit per day", type="rate_limit_error"), "throttled"),
        (429, error(code="insufficient_quota"), "quota"),
        (429, error(details={"error_code": "enforced_spend_limit_reached"}), "quota"),
        (429, error(details=[{"violations": [{"quotaId": "RequestsPerDayPerModel"}]}]), "quota"),
        (429, error(details=[{"violations": [{"quotaId": "RequestsPerMinute"}]}]), "throttled"),
        (429, error(details=[{"violations": 3}, 4]), "throttled"),
        (400, error(message="Your credit balance is too low"), "quota"),
        (402, None, "quota"),
        (429, {"code": "x", "error": "Your team has used all available credits"}, "quota"),
        (429, {"code": "x", "error": "Too many requests"}, "throttled"),
        (400, error(message="bad", type="invalid_request_error", code=7), "final"),
        (401, None, "final"),
        (404, {"error": "text"}, "final"),
        (429, {"error": 5}, "throttled"),
        (501, None, "final"),
    ],
)
def test_kind_of_a_failure(status: int, document: Any, kind: str) -> None:
    """The body's own word goes before the status."""
    assert failure_kind(ANTHROPIC, head(status), document) == kind


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (529, b"false", "final"),
        (400, b"true", "transient"),
        (429, b"true", "throttled"),
        (529, b"perhaps", "transient"),
    ],
)
def test_x_should_retry_decides(status: int, told: bytes, kind: str) -> None:
    """It goes before all else."""
    answer = head(status, (b"X-Should-Retry", told))
    assert failure_kind(ANTHROPIC, answer, None) == kind
    assert should_retry(answer) is {b"true": True, b"false": False}.get(told)


@pytest.mark.parametrize(
    ("headers", "document", "wait"),
    [
        ([], None, None),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], None, (1.5, "retry-after-ms")),
        ([(b"retry-after", b"0")], None, (0.0, "retry-after")),
        ([(b"retry-after", b"soon")], None, None),
        (
            [(b"retry-after", b"Fri, 15 Jan 2027 08:00:30 GMT")],
            None,
            (30.0, "retry-after-date"),
        ),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:00:00 GMT")], None, (0.0, "retry-after-date")),
        ([(b"x-amz-retry-after", b"250")], None, (0.25, "x-amz-retry-after")),
        ([], error(details=[{"retryDelay": "34.5s"}]), (34.5, "retry-info")),
        ([], error(details=[{"retryDelay": "soon"}, {}]), None),
        ([], {"error": "text"}, None),
    ],
)
def test_wait_asked_for(
    headers: list[tuple[bytes, bytes]], document: Any, wait: tuple[float, str] | None
) -> None:
    """None is "it does not say", 0 is "at once"."""
    assert asked_wait(head(429, *headers), document, NOW) == wait
