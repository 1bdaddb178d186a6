"""How an exchange ended, as the attempt of a call: whether it failed, and what wait it asked for."""

from __future__ import annotations

import time

from faultinject.exchange import Exchange
from faultinject.providers import provider_for
from faultinject.providers.retries import asked_wait_seconds
from faultinject.rules.attempts import Ended


def ended(exchange: Exchange, host: str, path: str, now_seconds: float) -> Ended:
    """Return how it ended. ``now_seconds`` is the time of the run.

    A rule made it fail if it answered in the API's place, harmed what came, or took so long that
    the client left. The API did if its answer never came or broke off, or says that trying again
    may help. A client that left for no such reason had no failure.
    """
    head = exchange.head
    wait = 0.0 if head is None else asked_wait_seconds(head, time.time())
    return Ended(now_seconds, _failed(exchange, host, path), wait)


def _failed(exchange: Exchange, host: str, path: str) -> bool:
    if exchange.outcome in ("injected", "upstream-error"):
        return True
    if exchange.outcome not in ("forwarded", "harmed", "not-reached"):
        return False
    if exchange.outcome == "harmed" and (_was_harmed(exchange) or not exchange.answered):
        return True
    return exchange.head is not None and provider_for(host, path).is_transient(exchange.head)


def _was_harmed(exchange: Exchange) -> bool:
    return exchange.performer is not None and exchange.performer.harmed
