"""A connection that a rule broke before a request came by it, as an attempt of a call.

What the client would have asked is not known: its call is known by the client and the host.
"""

from __future__ import annotations

from attrs import define

from faultinject.faults.breaks import Break
from faultinject.observed import Failure, FailureKind, Observed, Taken
from faultinject.providers.known import provider_for
from faultinject.providers.retries import failure_kind
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.exchange_end import ExchangeEnd
from faultinject.proxy.session import Session
from faultinject.rules.attempts import Attempt, Ended
from faultinject.seen import AnySeen, seen_of


@define(eq=False, repr=False)
class BrokenConnection:
    """A client's connection to a target on its way, which a rule breaks."""

    session: Session

    def end(self, end: ExchangeEnd, counted: Attempt | None) -> None:
        """Do nothing: all is noted by `seen`, once it is over."""

    def seen(self, exchange: Exchange, _counted: Attempt | None) -> AnySeen | None:
        """Return what was seen of a CONNECT that a rule answered, or broke off."""
        how = exchange.taken
        return self.broken("connect", _kind_of_connect(exchange, how), how)

    def broken_handshake(self, breaks: Break, how: Taken) -> AnySeen | None:
        """Return what was seen of a TLS handshake that a rule broke."""
        return self.broken("handshake", "transient" if breaks.how.may_pass else "final", how)

    def broken(self, failure: Failure, kind: FailureKind, how: Taken) -> AnySeen | None:
        """Count the attempt, and return what is told of it; None if its client is unknown."""
        way, runtime = self.session.way, self.session.runtime
        if way is None:
            return None
        runtime.counters.backlog.catch_up()
        attempt = runtime.counters.attempts.begin_broken(way)
        attempt.end(Ended(runtime.now_seconds, failed=True))
        observed = Observed(
            began_seconds=round(way.began_seconds, 3),
            call=int(attempt.call),
            attempt=attempt.number,
            gap_seconds=None if attempt.gap_seconds is None else round(attempt.gap_seconds, 3),
            taken=how,
            failure=failure,
            failure_kind=kind,
            request=way.digest,
        )
        return seen_of(observed)


def _kind_of_connect(exchange: Exchange, how: Taken) -> FailureKind:
    """Return what a proxy's answer to a CONNECT says; without one the connection broke."""
    if exchange.head is None or how != "whole":
        return "transient"
    return failure_kind(provider_for("", ""), exchange.head, None)
