"""How Anthropic's API words its failures."""

from __future__ import annotations

import json
from typing import Any

from faultinject.http.message import standard_phrase
from faultinject.providers.anthropic.headers import LIMITS
from faultinject.providers.documents import compact, filled, message_of
from faultinject.providers.shape import FAKE_MODEL, Failure, Fields

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
TYPES = frozenset(_ERROR_TYPES.values())
"""The types of errors that the API has."""

_REASONS = {
    413: "Request Entity Too Large",  # the phrase until RFC 9110 renamed it
    # Not registered (it is the API's own). How it is phrased on the HTTP/1.1 wire is not
    # verified; clients get the words of the error's message.
    529: "Overloaded",
}


def reason_phrase(status: int) -> str:
    """Return the reason phrase of a status; "Error" if there is none."""
    return _REASONS.get(status) or standard_phrase(status)


def error_type(status: int) -> str:
    """Return the API's error type for a status; for others the general one of its class."""
    fallback = "invalid_request_error" if 400 <= status < 500 else "api_error"
    return _ERROR_TYPES.get(status, fallback)


def error_body(status: int) -> bytes:
    """Return the error document of a status, compact as the API sends it.

    Its message says that it is simulated, because the rule gave no words.
    """
    error = {"type": error_type(status), "message": f"Simulated error: {reason_phrase(status)}"}
    document = {"type": "error", "error": error}
    return json.dumps(document, separators=(",", ":")).encode()


_MESSAGES = {
    "invalid_request_error": "prompt is too long: 205351 tokens > 200000 maximum",
    "authentication_error": "invalid x-api-key",
    "billing_error": "Billing error",
    # The words of the documentation's table; that they are the message is not verified.
    "permission_error": "Your API key does not have permission to use the specified resource.",
    "not_found_error": "model: {model}",
    "request_too_large": "Request exceeds the maximum size",
    "rate_limit_error": "This request would exceed your account's rate limit. Please try again"
    " later.",
    "api_error": "Internal server error",
    "timeout_error": "Request timeout",
    "overloaded_error": "Overloaded",
}
_NOT_FOUND = "The requested resource could not be found."
"""For a request without a model (the documentation's example)."""
_EXHAUSTED = (
    "This request would exceed the rate limit for your organization ({organization_id}) of"
    " {limit} {family} per minute. For details, refer to:"
    " https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for current"
    " usage. Please reduce the prompt length or the maximum tokens requested, or try again later."
    " You may also contact sales at https://www.anthropic.com/contact-sales to discuss your"
    " options for a rate limit increase."
)


def failure_document(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the error document of a failure, in the API's own words."""
    kind = failure.error_type or error_type(failure.status)
    words = message_of(failure, fields, _message(kind, failure, fields))
    details = {} if failure.details is None else {"details": dict(failure.details)}
    error = {"type": kind, "message": words, **details}
    return {"type": "error", "error": error, "request_id": fields.request_id}


def _message(kind: str, failure: Failure, fields: Fields) -> str:
    limit = LIMITS.get(failure.exhausted or "")
    if kind == "rate_limit_error" and limit is not None:
        family = str(failure.exhausted).replace("-", " ")
        return filled(_EXHAUSTED, fields, limit=f"{limit:,}", family=family)
    if kind == "not_found_error" and fields.model == FAKE_MODEL:
        return _NOT_FOUND
    return _MESSAGES.get(kind, reason_phrase(failure.status))


def failure_body(failure: Failure, fields: Fields) -> bytes:
    """Return the same document as bytes."""
    return compact(failure_document(failure, fields))


FAILURES = {
    "overloaded": Failure(529),
    "rate-limited": Failure(429, exhausted="input-tokens", retry_after_seconds=2),
    "throttled": Failure(429),
    "spend-cap": Failure(
        429,
        message="You have reached your API usage limits: your organization has crossed its"
        " monthly API usage threshold, set based on your organization's API tier. You will regain"
        " access on {next_month} at 00:00 UTC.",
        details={"error_code": "enforced_spend_limit_reached"},
    ),
    "own-spend-limit": Failure(
        400,
        message="You have reached your specified API usage limits. You will regain access on"
        " {next_month} at 00:00 UTC.",
    ),
    "auth-expired": Failure(401),
    "credit-empty": Failure(
        400,
        message="Your credit balance is too low to access the Anthropic API. Please go to Plans &"
        " Billing to upgrade or purchase credits.",
    ),
    "prompt-too-long": Failure(400),
    "no-prefill": Failure(
        400,
        message="This model does not support assistant message prefill. The conversation must end"
        " with a user message.",
    ),
    "unknown-model": Failure(404),
    "forbidden": Failure(403),
    "server-error": Failure(500),
    "timeout": Failure(504),
}
"""Errors by name."""
