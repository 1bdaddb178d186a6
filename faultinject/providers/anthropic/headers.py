"""The headers of Anthropic's API: who answered, what is left of a limit, when to try again.

https://docs.anthropic.com/en/api/rate-limits and captures; see docs/providers/anthropic.md.
"""

from __future__ import annotations

import math

from faultinject.http.message import Headers
from faultinject.providers.documents import identifier, uuid
from faultinject.providers.gateway.cloudflare import cloudflare_headers, ray_id, timestamp
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

ORGANIZATION_ID = uuid(1)
WORKSPACE_ID = identifier("wrkspc_01", 1, 22)
"""An account has one of each, so they are the same in every answer."""

_INPUT_TOKENS, _OUTPUT_TOKENS = 200_000, 80_000
LIMITS = {
    "input-tokens": _INPUT_TOKENS,
    "output-tokens": _OUTPUT_TOKENS,
    "requests": 4_000,
    "tokens": _INPUT_TOKENS + _OUTPUT_TOKENS,
}
"""The families of limits per minute, in the order and with the numbers of a captured 429."""
_RESET_SECONDS = 16
"""When an exhausted limit is full again, if the failure gives no time to try again."""


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw what differs from one answer to the next."""
    return Fields(
        now_seconds=now_seconds,
        request_id=identifier("req_011C", uniform(), 20),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 180),
        organization_id=ORGANIZATION_ID,
        project_id=WORKSPACE_ID,
        host=request.host,
        model=request.model,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the headers in the order and case of a capture of HTTP/1.1 (2025).

    The last two are in JSON errors since 2026. Without a valid key there is no account to name.
    """
    account = (
        (b"anthropic-organization-id", fields.organization_id.encode()),
        (b"anthropic-workspace-id", fields.project_id.encode()),
    )
    error = (
        (b"Content-Security-Policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"server-timing", b"x-originResponse;dur=%d" % fields.processing_ms),
    )
    return (
        (b"request-id", fields.request_id.encode()),
        (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
        *(account if status != 401 else ()),
        (b"via", b"1.1 google"),
        (b"cf-cache-status", b"DYNAMIC"),
        (b"X-Robots-Tag", b"none"),
        *cloudflare_headers(fields),
        *(error if status >= 400 else ()),
    )


def rate_limit_headers(failure: Failure, fields: Fields) -> Headers:
    """Return the four families of limits. A limit that is full is reset now."""
    remaining = LIMITS | ({failure.exhausted: 0} if failure.exhausted in LIMITS else {})
    if failure.exhausted == "tokens":
        remaining |= {"input-tokens": 0, "output-tokens": 0}
    remaining["tokens"] = remaining["input-tokens"] + remaining["output-tokens"]
    again = failure.retry_after_seconds
    wait_seconds = _RESET_SECONDS if again is None else math.ceil(again)
    headers: list[tuple[bytes, bytes]] = []
    for family, limit in LIMITS.items():
        reset = fields.now_seconds + (0 if remaining[family] == limit else wait_seconds)
        name = f"anthropic-ratelimit-{family}"
        headers += (
            (f"{name}-limit".encode(), b"%d" % limit),
            (f"{name}-remaining".encode(), b"%d" % remaining[family]),
            (f"{name}-reset".encode(), timestamp(reset).encode()),
        )
    return tuple(headers)


def retry_headers(failure: Failure) -> Headers:
    """Return ``x-should-retry`` where it was captured, and ``retry-after`` in whole seconds."""
    headers: Headers = ()
    if failure.status in (429, 529):
        headers += ((b"x-should-retry", b"true"),)
    if failure.retry_after_seconds is not None:
        headers += ((b"retry-after", b"%d" % math.ceil(failure.retry_after_seconds)),)
    return headers
