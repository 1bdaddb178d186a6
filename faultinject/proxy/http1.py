"""Reads the requests of one client connection one after another (HTTP/1.1), and answers each.

No other module assumes that a connection has one request at a time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio
from attrs import define, evolve, field

from faultinject.errors import ClientGoneError, ClientProtocolError, UpstreamError
from faultinject.faults.place import Stage
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.headers import asks_for_websocket
from faultinject.http.message import RequestHead, ResponseHead
from faultinject.net.relay import Relayed
from faultinject.net.streams import CloseMode, send_close_notify
from faultinject.net.tasks import run_with_watcher
from faultinject.observed import Late, Observed
from faultinject.providers.shape import framing_of
from faultinject.proxy.carry_out import carry_out, refuse
from faultinject.proxy.decision import Decision
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.observe import observer_of
from faultinject.proxy.session import Session, report_exchange, report_start, reported_path
from faultinject.proxy.upstream.dial import Origin
from faultinject.rules.facts import Facts


class Routed(NamedTuple):
    """A request as it is sent to its origin."""

    request: RequestHead
    origin: Origin
    mended_from: str | None = None
    """The path that the client sent, if it was corrected."""


_NO_WEBSOCKET = ClientProtocolError(
    "a WebSocket is refused (--refuse-websocket): ask again without", 426
)

Route = Callable[[RequestHead], Routed]
"""Returns where a request goes; raises `ClientProtocolError` if it can go nowhere."""


@define(eq=False)
class Http1Session:
    """Answers a client's requests until it leaves or sends a CONNECT."""

    session: Session
    client: ClientConnection
    route: Route
    ending: CloseMode = field(default=CloseMode.CLEAN, init=False)
    """How to close the client's connection once `run` has returned None."""
    _head_ends_by: float | None = field(default=None, init=False)
    """When the head must have arrived whose beginning `first_bytes` has read."""

    async def run(self) -> RequestHead | None:
        """Answer requests. Returns the head of a CONNECT, or None at the connection's end."""
        while not self.session.runtime.draining:
            request = await self._next_request()
            if request is None or request.method == b"CONNECT":
                return request
            await self._exchange(request)
            del request  # most of a connection's life is spent waiting for the next one
            if self.ending is not CloseMode.CLEAN or not self.client.next_cycle():
                break
            if self.session.lease.is_closed:
                break
        if self.ending is CloseMode.CLEAN and self.client.has_unread:
            self.ending = CloseMode.LINGER  # it has asked for more than it will get
        return None

    # Waiting for a request

    async def first_bytes(self, too_few: Callable[[bytes], bool]) -> bytes:
        """Wait for the client's first bytes and return them; `run` reads them again.

        Reads on while ``too_few`` returns True, for at most the time that a head may take. Returns
        no bytes if the client leaves first, or the session should end.
        """
        self.session.timeout.reset("a request", self.session.idle_seconds)
        try:
            if await self._stays_idle():
                seconds = self.session.runtime.limits.head_seconds
                self._head_ends_by = trio.current_time() + seconds
                with trio.CancelScope(deadline=self._head_ends_by):
                    while too_few(self.client.unread) and await self.client.read_more():
                        pass
        except ClientGoneError:
            return b""
        return self.client.unread

    async def _next_request(self) -> RequestHead | None:
        """Return the next request's head, or None if there is none and the session is over."""
        limits = self.session.runtime.limits
        self.session.timeout.reset("a request", self.session.idle_seconds)
        try:
            request = self.client.buffered_request()
            while request is None:  # an empty line may come first, and the head much later
                if self.client.has_unread:
                    request = await self._rest_of_head(limits.head_seconds)
                elif await self._stays_idle():
                    self._head_ends_by = None
                    request = self.client.buffered_request()
                else:
                    return None
        except ClientGoneError:
            return None
        except ClientProtocolError as error:
            await self.refuse(None, error)
            return None
        self._head_ends_by = None
        self.session.timeout.reset("the exchange", limits.idle_seconds)
        return request

    async def _stays_idle(self) -> bool:
        """Wait for the client's next bytes; return False if the session should end instead."""
        self.session.idle = True
        try:
            return await self._wait_for_bytes()
        except trio.Cancelled:  # the proxy stops, or nothing came for too long
            await send_close_notify(self.client.stream)
            raise
        finally:
            self.session.idle = False

    async def _wait_for_bytes(self) -> bool:
        lease = self.session.lease
        upstream = lease.idle_connection
        if upstream is None:
            return await self.client.read_more()
        with trio.CancelScope(deadline=trio.current_time() + lease.watch_after_seconds):
            return await self.client.read_more()  # mostly the next request follows at once

        async def watch(ended: trio.CancelScope) -> None:
            # A client sees its origin close an idle connection; so shall ours.
            await upstream.wait_until_not_idle()
            ended.cancel()

        return bool(await run_with_watcher(watch, self.client.read_more))

    async def _rest_of_head(self, head_seconds: float) -> RequestHead | None:
        """Return the head that has begun to arrive; None if it was an empty line."""
        ends_by, self._head_ends_by = self._head_ends_by, None
        with trio.CancelScope(deadline=ends_by or trio.current_time() + head_seconds):
            while self.client.has_unread:
                if not await self.client.read_more():
                    raise ClientGoneError("the client closed the connection within a head")
                if (request := self.client.buffered_request()) is not None:
                    return request
            return None
        raise ClientProtocolError(f"the request's head did not end within {head_seconds:g} s", 408)

    # One exchange

    async def _exchange(self, request: RequestHead) -> None:
        try:
            routed = self.route(request)
        except ClientProtocolError as error:
            await self.refuse(request, error)
            return
        decision = self._decision(routed.request, routed.origin)
        decision.facts.path_mended_from = routed.mended_from
        if (way := self.session.way) is not None and way.is_fresh:
            self.session.way = evolve(way, is_fresh=False)
        await self._carry_out(decision, routed.origin, self._decide_and_perform)

    def _decision(self, request: RequestHead, origin: Origin) -> Decision:
        authority = origin.authority
        facts = Facts(
            authority.host,
            authority.port,
            request,
            connection=self.session.id,
            began_seconds=self.session.runtime.now_seconds,
            way=self.session.way,
            apis=self.session.runtime.apis,
        )
        return Decision(self.session, self.client, facts, request)

    async def _carry_out(
        self,
        decision: Decision,
        origin: Origin,
        perform: Callable[[Exchange, Decision, Origin], Awaitable[None]],
    ) -> None:
        exchange = self._new_exchange(decision.request, origin)
        exchange.page = self.session.runtime.origins.page(origin.authority, decision.request)
        observer = decision.observer = observer_of(self.session, self.client, decision.facts)
        if self.session.runtime.tells_starts:
            path = reported_path(decision.request)
            report_start(self.session, decision.facts, origin.scheme, path)
        try:
            await perform(exchange, decision, origin)
        finally:
            decision.end_attempt(exchange.end)
            decision.plan.end()
            self.client.on_received = self.client.on_sent = None
            self.ending = self._ending_after(exchange)
            observed = None if observer is None else observer.observed(exchange)
            rule_id, facts = decision.plan.rule_id, decision.facts
            self._report(exchange, rule_id, facts, observed)
        self._warn_of_unknown_stream(exchange.head, decision.facts)

    def _warn_of_unknown_stream(self, head: ResponseHead | None, facts: Facts) -> None:
        """Warn of a stream that no rule for streams can change."""
        runtime, rules = self.session.runtime, self.session.runtime.rule_set
        if head is None or not (rules.asks_for_streams or rules.harms_streams):
            return
        spoken = facts.provider.shape_of(facts.path)
        if (kind := spoken.unknown_stream(head, facts.api_request)) is not None:
            runtime.warn_once(
                f"{facts.host} answers with a stream of {kind}, which is not recognised: rules for"
                " streams do nothing to it"
            )
        elif rules.asks_for_streams and facts.body is not None and _unasked(head, facts):
            runtime.warn_once(
                f"{facts.host} answers with a stream to a request whose body does not ask for one:"
                " rules with stream: true in their match are not for it"
            )

    async def _decide_and_perform(
        self, exchange: Exchange, decision: Decision, origin: Origin
    ) -> None:
        asks_rules = True
        if self._wants_websocket(decision):
            if self.session.runtime.refuses_websockets:
                await refuse(exchange, _NO_WEBSOCKET)
                return
            asks_rules = not self.session.runtime.fakes_targets
        try:
            if asks_rules:
                await decision.make()
        except ClientGoneError as error:
            exchange.error, exchange.departure = str(error), error
        except UpstreamError as error:
            exchange.outcome, exchange.error = "upstream-error", str(error)
        except ClientProtocolError as error:
            await refuse(exchange, error)
        else:
            if decision.plan.attempt is not None or decision.observer is not None:
                exchange.on_end = decision.end_attempt
            await carry_out(exchange, decision, origin)

    async def answer_connect(self, request: RequestHead, origin: Origin) -> bool:
        """Answer a CONNECT if a rule does; return False if none does, so that a tunnel opens.

        Afterwards the client may send another request, unless `ending` is set.
        """
        runtime, stage = self.session.runtime, Stage.CONNECT
        if not runtime.rule_set.has(stage):
            return False
        decision = self._decision(request, origin)
        decision.plan = runtime.decide(runtime.rule_set, decision.facts, stage)
        if decision.plan.respond is None and decision.plan.breaks is None:
            decision.plan.end()
            return False
        await self._carry_out(decision, origin, carry_out)
        if self.ending is CloseMode.CLEAN and not self.client.next_cycle():
            self.ending = CloseMode.LINGER
        return True

    def _ending_after(self, exchange: Exchange) -> CloseMode:
        if exchange.ending is not None:
            return exchange.ending
        if exchange.upstream_was_reset and not exchange.answered:
            return CloseMode.RESET
        is_read = self.client.request_ended
        if not exchange.answered or (exchange.relayed is not None and exchange.relayed.broken):
            # A reset might destroy what there is of an answer; where there is none, it is as good.
            keeps_words = self.client.response_started and not is_read
            return CloseMode.TRUNCATE_LINGERING if keeps_words else CloseMode.TRUNCATE
        return CloseMode.CLEAN if is_read and not self.client.ended else CloseMode.LINGER

    async def refuse(
        self,
        request: RequestHead | None,
        error: ClientProtocolError,
        origin: Origin | None = None,
    ) -> None:
        """Answer with a local reply (an error) and report it; the connection ends after it."""
        self.ending = CloseMode.LINGER
        exchange = self._new_exchange(request, origin)
        try:
            await refuse(exchange, error)
        finally:
            self._report(exchange, None)

    def _wants_websocket(self, decision: Decision) -> bool:
        """Return True if a target is asked for a WebSocket."""
        if not asks_for_websocket(decision.request):
            return False
        return self.session.runtime.target_of(decision.facts.host, decision.facts.port) is not None

    def _new_exchange(self, request: RequestHead | None, origin: Origin | None) -> Exchange:
        session = self.session
        number, started = session.begin_exchange(), time.perf_counter()
        return Exchange(session, self.client, number, started, request, origin)

    def _report(
        self,
        exchange: Exchange,
        rule_id: str | None,
        facts: Facts | None = None,
        observed: Observed | Late | None = None,
    ) -> None:
        request, origin, relayed = exchange.request, exchange.origin, exchange.relayed or Relayed()
        report_exchange(
            self.session,
            origin.authority if origin else None,
            exchange.started,
            number=exchange.number,
            method=request.method.decode("ascii") if request else "",
            scheme=origin.scheme if origin else "http",
            path=reported_path(request) if request else "",
            outcome=exchange.outcome,
            rule=rule_id,
            status=exchange.status,
            request_bytes=self.client.body_bytes_received + relayed.sent_bytes,
            response_bytes=self.client.body_bytes_sent + relayed.received_bytes,
            error=exchange.error,
            fault=None if exchange.fault_filter is None else exchange.fault_filter.words,
            kind=None if facts is None else facts.kind,
            path_mended_from=None if facts is None else facts.path_mended_from,
            observed=observed,
        )


def _unasked(head: ResponseHead, facts: Facts) -> bool:
    """Return True if a response is a stream though the request's body does not ask for one."""
    return head.status == 200 and framing_of(head) is not None and not facts.stream
