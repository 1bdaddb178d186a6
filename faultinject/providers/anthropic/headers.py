"""The headers of Anthropic's API: who answered, what is left of a limit, when to come again.

https://docs.anthropic.com/en/api/rate-limits and captures; see docs/providers/anthropic.md.
"""

from __future__ import annotations

import math

from faultinject.http.message import Headers
from faultinject.providers.documents import identifier, uuid
from faultinject.providers.gateway import cloudflare_headers, ray_id, timestamp
from faultinject.providers.provider import Asked, Failure, Fields, Uniform

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
"""The families of limits, each a minute's, in the order and with the numbers of a captured 429."""
_RESET_SECONDS = 16
"""After which time an exhausted limit is whole again, if no time to try again is told."""


def draw_fields(uniform: Uniform, now_seconds: float, asked: Asked) -> Fields:
    """Draw what differs from one answer to the next."""
    return Fields(
        now_seconds=now_seconds,
        request_id=identifier("req_011C", uniform(), 20),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 180),
        organization_id=ORGANIZATION_ID,
        project_id=WORKSPACE_ID,
        host=asked.host,
        model=asked.model,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the headers in the order and case of a capture of HTTP/1.1 (2025).

    The last two are those of errors in JSON since 2026. Without a valid key there is no account
    to be named.
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
    """Return the four families of limits; a limit that is whole is said to be reset now."""
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
