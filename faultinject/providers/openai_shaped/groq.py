"""Groq: Chat Completions and Responses, with limits of a day and of a minute.

https://console.groq.com/docs/errors; docs/providers/groq.md says of each message whether it is
documented, captured or not verified.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import Headers
from faultinject.providers.documents import (
    HEXADECIMAL,
    compact,
    event,
    filled,
    identifier,
)
from faultinject.providers.gateway.cloudflare import cloudflare_headers, ray_id
from faultinject.providers.openai import chat
from faultinject.providers.openai.headers import (
    TOKENS,
    RateLimit,
    duration,
    exhausted,
    limit_headers,
)
from faultinject.providers.openai_shaped.usual import (
    OTHER,
    OpenAiShaped,
    UsualError,
    Vocabulary,
    chat_shape,
    examples,
    responses_shape,
)
from faultinject.providers.provider import known_account
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

__all__ = ["PROVIDER"]

_UPGRADE = (
    " Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
)
_OF_ACCOUNT = " in organization `{organization_id}` service tier `on_demand` on "
_INVALID = "invalid_request_error"
_REQUESTS = RateLimit("requests", "day", 86_400.0, 14_400, 1, 1)
"""The limit of an account that has used nothing before the request."""

VOCABULARY = Vocabulary(
    {
        401: UsualError("Invalid API Key", _INVALID, "invalid_api_key"),
        403: UsualError("Access denied. Please check your network settings.", _INVALID),
        404: UsualError(
            "The model `{model}` does not exist or you do not have access to it.",
            _INVALID,
            "model_not_found",
            without_model="Unknown request URL",
        ),
        413: UsualError(
            "Request too large for model `{model}`" + _OF_ACCOUNT + "tokens per minute (TPM):"
            " Limit 30000, Requested 41159, please reduce your message size and try again."
            + _UPGRADE,
            "tokens",
            "rate_limit_exceeded",
        ),
        429: UsualError(
            "Rate limit reached for model `{model}`" + _OF_ACCOUNT + "{limit}. Please try again in"
            " {wait}." + _UPGRADE,
            "tokens",
            "rate_limit_exceeded",
        ),
        498: UsualError(
            "Flex tier capacity exceeded. Please try again later.",
            "internal_server_error",
            "capacity_exceeded",
        ),
        500: UsualError("Internal Server Error", "internal_server_error"),
        503: UsualError("Service Unavailable", "internal_server_error"),
    },
    client=UsualError("", _INVALID),
    server=UsualError("", "internal_server_error"),
)


def error_of(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the value of ``error``. Members that have no value are left out."""
    said = VOCABULARY.error(failure, fields)
    message, kind = said.message, said.error_type
    if failure.status == 429:
        limit = exhausted(failure)
        words = limit.words.replace(" per min (", " per minute (")
        message = filled(message, fields, limit=words, wait=duration(_wait_seconds(failure)))
        kind = failure.error_type or limit.kind
    error: dict[str, Any] = {"message": message, "type": kind}
    if failure.param is not None:
        error["param"] = failure.param
    if said.code is not None:
        error["code"] = said.code
    return error | dict(failure.details or {})


def _wait_seconds(failure: Failure) -> float:
    wait = failure.retry_after_seconds
    return 2.0 if wait is None else wait


def _error_body(failure: Failure, fields: Fields) -> bytes:
    return compact({"error": error_of(failure, fields)}) + b"\n"


# Headers


def _draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    return Fields(
        now_seconds=now_seconds,
        request_id=_id("req_01", uniform()),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 480),
        organization_id=_id("org_01", 1),
        project_id="",
        host=request.host,
        model=request.model,
        request=request,
    )


def _id(prefix: str, number: float) -> str:
    return identifier(prefix, number, 24, "0123456789abcdefghjkmnpqrstvwxyz")


