"""One request and its response: what is known of it while it is open, and how it ended.

`faultinject.proxy.carry_out` has it answered, and `faultinject.proxy.pump` passes the response on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import trio
from attrs import define, field, frozen

from faultinject.errors import ClientGoneError
from faultinject.events import Outcome
from faultinject.faults.place import Scope
from faultinject.http.cors import BrowserPage
from faultinject.http.exchange_sides import ClientExchange
from faultinject.http.message import RequestHead, ResponseHead
from faultinject.net.relay import Relayed
from faultinject.net.streams import CloseMode
from faultinject.net.timeouts import Timeout
from faultinject.observed import Taken
from faultinject.providers.framing import Tail
from faultinject.proxy.exchange_end import ExchangeEnd, is_good
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.session import Session, report_wait, reported_path
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease, Pacing
from faultinject.settings import Limits


@frozen(eq=False, repr=False)
class Ending:
    """How a plan ends an exchange without its response's proper end."""

    how: CloseMode
    scope: Scope = Scope.REQUEST
    """Whether the client's connection has to end with it, where it could do without."""


@define(eq=False, repr=False)
class Exchange:
    """One request and its response, on borrowed connections.

    Its number, its start and its time limit are its own: with a version of HTTP that allows it, a
    client connection may have several at once.
    """

    session: Session
    client: ClientExchange
    timeout: Timeout
    """Its time limit."""
    number: int
    """Counts the session's exchanges, from 1."""
    started: float
    """When it began: a reading of `time.perf_counter`."""
    request: RequestHead | None = None
    """As the upstream is sent it; None if no request could be read."""
    origin: Origin | None = None
    """Where the request goes; None if it goes nowhere."""
    page: BrowserPage | None = None
    """The page in a browser that sent the request."""
    fault_filter: FaultFilter | None = None
    """What the rules' plan does to the response; None if nothing."""
    on_end: Callable[[ExchangeEnd], None] | None = None
    """Called with how it ends, before the client can notice it; None if nobody counts attempts."""

    # How it goes
    own: Outcome | None = None
    """The outcome of the response that did not come from the upstream, once it is being sent."""
    head: ResponseHead | None = None
    """The head of the response that the client was sent; None if none had begun."""
    tail: Tail | None = None
    """The last that was passed on of the upstream's response, if it is a stream of a known form."""
    answered: bool = False
    """Whether the client was sent a whole response."""
    ending: Ending | None = None
    """How the plan ends it; None if it does not."""

    # How it ended
    outcome: Outcome = "client-gone"
    error: str | None = None
    broken_off: bool = False
    """Whether it was cancelled before the response's end: by a time limit, or as the run ended."""
    departure: Literal["left", "reset"] | None = None
    """How the client left before the response's end; None if it did not."""
    upstream_was_reset: bool = False
    """Whether the response broke off because the upstream reset its connection."""
    relayed: Relayed | None = None
    """What was relayed after an upgrade."""
    _client_ended: trio.Event | None = field(default=None, init=False)

    @property
    def lease(self) -> Lease:
        """The upstream's connections."""
        return self.session.lease

    @property
    def pacing(self) -> Pacing | None:
        """What is to be done at which time, where that matters."""
        return self.session.lease.pacing

    @property
    def is_paced(self) -> bool:
        """Whether the client may be read only after the upstream was sent its request."""
        pacing = self.session.lease.pacing
        return pacing is not None and pacing.is_strict

    def pause(self, writes: int, guessed: int = 0) -> None:
        """Note that a pause follows; see `Pacing.before_pause`."""
        if (pacing := self.session.lease.pacing) is not None:
            pacing.before_pause(writes, guessed)

    @property
    def limits(self) -> Limits:
        """The run's limits."""
        return self.session.runtime.limits

    @property
    def status(self) -> int | None:
        """The status that the client was sent."""
        return None if self.head is None else self.head.status

    @property
    def is_head(self) -> bool:
        """Whether the request is a HEAD, whose response has no body."""
        return self.request is not None and self.request.method == b"HEAD"

    # While it is open

    async def before_last(self, head: ResponseHead | None, *, whole: bool = True) -> None:
        """Note that the last bytes of the response are about to be sent.

        The client may act on them before this task runs again. As long as there is no room for
        them the exchange is not over. ``whole`` says whether the response is complete then. One
        that gives no reason to try again is not noted before its end. Raises `ClientGoneError`.
        """
        if self.on_end is None:
            return
        end = ExchangeEnd(self.own or self.passed_on, head, self.fault_filter, whole)
        if not is_good(end):
            await self.client.wait_for_room()
            self.on_end(end)

    def report_wait(self, words: str, seconds: float) -> None:
        """Report that a fault begins to take time: in words, and for how long at most."""
        request, origin, fault_filter = self.request, self.origin, self.fault_filter
        report_wait(
            self.session,
            origin.authority if origin else None,
            words,
            seconds,
            number=self.number,
            method=request.method.decode("ascii") if request else "",
            scheme=origin.scheme if origin else "http",
            path=reported_path(request) if request else "",
            rule=fault_filter.plan.rule_id if fault_filter else None,
        )

    # The client, while it waits

    async def watch(self) -> None:
        """Watch the client; return when there is nothing more to watch for.

        Raises `ClientGoneError` if it does not want the response any more: the upstream should stop
        working on it.
        """
        pacing = self.pacing
        if pacing is not None and not pacing.before_watch():
            return
        may_read = _may_always if pacing is None else pacing.before_read
        try:
            if await self.client.wait_until_gone(may_read, self.limits.early_bytes):
                self.client_ended.set()
        except ClientGoneError:
            self._client_left()
            raise

    @property
    def client_ended(self) -> trio.Event:
        """Set when the client has ended its side and may still be reading."""
        if self._client_ended is None:
            self._client_ended = trio.Event()
        return self._client_ended

    def _client_left(self) -> None:
        """Note that the client has left: its next attempt may have begun already."""
        if self.on_end is not None:
            outcome = self.own if self.own and self.has_begun else None
            outcome = outcome or self.unless_harmed("client-gone")
            self.on_end(ExchangeEnd(outcome, self.head, self.fault_filter, answered=False))

    # How it ended

    def depart(self, error: ClientGoneError) -> None:
        """Note that the client has left. The error is not kept: by its traceback it has all this.

        Only the garbage collector would free that, two TLS connections among it.
        """
        self.departure = "reset" if error.was_reset else "left"

    @property
    def end(self) -> ExchangeEnd:
        """How it ended, once it is over."""
        return ExchangeEnd(self.outcome, self.head, self.fault_filter, self.answered)

    @property
    def taken(self) -> Taken:
        """How the client took the response, once it is over."""
        if self.answered:
            return "whole"
        if self.departure is not None:
            return self.departure
        run_ended = self.session.runtime.draining or not self.timeout.expired
        return "stopped" if self.broken_off and run_ended else "broken"

    @property
    def is_complete(self) -> bool:
        """Whether it ended as planned."""
        return self.answered or self.ending is not None

    @property
    def passed_on(self) -> Outcome:
        """The outcome if the upstream's response was sent on to its end."""
        return self.unless_harmed("forwarded" if self.fault_filter is None else "not-reached")

    def unless_harmed(self, outcome: Outcome) -> Outcome:
        """Return ``harmed`` if a rule has done something already, else the outcome."""
        return "harmed" if self.has_begun else outcome

    @property
    def has_begun(self) -> bool:
        """Whether a rule has done something already."""
        return self.fault_filter is not None and self.fault_filter.done


def _may_always(_: bytes) -> bool:
    return True
