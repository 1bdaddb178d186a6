"""How OpenRouter words its failures.

https://openrouter.ai/docs/api/reference/errors-and-debugging; docs/providers/openrouter.md says of
each message whether it is documented, captured or not verified.
"""

from __future__ import annotations

from typing import Any

from faultinject.http.message import Headers
from faultinject.providers.documents import BASE62, compact, identifier
from faultinject.providers.gateway.cloudflare import cloudflare_headers, ray_id
from faultinject.providers.openai_shaped.usual import UsualError, Vocabulary, as_anthropic, spoken
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

USER_ID = identifier("user_", 1, 27, BASE62)
"""An account has one, so it is the same in every answer."""
UPSTREAM = "ExampleProvider"
"""The provider that a failure is said to come from."""
_RETURNED = "Provider returned error"
_SECONDS = 60
_FREE_LIMIT = 20
"""Requests a minute to free models."""

VOCABULARY = Vocabulary(
    {
        400: UsualError('Input required: specify "prompt" or "messages"', "invalid_request"),
        401: UsualError("No auth credentials found", "authentication"),
        402: UsualError(
            "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
            "payment_required",
        ),
        403: UsualError("Forbidden", "permission_denied"),
        404: UsualError(
            "No endpoints found for {model}.", "not_found", without_model="No endpoints found."
        ),
        408: UsualError("Request timed out", "timeout"),
        413: UsualError("Payload too large", "payload_too_large"),
        422: UsualError("Unprocessable", "unprocessable"),
        429: UsualError(_RETURNED, "rate_limit_exceeded"),
        500: UsualError("Internal Server Error", "server"),
        502: UsualError(_RETURNED, "provider_unavailable"),
        503: UsualError(
            "There is no available model provider that meets your routing requirements",
            "provider_unavailable",
        ),
        504: UsualError("Gateway timeout", "timeout"),
        524: UsualError("Request timed out", "timeout"),
        529: UsualError(_RETURNED, "provider_overloaded"),
    },
    client=UsualError("", "invalid_request"),
    server=UsualError("", "server"),
)


def error_of(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the value of ``error`` in a document, and in a stream.

    ``code`` is the status. In an answer of status 200 it is 502. ``failure.code`` is what the
    model's provider calls the failure.
    """
    said = VOCABULARY.error(failure, fields)
    metadata: dict[str, Any] = {"error_type": said.error_type}
    if failure.code is not None:
        metadata["provider_code"] = failure.code
    if said.message == _RETURNED:
        metadata["provider_name"] = UPSTREAM
        metadata["raw"] = _RAW.get(failure.status, "upstream error").format(model=fields.model)
    code = failure.status if failure.status >= 400 else 502
    return {
        "message": said.message,
        "code": code,
        "metadata": metadata | dict(failure.details or {}),
    }


_RAW = {
    429: "{model} is temporarily rate-limited upstream. Please retry shortly, or add your own key"
    " to accumulate your rate limits: https://openrouter.ai/settings/integrations",
    529: "{model} is overloaded",
}


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure. At Anthropic's path it has Anthropic's form."""
    if spoken(fields) == "messages":
        return as_anthropic(VOCABULARY, failure, fields)
    user = {"user_id": USER_ID} if failure.status != 401 else {}
    return compact({"error": error_of(failure, fields)} | user)


def in_responses(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the parts of an error in a stream of Responses."""
    said = VOCABULARY.error(failure, fields)
    code = "rate_limit_exceeded" if failure.status == 429 else "server_error"
    return {"message": said.message, "code": failure.code or code}


# Headers


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw what differs from one answer to the next."""
    return Fields(
        now_seconds=now_seconds,
        request_id=identifier(f"gen-{int(now_seconds)}-", uniform(), 20, BASE62),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 480),
        organization_id="",
        project_id="",
        host=request.host,
        model=request.model,
        request=request,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the id of the generation, and what the edge adds."""
    del status
    return ((b"X-Generation-Id", fields.request_id.encode()), *cloudflare_headers(fields))


def rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limit of requests to free models; its reset is in Unix milliseconds."""
    left = _FREE_LIMIT - 1 if failure.exhausted is None else 0
    again = failure.retry_after_seconds
    reset = fields.now_seconds + (_SECONDS if again is None else again)
    return (
        (b"X-RateLimit-Limit", b"%d" % _FREE_LIMIT),
        (b"X-RateLimit-Remaining", b"%d" % left),
        (b"X-RateLimit-Reset", b"%d" % (reset * 1000)),
    )


FAILURES = {
    "overloaded": Failure(529),
    "rate-limited": Failure(429, exhausted="requests", retry_after_seconds=2),
    "spend-cap": Failure(
        402,
        message="This request requires more credits, or fewer max_tokens. You requested up to 4096"
        " tokens, but can only afford 1024. To increase, visit"
        " https://openrouter.ai/settings/credits and upgrade to a paid account",
    ),
    "credit-empty": Failure(402),
    "auth-expired": Failure(401),
    "prompt-too-long": Failure(
        400,
        error_type="context_length_exceeded",
        message="This endpoint's maximum context length is 128000 tokens. However, you requested"
        " about 131072 tokens (131072 of text input). Please reduce the length of either one, or"
        ' use the "middle-out" transform to compress your prompt automatically.',
    ),
    "too-large": Failure(413),
    "unknown-model": Failure(404),
    "forbidden": Failure(403),
    "server-error": Failure(500),
    "provider-error": Failure(502),
    "provider-error-200": Failure(200, error_type="provider_unavailable", message=_RETURNED),
    "no-provider": Failure(503),
    "timeout": Failure(408),
    "edge-timeout": Failure(524),
}
"""Errors by name."""
