"""Mistral: Chat Completions, fill-in-the-middle and agents.

https://docs.mistral.ai; docs/providers/mistral.md says of each message whether it is documented,
captured or not verified.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import Headers
from faultinject.providers.documents import HEXADECIMAL, compact, identifier
from faultinject.providers.gateway.cloudflare import cloudflare_headers
from faultinject.providers.openai import chat
from faultinject.providers.openai_shaped.usual import (
    OTHER,
    OpenAiShaped,
    UsualError,
    Vocabulary,
    chat_shape,
    examples,
)
from faultinject.providers.provider import TRANSIENT
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

__all__ = ["PROVIDER"]

_INVALID, _SERVER = "invalid_request_error", "server_error"
VOCABULARY = Vocabulary(
    {
        401: UsualError("Unauthorized", "authentication_error"),
        402: UsualError("You have reached your spending limit.", _INVALID),
        429: UsualError("Requests rate limit exceeded", "rate_limit_error"),
        500: UsualError("Internal server error", _SERVER),
        503: UsualError("Service unavailable.", _SERVER),
    },
    client=UsualError("", _INVALID),
    server=UsualError("", _SERVER),
)
_MISSING = {"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}


def error_of(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the error document of a failure. That of a 422 has a message with parts."""
    said = VOCABULARY.error(failure, fields)
    is_plain = failure.status != 422 or failure.message is not None
    return {
        "object": "error",
        "message": said.message if is_plain else {"detail": [_MISSING]},
        "type": said.error_type,
        "param": failure.param,
        "code": said.code,
    } | dict(failure.details or {})


def _error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document; a 401 without words of its own is the gateway's."""
    if failure.status == 401 and failure.message is None and failure.error_type is None:
        return compact({"detail": "Unauthorized"})
    return compact(error_of(failure, fields))


# Headers

_REQUESTS, _TOKENS, _COST = 60, 500_000, 1_000


def _identity_headers(fields: Fields, status: int) -> Headers:
    del status
    return ((b"mistral-correlation-id", fields.request_id.encode()), *cloudflare_headers(fields))


def _rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limits of a minute, and how many tokens the request cost."""
    del fields
    requests = 0 if failure.exhausted == "requests" else _REQUESTS - 1
    tokens = _TOKENS - _COST if failure.exhausted in (None, "requests") else 0
    return (
        (b"x-ratelimit-limit-req-minute", b"%d" % _REQUESTS),
        (b"x-ratelimit-remaining-req-minute", b"%d" % requests),
        (b"x-ratelimit-limit-tokens-minute", b"%d" % _TOKENS),
        (b"x-ratelimit-remaining-tokens-minute", b"%d" % tokens),
        (b"x-ratelimit-tokens-query-cost", b"%d" % _COST),
    )


# Answers


def _id(uniform: Uniform) -> str:
    return identifier("", uniform(), 32, HEXADECIMAL)


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    return compact(chat.completion(chat.begun(request, fields, _id(uniform)), request, uniform))


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return a stream with the usage in its last chunk. The call of a function comes whole."""
    base = chat.begun_chunk(request, fields, _id(uniform))
    *made, last = chat.chunks(base, request, uniform, whole_call=True)
    return chat.encoded([*made, last | {"usage": chat.usage_of(request)}])


_SPENT = Failure(402)
_TOO_LONG = Failure(
    400,
    message="Prompt contains 131073 tokens, too large for model with 131072 maximum context length",
    code="3051",
)
FAILURES = {
    "overloaded": Failure(
        429,
        error_type="service_tier_capacity_exceeded",
        message="Service tier capacity exceeded for this model.",
        code="3505",
    ),
    "unavailable": Failure(503),
    "rate-limited": Failure(429, exhausted="requests", retry_after_seconds=2),
    "spend-cap": _SPENT,
    "credit-empty": _SPENT,
    "auth-expired": Failure(401),
    "prompt-too-long": _TOO_LONG,
    "too-large": _TOO_LONG,
    "unknown-model": Failure(
        400, error_type="invalid_model", message="Invalid model: {model}", code="1500"
    ),
    "not-valid": Failure(422),
    "server-error": Failure(500),
    "timeout": Failure(504),
}

PROVIDER = OpenAiShaped(
    name="mistral",
    hosts=(
        "api.mistral.ai",
        "api.eu.mistral.ai",
        "api.us.mistral.ai",
        "codestral.mistral.ai",
    ),
    error_type=VOCABULARY.error_type,
    error_body=_error_body,
    request_id_header=b"mistral-correlation-id",
    identity_headers=_identity_headers,
    rate_limit_headers=_rate_limit_headers,
    shapes=(
        chat_shape(
            chat.stream(
                {"finish": chat.as_last_chunk("error"), "data": chat.as_data(error_of)},
                _minimal_stream,
                whole_calls=True,
            ),
            _minimal_response,
        ),
        OTHER,
    ),
    failures=FAILURES,
    examples=examples("/v1/chat/completions"),
    transient=TRANSIENT,
)
"""Mistral."""
