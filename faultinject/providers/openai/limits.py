"""OpenAI's rate limits: what their headers and a refusal say, with numbers that agree.

A limit fills up again steadily: what is used of it is back after as much of the minute (or day) as
it is of the limit. That is how captured numbers relate: a refusal with ``Limit 30000, Used 18928,
Requested 11159`` a minute asks for another try in 174 ms, and one with ``Limit 200, Used 200,
Requested 1`` a day in 7 min 12 s. Knows nothing of documents and headers.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.providers.provider import Failure

_MINUTE_SECONDS = 60.0
_DAY_SECONDS = 86_400.0


@frozen
class Limit:
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
        """How much is left."""
        return self.limit - self.used

    @property
    def reset_seconds(self) -> float:
        """After which time nothing of it is used any more."""
        return self.used / self.limit * self.seconds

    @property
    def words(self) -> str:
        """The limit as a refusal has it."""
        short = f"{self.kind[0]}P{self.period[0]}".upper()
        return (
            f"{self.kind} per {self.period} ({short}): Limit {self.limit}, Used {self.used},"
            f" Requested {self.requested}"
        )


TOKENS = Limit("tokens", "min", _MINUTE_SECONDS, 30_000, 11_159, 11_159)
REQUESTS = Limit("requests", "min", _MINUTE_SECONDS, 500, 1, 1)
"""The limits of an account from which nothing was taken before the request."""

WAIT_SECONDS = 0.174
"""After which a refused request may come again if the failure does not say; as captured."""
_LONGEST_TOKEN_SECONDS = TOKENS.requested / TOKENS.limit * TOKENS.seconds
"""Longer than this no request waits that fits into a minute's limit at all."""


def wait_seconds(failure: Failure) -> float:
    """Return after which time a refused request may come again."""
    told = failure.retry_after_seconds
    return WAIT_SECONDS if told is None else told


def exhausted(failure: Failure) -> Limit:
    """Return the limit that a failure is for, used up so far that one has to wait as it says.

    A wait that is too long for a minute's limit is that of a day's; beyond a day the numbers no
    longer agree.
    """
    wait = wait_seconds(failure)
    if failure.exhausted == "requests":
        limit = max(1, round(_DAY_SECONDS / max(wait, 1.0)))
        return Limit("requests", "day", _DAY_SECONDS, limit, limit, 1)
    if wait <= _LONGEST_TOKEN_SECONDS:
        return _tokens("min", TOKENS.seconds, TOKENS.limit, wait)
    limit = round(TOKENS.requested * _DAY_SECONDS / wait)
    return _tokens("day", _DAY_SECONDS, max(limit, TOKENS.requested), wait)


def _tokens(period: str, seconds: float, limit: int, wait: float) -> Limit:
    over = min(round(wait / seconds * limit), TOKENS.requested)
    used = limit - TOKENS.requested + over
    return Limit("tokens", period, seconds, limit, used, TOKENS.requested)


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
