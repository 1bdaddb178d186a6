"""One request and its response: from a rule, from the upstream, or a local reply (an error).

`faultinject.proxy.http1` makes an `Exchange` for each request and calls one of its methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import trio
from attrs import define, evolve, field

from faultinject.errors import ClientGoneError, ClientProtocolError, UnansweredError, UpstreamError
from faultinject.events import Outcome
from faultinject.faults.respond import InjectedResponse
from faultinject.http.cors import BrowserPage
from faultinject.http.h1.connection import CONTINUE, ClientConnection
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import send_close_notify
from faultinject.net.timeouts import Timeout
from faultinject.providers.framing import Tail
from faultinject.providers.known import provider_for
from faultinject.proxy.exchange_end import ExchangeEnd, is_good
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.forward import Forwarding
from faultinject.proxy.local_reply import dated, local_reply
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease
from faultinject.settings import Limits

_WHOLE: tuple[Outcome, ...] = ("forwarded", "harmed", "not-reached", "injected")
"""Outcomes after which the upstream's connection is good if its answer came to its end."""


@define(eq=False)
class Exchange:
    """One request and its response, on borrowed connections.

    Afterwards ``outcome``, ``status`` and ``error`` show how it went, and
    `ClientConnection.next_cycle` whether the client's connection can serve another request.
    """

    client: ClientConnection
    lease: Lease
    timeout: Timeout
    limits: Limits
    fault_filter: FaultFilter | None = None
    """Carries out the plan, if it does more than inject or pass on a response."""
    page: BrowserPage | None = None
    """The page in a browser that sent the request."""
    on_upgrade: Callable[[], None] = lambda: None
    """Called after a 101, when the connection becomes a relay."""
    on_end: Callable[[ExchangeEnd], None] | None = None
    """Called with how it ends, before the client can notice it; None if nobody counts attempts."""
    outcome: Outcome = "client-gone"
    head: ResponseHead | None = None
    """The head of the response that the client was sent; None if none had begun."""
    status: int | None = None
    error: str | None = None
    answered: bool = False
    """Whether the client was sent a whole response."""
    broken_off: bool = False
    """Whether it was cancelled before the response's end: by a time limit, or as the run ended."""
    departure: ClientGoneError | None = None
    """How the client left before the response's end; None if it did not."""
    upstream_was_reset: bool = False
    """Whether the response broke off because the upstream reset its connection."""
    relayed: Relayed = field(factory=Relayed)
    """What was relayed after an upgrade."""
    _own: Outcome | None = None
    """The outcome of the response that did not come from the upstream, once it is being sent."""

    @property
    def end(self) -> ExchangeEnd:
        """How it ended, once it is over."""
        fault_filter = self.fault_filter
        head = self.head or (fault_filter.head if fault_filter is not None else None)
        return ExchangeEnd(self.outcome, head, fault_filter, self.answered)

    async def before_last(self, head: ResponseHead | None, *, whole: bool = True) -> None:
        """Note that the last bytes of the response are about to be sent.

        The client may act on them before this task runs again. As long as there is no room for
        them the exchange is not over. ``whole`` says whether the response is complete then. A
        response that gives no reason to try again is not noted before its end. Raises
        `ClientGoneError`.
        """
        plain = self.fault_filter is None and self._own is None
        if self.on_end is None or (plain and whole and head is not None and head.status < 400):
            return
        end = ExchangeEnd(self._own or self._passed_on, head, self.fault_filter, whole)
        if not is_good(end):
            await self.client.wait_for_room()
            self.on_end(end)

    def client_left(self, head: ResponseHead | None) -> None:
        """Note that the client has left: its next attempt may have begun already."""
        if self.on_end is not None:
            outcome = self._own if self._own and self._has_begun else None
            outcome = outcome or self._unless_harmed("client-gone")
            self.on_end(ExchangeEnd(outcome, head, self.fault_filter, answered=False))

    async def inject(
        self, request: RequestHead, response: InjectedResponse, *, last: bool = False
    ) -> None:
        """Send a rule's response after reading the request; with ``last`` the connection closes."""
        await self._answer("injected", request.method, response, closes=last)

    async def refuse(self, method: bytes, problem: ClientProtocolError) -> None:
        """Send a local reply to a request that cannot be served; the connection closes after it."""
        self.error = str(problem)
        if self.client.response_started:
            self.outcome = "refused"
            return  # too late for a reply
        response = local_reply(problem.status, "request", str(problem))
        await self._answer("refused", method, response, last=True)

    async def forward(
        self, request: RequestHead, origin: Origin, received: tuple[Part, ...] = ()
    ) -> None:
        """Send the request to the upstream, and its response to the client as it arrives.

        ``received`` is what was read of the request's body already.
        """
        await self._ask(request, origin, received, self._after_answer, self._response_ended)

    async def forward_and_discard(
        self,
        request: RequestHead,
        origin: Origin,
        response: InjectedResponse,
        *,
        received: tuple[Part, ...] = (),
        last: bool = False,
    ) -> None:
        """Send the request to the upstream, discard its response, and send a rule's instead."""

        async def inject(_: Forwarding) -> None:
            if not self.lease.borrowed.next_cycle():
                await self.lease.discard()
            await self.inject(request, response, last=last)

        await self._ask(request, origin, received, inject)

    async def _ask(
        self,
        request: RequestHead,
        origin: Origin,
        received: tuple[Part, ...],
        then: Callable[[Forwarding], Awaitable[None]],
        on_answer: Callable[[], None] | None = None,
    ) -> None:
        forwarding = Forwarding(
            self.client, self.lease, self.timeout, self.limits, self.fault_filter
        )
        forwarding.on_answer = on_answer
        if self.on_end is not None:
            forwarding.before_last, forwarding.on_gone = self.before_last, self.client_left
        forwarding.on_head = None if self.page is None else self.page.learn
        try:
            await forwarding.run(request, origin, received)
            await then(forwarding)
        except UpstreamError as error:
            await self._gateway_error(request.method, error)
        except ClientGoneError as error:
            self._client_left(request, origin, forwarding.stream_tail, error)
        except ClientProtocolError as error:
            await self.refuse(request.method, error)
        finally:
            if self.error is None and not self._is_complete:  # a time limit, or the proxy stops
                self.broken_off, self.outcome = True, self._unless_harmed("upstream-error")
                self.error = "broken off before the answer's end"
            self.head, self.status = self.head or forwarding.head, self.status or forwarding.status
            if not self._upstream_stays_good():
                await self.lease.discard()

    def _client_left(
        self,
        request: RequestHead,
        origin: Origin,
        tail: Tail | None,
        error: ClientGoneError,
    ) -> None:
        """Set the outcome of an exchange whose client left before the response's end.

        Most clients close the connection at a stream's last event: those have all of it.
        """
        path = request.target.partition(b"?")[0].decode("ascii", "backslashreplace")
        shape = provider_for(origin.authority.host, path).shape_of(path)
        if tail is not None and shape.ends_with(tail.last):
            self.outcome, self.answered = self._passed_on, True
        else:
            self.departure = error
            self.outcome, self.error = self._unless_harmed("client-gone"), str(error)

    def _upstream_stays_good(self) -> bool:
        """Return True if the upstream's connection can serve another request."""
        connection = self.lease.connection
        if connection is None or self.outcome not in _WHOLE:
            return False
        return connection.idle or connection.next_cycle()

    @property
    def _is_complete(self) -> bool:
        """Whether the exchange ended as planned."""
        return self.answered or (
            self.fault_filter is not None and self.fault_filter.ending is not None
        )

    @property
    def _passed_on(self) -> Outcome:
        """The outcome if the upstream's response was sent on to its end."""
        return self._unless_harmed("forwarded" if self.fault_filter is None else "not-reached")

    def _unless_harmed(self, outcome: Outcome) -> Outcome:
        """Return ``harmed`` if a rule has done something already, else the outcome."""
        return "harmed" if self._has_begun else outcome

    @property
    def _has_begun(self) -> bool:
        """Whether a rule has done something already."""
        return self.fault_filter is not None and self.fault_filter.done

    async def _after_answer(self, forwarding: Forwarding) -> None:
        if forwarding.status == 101:
            self.answered, self.outcome = True, "upgraded"
            self.on_upgrade()
            await self._relay_upgraded()

    def _response_ended(self) -> None:
        """Set the outcome: the response is complete, though the request may not be."""
        fault_filter = self.fault_filter
        self.outcome = self._passed_on
        self.answered = fault_filter is None or fault_filter.ending is None

    async def _relay_upgraded(self) -> None:
        """Relay bytes both ways: after the 101 the peers use another protocol."""
        upstream, relayed = self.lease.borrowed, self.relayed
        try:
            await upstream.send_raw(self.client.unread)
            await self.client.send_raw(upstream.unread)
        except (ClientGoneError, UpstreamError) as error:
            self.error = str(error)
            return
        await relay(
            self.client.stream, upstream.stream, relayed, self.timeout, self.limits.idle_seconds
        )
        self.error = relayed.error
        if not relayed.broken:
            await send_close_notify(upstream.stream)

    async def _gateway_error(self, method: bytes, error: UpstreamError) -> None:
        self.error, self.upstream_was_reset = str(error), error.was_reset
        if self.client.response_started or isinstance(error, UnansweredError):
            self.outcome = "upstream-error"
            return  # the client's connection is cut, as the upstream's was
        response = local_reply(error.status, error.kind, str(error))
        await self._answer("upstream-error", method, response)

    async def _answer(
        self,
        outcome: Outcome,
        method: bytes,
        response: InjectedResponse,
        *,
        last: bool = False,
        closes: bool = False,
    ) -> None:
        """Send a whole response after reading the request's body.

        If a connection is closed with an unread body, the client gets a reset, which may destroy
        the response; and a client that is still sending may not look for one. With ``last`` the
        body is not read, and the connection closes; with ``closes`` it only closes.
        """
        if self.page is not None:
            response = evolve(response, headers=self.page.with_page_headers(response.headers))

        async def send(whole: bool) -> int:
            parts = dated(response, close=closes or not whole)
            head = cast("ResponseHead", parts[0])
            parts = (head, End()) if method == b"HEAD" else parts
            if self.fault_filter is not None and outcome == "injected":
                await self.fault_filter.answer(parts, self.lease)
            else:
                self.timeout.reset("the client to read its answer", self.limits.send_seconds)
                await self.before_last(head)
                await self.client.send(*parts)
            self.head = head
            return response.status

        await self.reply_locally(outcome, method, send, last=last)

    async def reply_locally(
        self,
        outcome: Outcome,
        method: bytes,
        send: Callable[[bool], Awaitable[int | None]],
        *,
        last: bool = False,
    ) -> None:
        """Send something that did not come from the upstream, after reading the request's body.

        ``send`` gets True if the request was read to its end. It returns the status.
        """
        self._own = outcome
        try:
            is_read = await self._prepare_reply(last)
            self.status = await send(not last and (is_read or await self._drain_request()))
        except ClientGoneError as error:
            self.departure = error
            self.outcome = outcome if self._has_begun else "client-gone"
            self.error = self.error or str(error)
        except ClientProtocolError as error:
            await self.refuse(method, error)
        except UpstreamError as error:  # the reply cannot reach the client
            self.outcome, self.error = "upstream-error", str(error)
        else:
            self.outcome = outcome
            self.answered = self.fault_filter is None or self.fault_filter.ending is None
        finally:
            if self.error is None and not self._is_complete:  # a time limit, or the proxy stops
                self.broken_off, self.error = True, "broken off before the answer's end"
                self.outcome = outcome if self._has_begun else self.outcome

    async def _prepare_reply(self, last: bool) -> bool:
        """Get ready to send; return True if the request was read to its end."""
        is_read = self.client.request_ended
        if not last and not is_read:
            self._keep(self.client.buffered_parts())
            is_read = self.client.request_ended
        writes = 2 if self.client.waits_for_continue else 1
        await self.lease.before_local_reply(writes, self.client.unread if is_read else b"")
        return is_read

    def _keep(self, parts: list[Part]) -> None:
        if self.fault_filter is not None:
            self.fault_filter.take_request(parts)

    async def _drain_request(self) -> bool:
        """Read the rest of the request's body; return True if it came to its end.

        The body is discarded, unless the fault filter keeps it.
        """
        if self.client.waits_for_continue:
            await self.client.send(CONTINUE)
        while not self.client.request_ended:
            if self.client.body_bytes_received > self.limits.drained_body_bytes:
                return False
            with trio.move_on_after(self.limits.body_idle_seconds) as pause:
                self._keep(await self.client.receive())
            if pause.cancelled_caught:
                return False
        return True
