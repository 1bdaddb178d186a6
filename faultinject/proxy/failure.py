"""How an exchange failed as an attempt of a call, and how its client took the answer."""

from __future__ import annotations

import re
from typing import Any

from faultinject.observed import Failure, FailureKind, Taken
from faultinject.providers.framing import StreamEvent
from faultinject.providers.provider import Provider
from faultinject.providers.retries import failure_kind
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.traffic_copy import TrafficCopy


def taken(exchange: Exchange, *, stopped: bool) -> Taken:
    """Return how the client took the answer; ``stopped`` says that the run has ended."""
    if exchange.answered:
        return "whole"
    if exchange.departure is not None:
        return "reset" if exchange.departure.was_reset else "left"
    return "stopped" if stopped and exchange.broken_off else "broken"


def failure_of(
    fault_filter: FaultFilter | None,
    copy: TrafficCopy,
    provider: Provider,
    path: str,
    document: Any,
    how: Taken,
) -> tuple[Failure, FailureKind] | None:
    """Return how an exchange failed; None if it did not, or if the client left for no failure.

    ``document`` is an error's body as a JSON value, or None.
    """
    if fault_filter is not None and how != "whole" and _is_silent(fault_filter):
        return "stalled", "transient"
    if how in ("left", "reset", "stopped"):
        return _left_because(fault_filter)
    head = copy.head
    if head is None:
        return "no-answer", "transient"
    if head.status >= 400 and how == "whole":
        return "answer", failure_kind(provider, head, document)
    failure: Failure | None
    if copy.tail is not None and head.status < 400:
        failure = _of_stream(fault_filter, copy.tail.last, provider, path, how)
    else:
        failure = "cut" if how == "broken" else None
    return None if failure is None else (failure, "transient")


def _is_silent(fault_filter: FaultFilter) -> bool:
    """Return whether the plan has the answer fall silent, and that has begun."""
    stalls = any(each.action.causes == "stalled" for each in fault_filter.plan.stream)
    return fault_filter.silent or (stalls and fault_filter.done)


def _of_stream(
    fault_filter: FaultFilter | None,
    last: StreamEvent | None,
    provider: Provider,
    path: str,
    how: Taken,
) -> Failure | None:
    """Return how a stream failed; ``last`` is its last event."""
    harm = _harm(fault_filter)
    if harm == "error-event" or is_error_event(last):
        return "error-event"
    is_harmed = fault_filter is not None and fault_filter.harmed
    if how == "broken" or (is_harmed and not provider.shape_of(path).ends_with(last)):
        return "truncated"
    return harm


def _left_because(fault_filter: FaultFilter | None) -> tuple[Failure, FailureKind] | None:
    """Return what an answer had that made its client leave, if that is known."""
    harm = _harm(fault_filter)
    return None if harm is None else (harm, "transient")


def _harm(fault_filter: FaultFilter | None) -> Failure | None:
    """Return which failure a rule has put within a stream."""
    if fault_filter is None or not fault_filter.harmed:
        return None
    seen = {each.action.causes for each in fault_filter.plan.stream}
    harms: tuple[Failure, ...] = ("error-event", "malformed")
    return next((harm for harm in harms if harm in seen), None)


_ERROR = re.compile(rb'\s*\{\s*"(?:error"|type"\s*:\s*"error")')


def is_error_event(last: StreamEvent | None) -> bool:
    """Return True if an event is an error: by its name, of Amazon's by its type, or by its data."""
    if last is None:
        return False
    name = last.name or ""
    return name == "error" or name.endswith("Exception") or bool(_ERROR.match(last.data))
