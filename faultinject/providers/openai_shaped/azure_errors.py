"""How Azure OpenAI words its failures, and its headers.

https://learn.microsoft.com/azure/ai-foundry/openai/reference; docs/providers/azure.md says of each
message whether it is captured or not verified.
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import parse_qs

from faultinject.http.message import Headers
from faultinject.providers.anthropic import errors as anthropic_errors
from faultinject.providers.documents import compact, uuid
from faultinject.providers.gateway.cloudflare import ray_id
from faultinject.providers.openai_shaped.usual import (
    UsualError,
    Vocabulary,
    as_anthropic,
    in_anthropics_terms,
    spoken,
)
from faultinject.providers.provider import ErrorPage
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

_REGION = b"Sweden Central"
_WAIT_SECONDS = 60
_REQUESTS, _TOKENS = 60, 10_000
"""The limits of a minute of a small deployment."""
UNKNOWN = "unknown"
"""A limit that is exhausted and not told: what the Responses API was seen to send."""
_DEPLOYMENT = re.compile(r".*/deployments/([\w.-]{1,64})(?:/.*)?", re.ASCII)
_VERSION = re.compile(r"[\w.-]{1,40}", re.ASCII)
_OPERATIONS = {"chat": "ChatCompletions_Create", "responses": "Responses_Create"}

VOCABULARY = Vocabulary(
    {
        400: UsualError("Bad Request", code="BadRequest"),
        401: UsualError(
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to"
            " provide a valid key for an active subscription and use a correct regional API"
            " endpoint for your resource.",
            code="401",
        ),
        403: UsualError("Access denied due to Virtual Network/Firewall rules.", code="403"),
        404: UsualError(
            "The API deployment for this resource does not exist. If you created the deployment"
            " within the last 5 minutes, please wait a moment and try again.",
            code="DeploymentNotFound",
        ),
        408: UsualError("The operation was timeout.", code="Timeout"),
        429: UsualError(
            "Requests to the {operation} Operation under Azure OpenAI API version {version} have"
            " exceeded {limit} rate limit of your current OpenAI S0 pricing tier. Please retry"
            " after {wait} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would"
            " like to further increase the default rate limit.",
            code="429",
        ),
        500: UsualError(
            "The server had an error while processing your request. Sorry about that!",
            code="InternalServerError",
        ),
        503: UsualError(
            "The service is temporarily unable to process your request. Please try again later.",
            code="ServiceUnavailable",
        ),
    },
    client=UsualError(""),
    server=UsualError(""),
)


def code_of(status: int) -> str:
    """Return the code of a status: a name, or the number as text."""
    return VOCABULARY.of(status).code or str(status)


def error_of(failure: Failure, fields: Fields) -> dict[str, Any]:
    """Return the value of ``error``: what Azure itself says has a code and a message alone.

    What the model's server says has OpenAI's members, which a failure with a type or a param has.
    """
    code = failure.code or code_of(failure.status)
    message = _message(failure, fields)
    error: dict[str, Any] = {"code": code, "message": message}
    if failure.error_type is not None or failure.param is not None:
        error = {
            "message": message,
            "type": failure.error_type,
            "param": failure.param,
            "code": code,
        }
    return error | dict(failure.details or {})


def _message(failure: Failure, fields: Fields) -> str:
    if failure.status != 429 or failure.message is not None:
        return VOCABULARY.message(failure, fields)
    again = failure.retry_after_seconds
    words = {
        "operation": _OPERATIONS.get(spoken(fields), "ChatCompletions_Create"),
        "version": _version(fields),
        "limit": "call" if failure.exhausted == "requests" else "token",
        "wait": str(_WAIT_SECONDS if again is None else math.ceil(again)),
    }
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], VOCABULARY.of(429).message)


def _version(fields: Fields) -> str:
    asked = fields.request
    given = parse_qs(asked.query[:1000]).get("api-version", ()) if asked is not None else ()
    return next((each for each in given if _VERSION.fullmatch(each)), "2024-10-21")


def error_body(failure: Failure, fields: Fields) -> bytes:
    """Return the error document of a failure. At Anthropic's path it is Anthropic's."""
    if spoken(fields) == "messages" and failure.status == 429:
        return anthropic_errors.failure_body(in_anthropics_terms(failure), fields)
    if spoken(fields) == "messages":
        return as_anthropic(VOCABULARY, failure, fields)
    return compact({"error": error_of(failure, fields)})


# Headers


def deployment(request: ApiRequest) -> str | None:
    """Return the name of the deployment that the path names; None if it names none."""
    found = _DEPLOYMENT.fullmatch(request.path)
    return None if found is None else found[1]


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw what differs from one answer to the next. There are two ids, both UUIDs."""
    return Fields(
        now_seconds=now_seconds,
        request_id=uuid(uniform()),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 480),
        organization_id="",
        project_id=uuid(uniform()),
        host=request.host,
        model=request.model,
        request=request,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the ids and where the model runs. A 401 is of the gateway, which knows no model."""
    gateway: Headers = (
        (b"apim-request-id", fields.request_id.encode()),
        (b"Strict-Transport-Security", b"max-age=31536000; includeSubDomains; preload"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-ms-region", _REGION),
    )
    if status == 401:
        return gateway
    name = deployment(fields.request) if fields.request is not None else None
    named = ((b"x-ms-deployment-name", name.encode()),) if name is not None else ()
    return (*gateway, (b"x-request-id", fields.project_id.encode()), *named)


def rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limits of a minute, and when the tokens are full again, in whole seconds."""
    del fields
    if failure.exhausted == UNKNOWN:
        limit, left, reset = (-1, -1), (-1, -1), 0
    else:
        requests, tokens = failure.exhausted == "requests", failure.exhausted not in (
            None, "requests",
        )  # fmt: skip
        limit = _REQUESTS, _TOKENS
        left = (0 if requests else _REQUESTS - 1), (0 if tokens else _TOKENS - 1000)
        again = (
            _WAIT_SECONDS if failure.retry_after_seconds is None else failure.retry_after_seconds
        )
        reset = 1 if failure.exhausted is None else math.ceil(again)
    return (
        (b"x-ratelimit-limit-requests", b"%d" % limit[0]),
        (b"x-ratelimit-limit-tokens", b"%d" % limit[1]),
        (b"x-ratelimit-remaining-requests", b"%d" % left[0]),
        (b"x-ratelimit-remaining-tokens", b"%d" % left[1]),
        (b"x-ratelimit-reset-tokens", b"%d" % reset),
    )


