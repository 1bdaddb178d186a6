"""How an exchange ended as an attempt of a call (see `faultinject.rules.attempts`).

The end is noted before the client can notice it. A client that tries again at once is served by
another task, which may run first.
"""

from __future__ import annotations

import time

from attrs import frozen

from faultinject.events import Outcome
from faultinject.http.message import ResponseHead
from faultinject.providers.known import provider_for
from faultinject.providers.provider import asked_wait_seconds
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.rules.attempts import Ended


@frozen
class ExchangeEnd:
    """What is known of an exchange at its end."""

    outcome: Outcome
    head: ResponseHead | None
    """The head of the answer that the client was sent."""
    fault_filter: FaultFilter | None = None
    answered: bool = True
    """Whether the client got an answer, and got it whole."""


def ended(end: ExchangeEnd, host: str, path: str, now_seconds: float) -> Ended:
    """Return how it ended. ``now_seconds`` is the time of the run.

    A rule made it fail if it answered in the API's place, harmed what came, or took so long that
    the client left. The API did if its answer never came or broke off, or says that trying again
    may help. A client that left for no such reason had no failure.
    """
    head = end.head
    wait = 0.0 if head is None else asked_wait_seconds(head, time.time())
    return Ended(now_seconds, _failed(end, host, path), wait)


def _failed(end: ExchangeEnd, host: str, path: str) -> bool:
    if end.outcome == "upstream-error":
        return True
    if end.outcome in ("injected", "harmed") and _failed_by_rule(end):
        return True
    if end.head is None or end.outcome in ("injected", "refused"):
        return False
    return provider_for(host, path).is_transient(end.head)


def _failed_by_rule(end: ExchangeEnd) -> bool:
    fault_filter = end.fault_filter
    if fault_filter is None or fault_filter.harmed or not end.answered:
        return True
    return end.outcome == "injected" and not fault_filter.plan.stream
