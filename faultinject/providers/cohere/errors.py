"""How Cohere words its failures: an id and a message.

https://docs.cohere.com/reference/errors lists the messages.
"""

from __future__ import annotations

import math
from hashlib import blake2b

from attrs import evolve

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers import generic
from faultinject.providers.documents import HEXADECIMAL, compact, identifier, message_of, uuid
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

_TYPES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "TooManyRequestsError",
    498: "InvalidTokenError",
    499: "ClientClosedRequestError",
    500: "InternalServerError",
    501: "NotImplementedError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
}
"""The documents have no types: these are the exceptions of the SDK (cohere 7.3.1)."""
_MESSAGES = {
    400: "invalid request: valid role names in the 'messages' field are 'assistant', 'system',"
    " 'tool' and 'user'.",
    401: "invalid api token",
    402: "Please add or update your payment method at"
    " https://dashboard.cohere.com/billing?tab=payment to continue",
    404: "model '{model}' not found, make sure the correct model ID was used and that you have"
    " access to the model.",
    429: "You are past the per minute request limit, please wait and try again later.",
    499: "request cancelled by user",
    500: "internal server error, this has been reported to our developers",
}
_UPGRADE = (
    " You can continue to use the Trial key for free or upgrade to a Production key with higher"
    " rate limits at 'https://dashboard.cohere.com/api-keys'. Contact us on"
    " 'https://discord.gg/XW44jPfYJu' or email us at support@cohere.com with any questions"
)
CALLS_A_MINUTE = 20
"""What a trial key may ask of chat (captured in 2026)."""


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw the fields of one answer. The id of the request is that of the header."""
    fields = generic.draw_fields(uniform, now_seconds, request)
    return evolve(fields, request_id=identifier("", uniform(), 32, HEXADECIMAL))


def document_id(fields: Fields) -> str:
    """Return the id in a document, a UUID. It is not the one in the header (captured)."""
    digest = blake2b(fields.request_id.encode(), digest_size=6).digest()
    return uuid(int.from_bytes(digest) / 2**48)


def error_type(status: int) -> str:
    """Return the SDK's exception for a status, which is ``ApiError`` where it has no other."""
    return _TYPES.get(status, "ApiError")


def message(failure: Failure, fields: Fields) -> str:
    """Return a failure's words; for statuses without known words, the status's phrase."""
    default = _MESSAGES.get(failure.status) or standard_phrase(failure.status).lower()
    return message_of(failure, fields, default)


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure."""
    document = {"id": document_id(fields), "message": message(failure, fields)}
    return compact(document | dict(failure.details or {}))


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return what the API, Envoy and Google's load balancer add to each answer (captured)."""
    del status
    return (
        (b"access-control-expose-headers", b"X-Debug-Trace-ID"),
        (
            b"cache-control",
            b"no-cache, no-store, no-transform, must-revalidate, private, max-age=0",
        ),
        (b"expires", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"pragma", b"no-cache"),
        (b"vary", b"Origin"),
        (b"x-accel-expires", b"0"),
        (b"x-debug-trace-id", fields.request_id.encode()),
        (b"x-envoy-upstream-service-time", b"%d" % fields.processing_ms),
        (b"server", b"envoy"),
        (b"Via", b"1.1 google"),
        (b"Alt-Svc", b'h3=":443"; ma=2592000'),
    )


def rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the headers of a trial key's limit. Production keys have none."""
    del fields
    remaining = CALLS_A_MINUTE - 1 if failure.exhausted is None else 0
    return (
        (b"x-trial-endpoint-call-limit", b"%d" % CALLS_A_MINUTE),
        (b"x-trial-endpoint-call-remaining", b"%d" % remaining),
    )


def retry_headers(failure: Failure) -> Headers:
    """Return ``Retry-After`` if a wait is told: the API is not known to send it, its SDK obeys."""
    if failure.retry_after_seconds is None:
        return ()
    return ((b"Retry-After", b"%d" % math.ceil(failure.retry_after_seconds)),)


def _trial(limit: str) -> Failure:
    words = f"You are using a Trial key, which is limited to {limit}.{_UPGRADE}"
    return Failure(429, message=words, exhausted="calls")


FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": _trial(f"{CALLS_A_MINUTE} API calls / minute"),
    "tokens-limited": Failure(
        429, message="trial token rate limit exceeded, limit is 100000 tokens per minute"
    ),
    "month-used-up": _trial("1000 API calls / month"),
    "spend-cap": Failure(
        402,
        message="Maximum billing reached for this API key as set in your dashboard, please go to"
        " https://dashboard.cohere.com/billing?tab=payment to increase your maximum amount to"
        " continue using this API key. Your billing capacity will reset at the beginning of next"
        " month.",
    ),
    "credit-empty": Failure(402),
    "auth-expired": Failure(401),
    "no-key": Failure(401, message="no api key supplied"),
    "too-large": Failure(
        400,
        message="too many tokens: size limit exceeded by 19296 tokens. Try using shorter or fewer"
        " inputs. The limit for this model is 132000 tokens.",
    ),
    "unknown-model": Failure(404),
    "server-error": Failure(500),
    "timeout": Failure(504),
}