_FILTERED = {
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": False, "severity": "safe"},
            "jailbreak": {"filtered": False, "detected": False},
            "self_harm": {"filtered": False, "severity": "safe"},
            "sexual": {"filtered": False, "severity": "safe"},
            "violence": {"filtered": True, "severity": "medium"},
        },
    },
}
_TOO_LONG = Failure(
    400,
    error_type="invalid_request_error",
    code="context_length_exceeded",
    param="messages",
    message="This model's maximum context length is 128000 tokens. However, your messages"
    " resulted in 131072 tokens. Please reduce the length of the messages.",
)
FAILURES = {
    "overloaded": Failure(503),
    "rate-limited": Failure(429, exhausted="tokens", retry_after_seconds=2),
    "rate-limited-without-wait": Failure(
        429, exhausted=UNKNOWN, code="too_many_requests", message="Too Many Requests"
    ),
    "no-capacity": Failure(
        429,
        code="NoCapacity",
        message="The system is currently experiencing high demand and cannot process your request."
        " Your request exceeds the maximum usage size allowed during peak load. For improved"
        " capacity reliability, consider switching to Provisioned Throughput.",
    ),
    "auth-expired": Failure(401),
    "prompt-too-long": _TOO_LONG,
    "too-large": _TOO_LONG,
    "content-filter": Failure(
        400,
        code="content_filter",
        param="prompt",
        message="The response was filtered due to the prompt triggering Azure OpenAI's content"
        " management policy. Please modify your prompt and retry. To learn more about our content"
        " filtering policies please read our documentation:"
        " https://go.microsoft.com/fwlink/?linkid=2198766",
        details=_FILTERED,
    ),
    "unknown-model": Failure(404),
    "wrong-path": Failure(404, code="404", message="Resource not found"),
    "forbidden": Failure(403),
    "key-disabled": Failure(
        403,
        code="AuthenticationTypeDisabled",
        message="Key based authentication is disabled for this resource.",
    ),
    "server-error": Failure(500),
    "timeout": Failure(408),
}
"""Errors by name."""

_NO_TOKEN = compact(
    {
        "statusCode": 401,
        "message": "Unauthorized. Access token is missing, invalid, audience is incorrect"
        " (https://cognitiveservices.azure.com), or have expired.",
    }
)
UNAUTHORIZED = ErrorPage(
    "azure-401",
    401,
    "Unauthorized",
    "application/json",
    lambda _: _NO_TOKEN,
    lambda _: (),
    "what others quote of API Management; its headers are not verified",
)
"""What the gateway in front of the API says of a token."""
