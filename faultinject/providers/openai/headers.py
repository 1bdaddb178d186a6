"""The headers of OpenAI's API: who answered, and its rate limits, with numbers that agree."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import frozen

from faultinject.http.message import Headers
from faultinject.providers.documents import BASE62, HEXADECIMAL, identifier
from faultinject.providers.gateway.cloudflare import cloudflare_headers, ray_id
from faultinject.providers.shape import ApiRequest, Failure, Fields, Uniform

_MINUTE_SECONDS = 60.0
_DAY_SECONDS = 86_400.0


@frozen(eq=False, repr=False)
class RateLimit:
    """One rate limit, and a request that asks for a share of it."""

    kind: str
    """``tokens`` or ``requests``: also the type of a refusal."""
    period: str
    seconds: float
    """How long an empty limit takes to fill up."""
    limit: int
    used: int
    requested: int

    @property
    def remaining(self) -> int:
        """How much of it is left."""
        return self.limit - self.used

    @property
    def reset_seconds(self) -> float:
        """The time until it is full again, in seconds."""
        return self.used / self.limit * self.seconds

    @property
    def words(self) -> str:
        """The limit as the message of a refusal has it."""
        short = f"{self.kind[0]}P{self.period[0]}".upper()
        return (
            f"{self.kind} per {self.period} ({short}): Limit {self.limit}, Used {self.used},"
            f" Requested {self.requested}"
        )


TOKENS = RateLimit("tokens", "min", _MINUTE_SECONDS, 30_000, 11_159, 11_159)
REQUESTS = RateLimit("requests", "min", _MINUTE_SECONDS, 500, 1, 1)
"""The limits of an account that has used nothing before the request."""

WAIT_SECONDS = 0.174
"""When a refused request may be sent again, if the failure does not say (from a capture)."""
_LONGEST_TOKEN_SECONDS = TOKENS.requested / TOKENS.limit * TOKENS.seconds
"""The longest wait of a request that fits into a minute's limit at all."""


def wait_seconds(failure: Failure) -> float:
    """Return the time until a refused request may be sent again."""
    wait = failure.retry_after_seconds
    return WAIT_SECONDS if wait is None else wait


def exhausted(failure: Failure) -> RateLimit:
    """Return the limit that a failure is for, with a use that fits the failure's wait.

    A wait that is too long for a minute's limit is for a day's limit. Beyond a day the numbers no
    longer agree.
    """
    wait = wait_seconds(failure)
    if failure.exhausted == "requests":
        limit = max(1, round(_DAY_SECONDS / max(wait, 1.0)))
        return RateLimit("requests", "day", _DAY_SECONDS, limit, limit, 1)
    if wait <= _LONGEST_TOKEN_SECONDS:
        return _tokens("min", TOKENS.seconds, TOKENS.limit, wait)
    limit = round(TOKENS.requested * _DAY_SECONDS / wait)
    return _tokens("day", _DAY_SECONDS, max(limit, TOKENS.requested), wait)


def _tokens(period: str, seconds: float, limit: int, wait: float) -> RateLimit:
    over = min(round(wait / seconds * limit), TOKENS.requested)
    used = limit - TOKENS.requested + over
    return RateLimit("tokens", period, seconds, limit, used, TOKENS.requested)


def duration(seconds: float) -> str:
    """Return a time as Go prints it (https://pkg.go.dev/time#Duration.String), to the millisecond.

    For example ``174ms``, ``1.5s``, ``6m0s``, ``24h0m0s``.
    """
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


ORGANIZATION_ID = identifier("org-", 1, 24, BASE62)
PROJECT_ID = identifier("proj_", 1, 24, BASE62)
"""An account has one of each, so they are the same in every answer."""


def draw_fields(uniform: Uniform, now_seconds: float, request: ApiRequest) -> Fields:
    """Draw what differs from one answer to the next."""
    return Fields(
        now_seconds=now_seconds,
        request_id=identifier("req_", uniform(), 32, HEXADECIMAL),
        ray_id=ray_id(uniform),
        processing_ms=20 + int(uniform() * 480),
        organization_id=ORGANIZATION_ID,
        project_id=PROJECT_ID,
        host=request.host,
        model=request.model,
    )


def identity_headers(fields: Fields, status: int) -> Headers:
    """Return the headers that captures have; their order is not verified.

    Without a valid key there is no account to name.
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
    return limit_headers(limits)


def limit_headers(limits: Mapping[str, RateLimit]) -> Headers:
    """Return what is told of limits, by kind."""
    values_of = {
        "limit": {kind: str(limit.limit) for kind, limit in limits.items()},
        "remaining": {kind: str(limit.remaining) for kind, limit in limits.items()},
        "reset": {kind: duration(limit.reset_seconds) for kind, limit in limits.items()},
    }
    return tuple(
        (f"x-ratelimit-{what}-{kind}".encode(), value.encode())
        for what, values in values_of.items()
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
