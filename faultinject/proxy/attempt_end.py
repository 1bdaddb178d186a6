"""How an exchange ended, as an attempt of a call: whether it failed, and what wait it asked for."""

from __future__ import annotations

import time

from faultinject.http.message import ResponseHead
from faultinject.providers import provider_for
from faultinject.providers.retries import asked_wait_seconds
from faultinject.proxy.exchange import Exchange
from faultinject.rules.attempts import Ended


def ended(exchange: Exchange, host: str, path: str, now_seconds: float) -> Ended:
    """Return how it ended. ``now_seconds`` is the time of the run.

    A rule made it fail if it answered in the API's place, harmed what came, or took so long that
    the client left. The API did if its answer never came or broke off, or says that trying again
    may help. A client that left for no such reason had no failure.
    """
    head = _head(exchange)
    wait = 0.0 if head is None else asked_wait_seconds(head, time.time())
    return Ended(now_seconds, _failed(exchange, host, path), wait)


def _failed(exchange: Exchange, host: str, path: str) -> bool:
    if exchange.outcome == "upstream-error":
        return True
    if exchange.outcome in ("injected", "harmed") and _failed_by_rule(exchange):
        return True
    head = _head(exchange)
    if head is None or exchange.outcome not in ("forwarded", "harmed", "not-reached"):
        return False
    return provider_for(host, path).is_transient(head)


def _head(exchange: Exchange) -> ResponseHead | None:
    performer = exchange.performer
    return exchange.head or (performer.head if performer is not None else None)


def _failed_by_rule(exchange: Exchange) -> bool:
    performer = exchange.performer
    if performer is None or performer.harmed or not exchange.answered:
        return True
    return exchange.outcome == "injected" and not performer.plan.stream
