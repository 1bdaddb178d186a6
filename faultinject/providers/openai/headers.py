"""The headers of OpenAI's API: who answered, what is left of a limit, when to come again.

https://platform.openai.com/docs/guides/rate-limits and captures; see docs/providers/openai.md.
"""

from __future__ import annotations

import math

from faultinject.http.message import Headers
from faultinject.providers.gateway import cloudflare_headers, ray_id
from faultinject.providers.ids import BASE62, HEXADECIMAL, identifier
from faultinject.providers.openai.limits import REQUESTS, TOKENS, duration, exhausted
from faultinject.providers.provider import Asked, Failure, Fields, Uniform

ORGANIZATION_ID = identifier("org-", 1, 24, BASE62)
PROJECT_ID = identifier("proj_", 1, 24, BASE62)
"""An account has one of each, so they are the same in every answer."""


def draw_fields(uniform: Uniform, now_seconds: float, asked: Asked) -> Fields:
    """Draw what differs from one answer to the next."""
    return Fields(
        now_seconds=now_seconds,
        request_id=identifier("req_", uniform(), 32, HEXADECIMAL),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 480),
        organization_id=ORGANIZATION_ID,
        project_id=PROJECT_ID,
        host=asked.host,
        model=asked.model,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the headers that captures have; their order is not verified.

    Without a valid key there is no account to be named.
    """
    account = (
        (b"openai-organization", fields.organization_id.encode()),
        (b"openai-project", fields.project_id.encode()),
    )
    return (
        *(account if status != 401 else ()),
        (b"openai-processing-ms", b"%d" % fields.processing_ms),
        (b"openai-version", b"2020-10-01"),
        (b"x-request-id", fields.request_id.encode()),
        (b"access-control-expose-headers", b"CF-Ray"),
        (b"cf-cache-status", b"DYNAMIC"),
        *cloudflare_headers(fields),
        (b"alt-svc", b'h3=":443"; ma=86400'),
    )


def rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the limits of requests and of tokens, and how far they are used."""
    del fields
    limits = {limit.kind: limit for limit in (REQUESTS, TOKENS)}
    if failure.exhausted is not None:
        limit = exhausted(failure)
        limits[limit.kind] = limit
    told = {
        "limit": {kind: str(limit.limit) for kind, limit in limits.items()},
        "remaining": {kind: str(limit.remaining) for kind, limit in limits.items()},
        "reset": {kind: duration(limit.reset_seconds) for kind, limit in limits.items()},
    }
    return tuple(
        (f"x-ratelimit-{what}-{kind}".encode(), value.encode())
        for what, values in told.items()
        for kind, value in values.items()
    )


def retry_headers(failure: Failure) -> Headers:
    """Return the time to wait, in whole seconds and in milliseconds."""
    seconds = failure.retry_after_seconds
    if seconds is None:
        return ()
    return (
        (b"retry-after", b"%d" % math.ceil(seconds)),
        (b"retry-after-ms", b"%d" % round(seconds * 1000)),
    )
