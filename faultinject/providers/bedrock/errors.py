"""How Amazon Bedrock words its failures.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, and botocore's
model of the service. The type stands in a header; botocore reads it up to the colon.
"""

from __future__ import annotations

import math

from faultinject.http.message import Headers, standard_phrase
from faultinject.providers.documents import compact, message_of
from faultinject.providers.shape import Failure, Fields

_TYPES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_MESSAGES = {
    400: "The model returned the following errors: Input is too long for requested model.",
    403: "You don't have access to the model with the specified model ID.",
    404: "Could not resolve the foundation model from the model identifier: {model}",
    408: "The model timed out. Try your request again.",
    424: "The model has encountered an unexpected error during processing. Try your request again.",
    429: "Too many requests, please wait before trying again.",
    500: "The system encountered an unexpected error during processing. Try your request again.",
    503: "Bedrock is unable to process your request.",
}


def error_type(status: int) -> str:
    """Return the name of a status's exception; the general one of its class for others."""
    fallback = "ValidationException" if status < 500 else "InternalServerException"
    return _TYPES.get(status, fallback)


def type_of(failure: Failure) -> str:
    """Return the name of a failure's exception."""
    return failure.error_type or error_type(failure.status)


def message(failure: Failure, fields: Fields) -> str:
    """Return a failure's words."""
    default = _MESSAGES.get(failure.status) or standard_phrase(failure.status)
    return message_of(failure, fields, default)


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure."""
    return compact({"message": message(failure, fields)} | dict(failure.details or {}))


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the id of the request."""
    del status
    return ((b"x-amzn-RequestId", fields.request_id.encode()),)


def retry_headers(failure: Failure) -> Headers:
    """Return the exception's name, and how long to wait, in milliseconds, if the failure says it.

    AWS' SDKs obey ``x-amz-retry-after`` and not ``Retry-After``; Bedrock is not known to send one.
    """
    name = f"{type_of(failure)}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    headers: Headers = ((b"x-amzn-ErrorType", name.encode("latin-1", "replace")),)
    if failure.retry_after_seconds is None or failure.status < 400:
        return headers if failure.status >= 400 else ()
    wait = math.ceil(failure.retry_after_seconds * 1000)
    return (*headers, (b"x-amz-retry-after", b"%d" % wait))


FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429),
    "tokens-throttled": Failure(429, message="Too many tokens, please wait before trying again."),
    "not-ready": Failure(429, error_type="ModelNotReadyException", message="Model is not ready."),
    "spend-cap": Failure(
        400,
        error_type="ServiceQuotaExceededException",
        message="Your request exceeds the service quota for your account.",
    ),
    "auth-expired": Failure(
        403,
        error_type="ExpiredTokenException",
        message="The security token included in the request is expired",
    ),
    "too-large": Failure(400),
    "unknown-model": Failure(404),
    "server-error": Failure(500),
    "timeout": Failure(408),
    "model-error": Failure(424, details={"originalStatusCode": 500, "resourceName": "model"}),
}