def _identity_headers(fields: Fields, status: int) -> Headers:
    del status
    return (
        (b"cache-control", b"private, max-age=0, no-store, no-cache, must-revalidate"),
        (b"x-groq-region", b"us-west-1"),
        (b"x-request-id", fields.request_id.encode()),
        *cloudflare_headers(fields),
    )


def _rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limits: requests of a day and tokens of a minute, whichever is exhausted."""
    del fields
    limits = {"requests": _REQUESTS, "tokens": TOKENS}
    if failure.exhausted is not None:
        limit = exhausted(failure)
        if limit.period != "day" or limit.kind == "requests":
            limits[limit.kind] = limit
    return limit_headers(limits)


# Streams


def _usage(request: ApiRequest) -> dict[str, Any]:
    times = {"queue_time": 0.02, "prompt_time": 0.01, "completion_time": 0.05, "total_time": 0.06}
    return chat.usage_of(request) | times


def _begun_id(uniform: Uniform) -> str:
    text = identifier("", uniform(), 32, HEXADECIMAL)
    return "chatcmpl-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _minimal_response(request: ApiRequest, fields: Fields, uniform: Uniform) -> bytes:
    base = chat.begun(request, fields, _begun_id(uniform))
    id_member = {"x_groq": {"id": fields.request_id}}
    more = {"usage": _usage(request), **id_member, "service_tier": "on_demand"}
    return compact(chat.completion(base, request, uniform) | more)


def _minimal_stream(request: ApiRequest, fields: Fields, uniform: Uniform) -> list[bytes]:
    """Return a stream whose first and last chunks have a member of Groq's own."""
    base = chat.begun_chunk(request, fields, _begun_id(uniform))
    first, *rest, last = chat.chunks(base, request, uniform)
    first |= {"x_groq": {"id": fields.request_id}}
    last |= {"x_groq": {"id": fields.request_id, "usage": _usage(request)}}
    return chat.encoded([first, *rest, last])


def _as_member(failure: Failure, fields: Fields, shared: dict[str, Any]) -> bytes:
    """Return the form of an error that is a text in a chunk without any content."""
    choice = {"index": 0, "delta": {}, "finish_reason": None}
    error = {"id": fields.request_id, "error": error_of(failure, fields)["message"]}
    return event(shared | {"choices": [choice], "x_groq": error}) + chat.DONE


FAILURES = {
    "overloaded": Failure(503),
    "flex-full": Failure(498),
    "rate-limited": Failure(429, exhausted="tokens", retry_after_seconds=2),
    "auth-expired": Failure(401),
    "prompt-too-long": Failure(
        400,
        code="context_length_exceeded",
        param="messages",
        message="Please reduce the length of the messages or completion.",
    ),
    "too-large": Failure(413),
    "tool-use-failed": Failure(
        400,
        code="tool_use_failed",
        message="Failed to call a function. Please adjust your prompt. See 'failed_generation' for"
        " more details.",
        details={"failed_generation": '<function=weather>{"city": "Osl</function>'},
    ),
    "json-validate-failed": Failure(
        400,
        code="json_validate_failed",
        message="Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for"
        " more details.",
        details={"failed_generation": '{"city": "Osl'},
    ),
    "unknown-model": Failure(404),
    "forbidden": Failure(403),
    "server-error": Failure(500),
}

PROVIDER = OpenAiShaped(
    name="groq",
    hosts=("api.groq.com",),
    draw_fields=_draw_fields,
    error_type=VOCABULARY.error_type,
    error_body=_error_body,
    request_id_header=b"x-request-id",
    identity_headers=_identity_headers,
    rate_limit_headers=_rate_limit_headers,
    tells_limits=known_account,
    shapes=(
        chat_shape(
            chat.stream(
                {
                    "event": chat.as_named_event(error_of),
                    "data": chat.as_data(error_of),
                    "x_groq": _as_member,
                },
                _minimal_stream,
            ),
            _minimal_response,
        ),
        responses_shape(error_of),
        OTHER,
    ),
    failures=FAILURES,
    examples=examples("/openai/v1/chat/completions", "/openai/v1/responses"),
)
"""Groq."""
