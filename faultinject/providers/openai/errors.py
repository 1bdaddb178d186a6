"""How OpenAI's API words its failures.

Codes: https://platform.openai.com/docs/guides/error-codes; docs/providers/openai.md says of each
message whether it is documented, captured or not verified.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from faultinject.http.message import standard_phrase
from faultinject.providers.documents import filled, indented
from faultinject.providers.openai.headers import duration, exhausted, wait_seconds
from faultinject.providers.shape import FAKE_MODEL, Failure, Fields


@frozen(eq=False, repr=False)
class _Words:
    """The usual error of a status."""

    error_type: str
    code: str | None
    message: str
    without_model: str = ""
    """The message for a request without a model, if it differs. Not verified."""


_RATE_LIMITED = (
    " in organization {organization_id} on {limit}. Please try again in {wait}. Visit"
    " https://platform.openai.com/account/rate-limits to learn more."
)
_WORDS = {
    400: _Words(
        "invalid_request_error",
        None,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't"
        " using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was"
        " sent was not valid JSON. If you have trouble figuring out how to fix this, please contact"
        " us through our help center at help.openai.com.)",
    ),
    401: _Words(
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-***. You can find your API key at"
        " https://platform.openai.com/account/api-keys.",
    ),
    403: _Words(
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: _Words(
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
        "The model does not exist or you do not have access to it.",
    ),
    429: _Words(
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached for {model}" + _RATE_LIMITED,
        "Rate limit reached for requests" + _RATE_LIMITED,
    ),
    500: _Words(
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    503: _Words(
        "service_unavailable_error",
        "server_is_overloaded",
        "Our servers are currently overloaded. Please try again later.",
    ),
}


def error_type(status: int) -> str:
    """Return the API's error type for a status; for others the general one of its class."""
    return _words(status).error_type


def _words(status: int) -> _Words:
    kind = "invalid_request_error" if 400 <= status < 500 else "server_error"
    return _WORDS.get(status) or _Words(kind, None, standard_phrase(status))


def failure_error(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the error that is in an error document, and in a stream's error.

    A failure with a type of its own does not get the code of another.
    """
    words = _words(failure.status)
    if failure.status == 429:
        words = evolve(words, error_type=exhausted(failure).kind)
    own = failure.error_type not in (None, words.error_type)
    return {
        "message": _message(words, failure, fields),
        "type": failure.error_type or words.error_type,
        "param": failure.param,
        "code": failure.code or (None if own else words.code),
        **(failure.details or {}),
    }


def _message(words: _Words, failure: Failure, fields: Fields) -> str:
    """Return the failure's own message, or the usual one with its limit's numbers."""
    if failure.message is not None:
        return filled(failure.message, fields)
    text = (fields.model == FAKE_MODEL and words.without_model) or words.message
    if failure.status != 429:
        return filled(text, fields)
    wait = duration(wait_seconds(failure))
    return filled(text, fields, limit=exhausted(failure).words, wait=wait)


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure, indented as the API sends it. It has no id."""
    return indented({"error": failure_error(failure, fields)})


_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more"
    " information on this error, read the docs:"
    " https://platform.openai.com/docs/guides/error-codes/api-errors."
)

FAILURES = {
    "overloaded": Failure(503),
    "slow-down": Failure(
        429,
        error_type="rate_limit_error",
        code="slow_down",
        message="Our servers are currently overloaded. Please try again later.",
    ),
    "rate-limited": Failure(429, exhausted="tokens", retry_after_seconds=2),
    "spend-cap": Failure(
        429, error_type="insufficient_quota", code="insufficient_quota", message=_QUOTA
    ),
    "credit-empty": Failure(
        429, error_type="insufficient_quota", code="credit_balance_exhausted", message=_QUOTA
    ),
    "auth-expired": Failure(401),
    "prompt-too-long": Failure(
        400,
        code="context_length_exceeded",
        param="messages",
        message="This model's maximum context length is 128000 tokens. However, your messages"
        " resulted in 131072 tokens. Please reduce the length of the messages.",
    ),
    "unknown-model": Failure(404),
    "forbidden": Failure(403),
    "server-error": Failure(500),
    "timeout": Failure(504),
}
"""Errors by name."""
