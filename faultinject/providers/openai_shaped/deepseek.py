"""DeepSeek: Chat Completions, the older completions, and Anthropic's Messages.

https://api-docs.deepseek.com/quick_start/error_codes; docs/providers/deepseek.md says of each
message whether it is documented, captured or not verified.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from faultinject.http.message import Headers
from faultinject.providers import generic
from faultinject.providers.documents import compact, uuid
from faultinject.providers.framing.sse import comment
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
    spoken,
)
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

__all__ = ["PROVIDER"]

KEEP_ALIVE = comment("keep-alive")
"""What comes while a request for a stream waits for a machine."""
EMPTY_LINES = b"\n\n"
"""What comes while any other request waits (https://api-docs.deepseek.com/quick_start/rate_limit)."""
_CODE = "invalid_request_error"

VOCABULARY = Vocabulary(
    {
        401: UsualError(
            "Authentication Fails, Your api key: ****xxxx is invalid", "authentication_error", _CODE
        ),
        402: UsualError("Insufficient Balance", "unknown_error", _CODE),
        429: UsualError("Rate limit reached", "rate_limit_error", "rate_limit_error"),
        500: UsualError("Internal server error", "server_error", "server_error"),
        503: UsualError(
            "Service is too busy. We advise users to temporarily switch to alternative LLM API"
            " service providers.",
            "service_unavailable_error",
            "service_unavailable_error",
        ),
    },
    client=UsualError("", _CODE, _CODE),
    server=UsualError("", "server_error", "server_error"),
)


def error_of(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the value of ``error``: OpenAI's members, whose type and code differ."""
    said = VOCABULARY.error(failure, fields)
    return {
        "message": said.message,
        "type": said.error_type,
        "param": failure.param,
        "code": said.code,
    } | dict(failure.details or {})


def _error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure. At Anthropic's path it has Anthropic's form."""
    if spoken(fields) == "messages":
        return as_anthropic(VOCABULARY, failure, fields)
    return compact({"error": error_of(failure, fields)})


def _draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw the fields of an answer. Its id is written without dashes."""
    fields = generic.draw_fields(uniform, now_seconds, request)
    return evolve(fields, request_id=fields.request_id.replace("-", ""))


def _identity_headers(fields: Fields, status: int) -> Headers:
    del status
    return ((b"x-ds-trace-id", fields.request_id.encode()),)


# Answers


def _usage(request: ApiRequest) -> dict[str, Any]:
    usage = chat.usage_of(request)
    cache = {"prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": usage["prompt_tokens"]}
    return usage | cache


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    """Return a document behind empty lines, as one that the request had to wait for."""
    base = chat.begun(request, fields, uuid(uniform()))
    return EMPTY_LINES + compact(
        chat.completion(base, request, uniform) | {"usage": _usage(request)}
    )


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    base = chat.begun_chunk(request, fields, uuid(uniform()))
    made = chat.counted_chunks(base, request, uniform, _usage(request))
    return [KEEP_ALIVE, *chat.encoded(made)]


_NO_CREDIT = Failure(402)
_TOO_LONG = Failure(
    400,
    message="This model's maximum context length is 131072 tokens. However, you requested 135168"
    " tokens (131072 in the messages, 4096 in the completion). Please reduce the length of the"
    " messages or completion.",
)
FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429),
    "spend-cap": _NO_CREDIT,
    "credit-empty": _NO_CREDIT,
    "auth-expired": Failure(401),
    "prompt-too-long": _TOO_LONG,
    "too-large": _TOO_LONG,
    "unknown-model": Failure(400, message="Model Not Exist"),
    "not-valid": Failure(422),
    "server-error": Failure(500),
}

PROVIDER = OpenAiShaped(
    name="deepseek",
    hosts=("api.deepseek.com",),
    draw_fields=_draw_fields,
    error_type=VOCABULARY.error_type,
    error_body=_error_body,
    request_id_header=b"x-ds-trace-id",
    identity_headers=_identity_headers,
    retry_headers=lambda _: (),
    shapes=(
        chat_shape(
            chat.stream(
                {
                    "finish": chat.as_last_chunk("insufficient_system_resource"),
                    "data": chat.as_data(error_of),
                },
                _minimal_stream,
                KEEP_ALIVE,
            ),
            _minimal_response,
        ),
        MESSAGES,
        OTHER,
    ),
    failures=FAILURES,
    examples=examples("/chat/completions", messages_path="/anthropic/v1/messages"),
)
"""DeepSeek."""
