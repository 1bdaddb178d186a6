"""Serves one request of a client connection, whatever the version of HTTP.

Finds where it goes, has the rules asked (`faultinject.proxy.decision`) and the plan carried out
(`faultinject.proxy.carry_out`), and reports the exchange.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from attrs import define, evolve

from faultinject.errors import ClientGoneError, ClientProtocolError, UpstreamError
from faultinject.faults.place import Stage
from faultinject.http.exchange_sides import ClientExchange
from faultinject.http.headers import asks_for_websocket
from faultinject.http.message import RequestHead, ResponseHead
from faultinject.matchers import MISSING
from faultinject.net.relay import Relayed
from faultinject.net.timeouts import Timeout
from faultinject.providers.shape import framing_of
from faultinject.proxy.carry_out import carry_out, refuse
from faultinject.proxy.decision import Decision
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.observe import observer_of
from faultinject.proxy.session import Session, report_exchange, report_start, reported_path
from faultinject.proxy.upstream.dial import Origin
from faultinject.rules.facts import Facts
from faultinject.seen import AnySeen


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


@define(eq=False, repr=False)
class RequestServer:
    """Serves the requests of one client connection, one at a time or several at once.

    Each method that serves one returns the exchange, which is over.
    """

    session: Session
    route: Route

    async def serve(
        self, client: ClientExchange, request: RequestHead, time_limit: Timeout
    ) -> Exchange:
        """Answer a request."""
        try:
            routed = self.route(request)
        except ClientProtocolError as error:
            return await self.refuse(client, request, time_limit, error)
        exchange = self._begin(client, time_limit, routed.request, routed.origin)
        decision = self._decision(exchange, routed.request, routed.origin)
        decision.facts.path_mended_from = routed.mended_from
        if (way := self.session.way) is not None and way.is_fresh:
            self.session.way = evolve(way, is_fresh=False)
        await self._carry_out(decision, routed.origin, self._decide_and_carry_out)
        return exchange

    async def answer_connect(
        self, client: ClientExchange, request: RequestHead, time_limit: Timeout, origin: Origin
    ) -> Exchange | None:
        """Answer a CONNECT if a rule does; return None if none does, so that a tunnel opens."""
        runtime, stage = self.session.runtime, Stage.CONNECT
        if not runtime.rule_set.has(stage):
            return None
        facts = self._facts(request, origin)
        plan = runtime.decide(runtime.rule_set, facts, stage)
        if plan.respond is None and plan.breaks is None:
            plan.end()
            return None
        exchange = self._begin(client, time_limit, request, origin)
        await self._carry_out(Decision(exchange, facts, request, plan), origin, carry_out)
        return exchange

    async def refuse(
        self,
        client: ClientExchange,
        request: RequestHead | None,
        time_limit: Timeout,
        error: ClientProtocolError,
        origin: Origin | None = None,
    ) -> Exchange:
        """Answer with a local reply (an error). ``request`` is None if none could be read."""
        exchange = self._begin(client, time_limit, request, origin)
        try:
            await refuse(exchange, error)
        finally:
            self._report(exchange, None)
        return exchange

    def _begin(
        self,
        client: ClientExchange,
        time_limit: Timeout,
        request: RequestHead | None,
        origin: Origin | None,
    ) -> Exchange:
        number, started = self.session.begin_exchange(), time.perf_counter()
        return Exchange(self.session, client, time_limit, number, started, request, origin)

    def _facts(self, request: RequestHead, origin: Origin) -> Facts:
        session, authority = self.session, origin.authority
        return Facts(
            authority.host,
            authority.port,
            request,
            connection=session.id,
            began_seconds=session.runtime.now_seconds,
            way=session.way,
            apis=session.runtime.apis,
        )

    def _decision(self, exchange: Exchange, request: RequestHead, origin: Origin) -> Decision:
        return Decision(exchange, self._facts(request, origin), request)

    async def _carry_out(
        self,
        decision: Decision,
        origin: Origin,
        perform: Callable[[Decision, Origin], Awaitable[None]],
    ) -> None:
        exchange = decision.exchange
        exchange.page = self.session.runtime.origins.page(origin.authority, decision.request)
        observer = observer_of(self.session, exchange.client, decision.facts)
        decision.observer = observer
        if self.session.runtime.tells_starts:
            path = reported_path(decision.request)
            report_start(self.session, exchange.number, decision.facts, origin.scheme, path)
        try:
            await perform(decision, origin)
        finally:
            if observer is None:
                decision.end_attempt(exchange.end)
            decision.plan.end()
            exchange.client.listener = None
            exchange.on_end = None  # else only the garbage collector would free both
            seen = None if observer is None else observer.seen(exchange, decision.plan.attempt)
            self._report(exchange, decision.plan.rule_id, decision.facts, seen)
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
            unread = facts.body and facts.json is MISSING
            why = "could not be read as JSON" if unread else "does not ask for one"
            runtime.warn_once(
                f"{facts.host} answers with a stream to a request whose body {why}: rules"
                " with stream: true in their match are not for it"
            )

    async def _decide_and_carry_out(self, decision: Decision, origin: Origin) -> None:
        exchange, asks_rules = decision.exchange, True
        if self._wants_websocket(decision):
            if self.session.runtime.refuses_websockets:
                await refuse(exchange, _NO_WEBSOCKET)
                return
            asks_rules = not self.session.runtime.fakes_targets
        try:
            if asks_rules:
                await decision.make()
        except ClientGoneError as error:
            exchange.error = str(error)
            exchange.depart(error)
        except UpstreamError as error:
            exchange.outcome, exchange.error = "upstream-error", str(error)
        except ClientProtocolError as error:
            await refuse(exchange, error)
        else:
            if decision.plan.attempt is not None or decision.observer is not None:
                exchange.on_end = decision.end_attempt
            await carry_out(decision, origin)

    def _wants_websocket(self, decision: Decision) -> bool:
        """Return True if a target is asked for a WebSocket."""
        if not asks_for_websocket(decision.request):
            return False
        return self.session.runtime.target_of(decision.facts.host, decision.facts.port) is not None

    def _report(
        self,
        exchange: Exchange,
        rule_id: str | None,
        facts: Facts | None = None,
        seen: AnySeen | None = None,
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
            request_bytes=exchange.client.body_bytes_received + relayed.sent_bytes,
            response_bytes=exchange.client.body_bytes_sent + relayed.received_bytes,
            error=exchange.error,
            fault=None if exchange.fault_filter is None else exchange.fault_filter.words,
            kind=None if facts is None else facts.kind,
            path_mended_from=None if facts is None else facts.path_mended_from,
            seen=seen,
        )


def _unasked(head: ResponseHead, facts: Facts) -> bool:
    """Return True if a response is a stream though the request is not known to ask for one."""
    return head.status == 200 and framing_of(head) is not None and not facts.stream
