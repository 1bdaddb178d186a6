"""xAI: Chat Completions, Responses and Anthropic's Messages, with errors of another form.

https://docs.x.ai/developers/debugging; docs/providers/xai.md says of each message whether it is
documented, captured or not verified. Of all APIs here it is the one of which least is known.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import Headers
from faultinject.providers.documents import compact, event, uuid
from faultinject.providers.gateway.cloudflare import cloudflare_headers
from faultinject.providers.openai import chat
from faultinject.providers.openai_shaped.usual import (
    MESSAGES,
    OTHER,
    OpenAiShaped,
    UsualError,
    Vocabulary,
    as_anthropic,
    chat_shape,
    examples,
    responses_shape,
    spoken,
)
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

__all__ = ["PROVIDER"]

TEAM_ID = uuid(1)
_INVALID = "Client specified an invalid argument"
_CREDENTIALS = "The request does not have valid authentication credentials"
_DENIED = "The caller does not have permission to execute the specified operation"
_NOT_FOUND = "Some requested entity was not found"
_EXHAUSTED = "Some resource has been exhausted"
_UNAVAILABLE = "The service is currently unavailable"
_TOO_LATE = "Deadline expired before operation could complete"
"""The words of gRPC's codes as the library tonic has them, two of which were captured
(https://docs.rs/tonic/latest/tonic/enum.Code.html#method.description)."""

VOCABULARY = Vocabulary(
    {
        401: UsualError("Missing or invalid Authorization header", _CREDENTIALS),
        403: UsualError("Forbidden", _DENIED),
        404: UsualError(
            "The model {model} does not exist or your team " + TEAM_ID + " does not have access to"
            " it.",
            _NOT_FOUND,
            without_model="Not Found",
        ),
        429: UsualError(
            "Too many requests for team " + TEAM_ID + " and model {model}.", _EXHAUSTED
        ),
        500: UsualError("Internal error", "Internal error"),
        503: UsualError(
            "The model is currently at capacity. Please try again later.", _UNAVAILABLE
        ),
        504: UsualError("Timed out", _TOO_LATE),
    },
    client=UsualError("", _INVALID),
    server=UsualError("", "Internal error"),
)


def document_of_error(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the error document: two texts. The code is a sentence."""
    said = VOCABULARY.error(failure, fields)
    code = failure.code or said.error_type
    return {"code": code, "error": said.message} | dict(failure.details or {})


def _in_responses(failure: Failure, fields: Fields) -> dict[str, Any]:
    document = document_of_error(failure, fields)
    return {"code": document["code"], "message": document["error"]}


def _error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure. At Anthropic's path it has Anthropic's form."""
    if spoken(fields) == "messages":
        return as_anthropic(VOCABULARY, failure, fields)
    return compact(document_of_error(failure, fields))


def _in_stream(failure: Failure, fields: Fields, _shared: dict[str, Any]) -> bytes:
    return event(document_of_error(failure, fields))


# Headers

_REQUESTS, _TOKENS = 480, 2_000_000


def _identity_headers(fields: Fields, status: int) -> Headers:
    del status
    return ((b"x-request-id", fields.request_id.encode()), *cloudflare_headers(fields))


def _rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limits, which do not say when they are full again."""
    del fields
    requests = 0 if failure.exhausted == "requests" else _REQUESTS - 1
    tokens = _TOKENS - 1_000 if failure.exhausted in (None, "requests") else 0
    return (
        (b"x-ratelimit-limit-requests", b"%d" % _REQUESTS),
        (b"x-ratelimit-remaining-requests", b"%d" % requests),
        (b"x-ratelimit-limit-tokens", b"%d" % _TOKENS),
        (b"x-ratelimit-remaining-tokens", b"%d" % tokens),
    )


# Answers


def _usage(request: ApiRequest) -> dict[str, Any]:
    details = {"completion_tokens_details": {"reasoning_tokens": 0}, "num_sources_used": 0}
    return chat.usage_of(request) | details


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    base = chat.begun(request, fields, uuid(uniform()))
    return compact(chat.completion(base, request, uniform) | {"usage": _usage(request)})


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    base = chat.begun_chunk(request, fields, uuid(uniform()))
    return chat.encoded(chat.counted_chunks(base, request, uniform, _usage(request)))


_SPENT = Failure(
    429,
    message="Your team " + TEAM_ID + " has either used all available credits or reached its monthly"
    " spending limit. To continue making API requests, please purchase more credits or raise your"
    " spending limit.",
)
_TOO_LONG = Failure(
    400,
    message="This model's maximum prompt length is 131072 but the request contains 135168 tokens.",
)
FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429, exhausted="requests"),
    "spend-cap": _SPENT,
    "credit-empty": _SPENT,
    "auth-expired": Failure(
        400,
        message="Incorrect API key provided: xa***. You can obtain an API key from"
        " https://console.x.ai.",
    ),
    "no-key": Failure(401),
    "prompt-too-long": _TOO_LONG,
    "too-large": _TOO_LONG,
    "unknown-model": Failure(404),
    "forbidden": Failure(403),
    "server-error": Failure(500),
    "timeout": Failure(504),
}

PROVIDER = OpenAiShaped(
    name="xai",
    hosts=("api.x.ai", "*.api.x.ai"),
    error_type=VOCABULARY.error_type,
    error_body=_error_body,
    request_id_header=b"x-request-id",
    identity_headers=_identity_headers,
    rate_limit_headers=_rate_limit_headers,
    shapes=(
        chat_shape(chat.stream({"data": _in_stream}, _minimal_stream), _minimal_response),
        responses_shape(_in_responses),
        MESSAGES,
        OTHER,
    ),
    failures=FAILURES,
    examples=examples("/v1/chat/completions", "/v1/responses", "/v1/messages"),
)
"""xAI."""
