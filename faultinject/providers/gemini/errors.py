"""How Google's APIs word their failures (https://google.aip.dev/193).

The documents are indented. What a client may wait for stands in ``details``: no ``Retry-After`` and
no headers of limits were seen in captures.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers.documents import indented, message_of
from faultinject.providers.shape import Failure, Fields

_TYPES = "type.googleapis.com/google.rpc."
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""https://ai.google.dev/gemini-api/docs/generate-content/api-errors; those that it does not have
are of ``google.rpc.Code``."""

_MESSAGES = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login"
    " cookie or other valid authentication credential. See"
    " https://developers.google.com/identity/sign-in/web/devconsole-project.",
    402: "Your prepayment credits are depleted.",
    403: "The caller does not have permission",
    404: "models/{model} is not found for API version v1, or is not supported for generateContent."
    " Call ListModels to see the list of available models and their supported methods.",
    429: "Resource has been exhausted (e.g. check quota).",
    500: "An internal error has occurred. Please retry or report in"
    " https://developers.generativeai.google/guide/troubleshooting",
    503: "The model is overloaded. Please try again later.",
    504: "The request timed out. Please try again.",
}

QUOTA = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
"""The limit that is exhausted, if the failure names none."""


def error_type(status: int) -> str:
    """Return Google's name for a status; the general one of its class for others."""
    return _STATUSES.get(status) or ("FAILED_PRECONDITION" if status < 500 else "UNKNOWN")


def failure_document(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the error document of a failure, which is the same in a stream.

    ``failure.code`` is the reason of an ``ErrorInfo``; ``failure.exhausted`` is the quota's metric.
    """
    default = _MESSAGES.get(failure.status) or standard_phrase(failure.status)
    error: dict[str, Any] = {
        "code": failure.status,
        "message": message_of(failure, fields, default),
        "status": failure.error_type or error_type(failure.status),
    }
    if details := list(_details(failure)):
        error["details"] = details
    return {"error": error | dict(failure.details or {})}


def _details(failure: Failure) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if failure.code is not None:
        domain = {"domain": "googleapis.com", "metadata": {"service": QUOTA.partition("/")[0]}}
        found.append({"@type": f"{_TYPES}ErrorInfo", "reason": failure.code} | domain)
    if failure.exhausted is not None:
        metric = QUOTA if failure.exhausted == "requests" else failure.exhausted
        quota = {"quotaMetric": metric, "quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}
        found.append({"@type": f"{_TYPES}QuotaFailure", "violations": [quota]})
    if failure.retry_after_seconds is not None:
        delay = f"{failure.retry_after_seconds:.9f}".rstrip("0").rstrip(".") + "s"
        found.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": delay})
    return found


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document as it is sent.

    To a request for a stream that is no stream of events it is an array of one (captured).
    """
    document, request = failure_document(failure, fields), fields.request
    as_array = request is not None and request.stream and "alt=sse" not in request.query
    return indented([document] if as_array else document)


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return what Google's front end adds to each response; there is no id of the request."""
    del status
    return (
        (b"Vary", b"Origin"),
        (b"Vary", b"X-Origin"),
        (b"Vary", b"Referer"),
        (b"Server", b"scaffolding on HTTPServer2"),
        (b"X-XSS-Protection", b"0"),
        (b"X-Frame-Options", b"SAMEORIGIN"),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Server-Timing", b"gfet4t7; dur=%d" % fields.processing_ms),
        (b"Alt-Svc", b'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000'),
    )


_SPENT = "Your project has exceeded its monthly spending cap. Please try again next month."
FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429, exhausted="requests", retry_after_seconds=2),
    "spend-cap": Failure(429, message=_SPENT),
    "credit-empty": Failure(402),
    "auth-expired": Failure(
        400, code="API_KEY_INVALID", message="API key not valid. Please pass a valid API key."
    ),
    "too-large": Failure(
        400,
        message="The input token count (1200000) exceeds the maximum number of tokens allowed"
        " (1048576).",
    ),
    "unknown-model": Failure(404),
    "server-error": Failure(500),
    "timeout": Failure(504),
}
VERTEX_FAILURES = FAILURES | {
    "rate-limited": Failure(
        429,
        message="Resource exhausted. Please try again later. Please refer to"
        " https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.",
    ),
    "auth-expired": Failure(401),
}
"""Vertex has tokens in place of keys, and does not say how long to wait (captured)."""
