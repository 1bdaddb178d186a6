"""One attempt of a call, and how several lie in time. Seconds count from the run's start."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile

from attrs import define

from faultinject.events import ExchangeEnded, Kind
from faultinject.observed import Failure, FailureKind, Observed
from faultinject.seen import CREDENTIAL, Parts, observed_of

AT_ONCE_SECONDS = 0.005
"""As far as times may be off: requests that overlap by less do not."""
ROUNDING_SECONDS = 0.002
"""As far as times are off by rounding alone: a program may ask again within half a millisecond."""
Client = tuple[str, str | None]
"""A host, and the credentials with which it is asked (without any: what it is asked)."""

HostAndModel = tuple[str, str | None]
"""A host, and a model."""


@define(unsafe_hash=True)
class SeenAttempt:
    """One attempt of a call. Nobody changes it; not frozen, as `Observed`."""

    call: int
    number: int
    """From 1."""
    began: float
    """When the request's head came."""
    ended: float
    """When the answer was over, or the client had left."""
    head: float | None
    """When the answer's head had been sent; None if there was none."""
    method: str
    host: str
    path: str
    status: int | None
    kind: Kind | None
    session: int
    """The number of the client connection."""
    seen: Observed

    @classmethod
    def of(cls, event: ExchangeEnded) -> SeenAttempt | None:
        """Return the attempt that an event tells of; None if it tells of none."""
        seen = event.observed
        if seen is None or seen.call is None or seen.attempt is None or seen.began_seconds is None:
            return None
        ended = round(seen.began_seconds + event.milliseconds / 1000, 3)
        return cls.made(
            seen,
            (seen.call, seen.attempt, seen.began_seconds, ended),
            event.method,
            event.host,
            event.path,
            event.status,
            event.kind,
            session=event.session,
        )

    @classmethod
    def made(
        cls,
        seen: Observed,
        place: tuple[int, int, float, float],
        method: str,
        host: str,
        path: str,
        status: int | None,
        kind: Kind | None,
        *,
        session: int,
    ) -> SeenAttempt:
        """Return an attempt; ``place`` is its call, its number, and when it began and ended."""
        began, first_byte = place[2], seen.first_byte_seconds
        head = None if first_byte is None else round(began + first_byte, 3)
        return cls(*place, head, method, host, path, status, kind, session, seen)

    @property
    def failure(self) -> Failure | None:
        """How it failed; None if it did not."""
        return self.seen.failure

    @property
    def failure_kind(self) -> FailureKind | None:
        """What the API says of the failure."""
        return self.seen.failure_kind

    @property
    def client(self) -> Client:
        """Who asks."""
        return self.host, self.seen.credential or self.seen.request

    @property
    def host_and_model(self) -> HostAndModel:
        """Whom it asks."""
        return self.host, self.seen.model

    @property
    def known(self) -> float:
        """When the client could know how it went: from the head if it is a whole error."""
        return self.head if self.failure == "answer" and self.head is not None else self.ended

    @property
    def of_connection(self) -> bool:
        """Whether a connection was broken, so that what it was for is not known."""
        return self.failure in ("connect", "handshake")

    @property
    def worth_repeating(self) -> bool:
        """Whether it failed in a way that another attempt may help against."""
        return self.failure_kind in ("transient", "throttled")

    @property
    def client_left(self) -> bool:
        """Whether the client ended it before the answer's end, and not for an error within it."""
        has_error = self.failure in ("error-event", "malformed")
        return self.seen.taken in ("left", "reset") and not has_error

    @property
    def succeeded(self) -> bool:
        """Whether the client got a whole answer that is no error."""
        return self.failure is None and self.seen.taken == "whole"

    def gap_to(self, following: SeenAttempt) -> float:
        """Return how long the client waited before the next attempt."""
        return round(following.began - self.known, 3)


def client_of(event: ExchangeEnded, parts: Parts) -> Client:
    """Return `SeenAttempt.client` of an event, without making all of the attempt if it can."""
    head, *_ = parts
    return event.host, head[CREDENTIAL] or observed_of(parts, to_compare=True).request


def begun_within(
    attempts: list[SeenAttempt], after: float, seconds: float
) -> Iterator[SeenAttempt]:
    """Return those of some attempts, given in order, that began so soon after a time."""
    start = bisect_left(attempts, after - ROUNDING_SECONDS, key=began)
    return takewhile(lambda each: each.began <= after + seconds, islice(attempts, start, None))


def began(attempt: SeenAttempt) -> float:
    """Return when an attempt began: what attempts are sorted by."""
    return attempt.began


def interleave(attempts: list[SeenAttempt]) -> bool:
    """Return True if some attempts, given in order, went back to a connection that one had left.

    One client that waits for each answer stays on its connection, or leaves it for good; several
    that share their connections take them in turn.
    """
    left: set[int] = set()
    for one, other in pairwise(attempts):
        if one.session != other.session:
            left.add(one.session)
            if other.session in left:
                return True
    return False


def overlap(attempts: list[SeenAttempt]) -> bool:
    """Return True if two of some attempts, given in order, were under way at once."""
    ended = float("-inf")
    for each in attempts:
        if each.began < ended - AT_ONCE_SECONDS:
            return True
        ended = max(ended, each.ended)
    return False
