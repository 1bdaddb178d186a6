"""Carries out a plan of the rules: inject, forward and change, break off, or make up a response."""

from __future__ import annotations

import math

from attrs import define, evolve

from faultinject.faults.breaks import Break, break_words
from faultinject.faults.delay import Before
from faultinject.faults.place import Ability, Stage
from faultinject.faults.render import render_proxy_reply, render_reply
from faultinject.faults.respond import InjectedResponse, Respond
from faultinject.http.headers import uncompressed
from faultinject.http.message import End, Part, RequestHead
from faultinject.providers.synthetic import SPACING_SECONDS, document_of, synthetic_response
from faultinject.proxy.disconnect import ClientWatch
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.fault_filter import FaultFilter
from faultinject.proxy.upstream.dial import Origin
from faultinject.rules.decide import Plan
from faultinject.rules.facts import Facts


def fault_filter_of(exchange: Exchange, plan: Plan, facts: Facts) -> FaultFilter:
    """Return the fault filter for a plan in an exchange."""
    return FaultFilter(
        exchange.client,
        exchange.lease,
        exchange.timeout,
        exchange.limits,
        plan,
        facts.provider,
        facts.api_request,
        exchange.client_left,
        has_body=facts.method != "HEAD",
        before_last=None if exchange.on_end is None else exchange.before_last,
    )


def _may_end(plan: Plan) -> bool:
    """Return True if a plan may end the connection before the client leaves."""
    if plan.breaks is not None and plan.breaks.how.lasts_seconds < math.inf:
        return True
    return any(not _ENDS.isdisjoint(each.action.needs) for each in plan.stream)


_ENDS = {Ability.CLOSE, Ability.RESET}


@define(eq=False)
class Planned:
    """One exchange whose plan does more than forward or inject at once."""

    exchange: Exchange
    plan: Plan
    fault_filter: FaultFilter
    request: RequestHead
    origin: Origin
    received: tuple[Part, ...] = ()
    """What was read of the request's body already."""

    async def run(self) -> None:
        """Carry out the plan."""
        lease = self.exchange.lease
        lease.may_end = _may_end(self.plan)
        try:
            await self._run()
        finally:
            lease.may_end = False

    async def _run(self) -> None:
        plan, breaks = self.plan, self.plan.breaks
        if breaks is not None and breaks.point is None:
            await self._break(breaks)
        elif plan.respond is not None:
            await self._respond(plan.respond)
        elif plan.stream and plan.upstream == "skipped":
            await self._make()
        else:
            harms = bool(plan.stream) or breaks is not None
            request = uncompressed(self.request) if harms else self.request
            await self.exchange.forward(request, self.origin, self.received)

    # A rule's response

    async def _respond(self, respond: Respond) -> None:
        response, last = self._response(respond), not respond.keep_open
        if self.plan.upstream != "answered":
            await self.exchange.inject(self.request, response, last=last)
            return
        self.fault_filter.discards_response = True
        await self.exchange.forward_and_discard(
            self.request, self.origin, response, received=self.received, last=last
        )

    def _response(self, respond: Respond) -> InjectedResponse:
        plan, fault_filter = self.plan, self.fault_filter
        if respond.at is Stage.CONNECT:
            return render_proxy_reply(respond, fault_filter.fields(), plan.marker)
        return render_reply(respond, fault_filter.provider, fault_filter.fields(), plan.marker)

    # No response

    async def _break(self, breaks: Break) -> None:
        async def send(_: bool) -> None:
            await self._watched(breaks)

        early = breaks.at is Stage.REQUEST
        await self.exchange.reply_locally("injected", self.request.method, send, last=early)

    async def _watched(self, breaks: Break) -> None:
        fault_filter = self.fault_filter
        watch = self._new_watch()
        fault_filter.client_ended = watch.ended

        async def act() -> None:
            await fault_filter.wait(Before.UPSTREAM)
            words = break_words(breaks)
            fault_filter.record(words)
            fault_filter.report_wait(words, breaks.how.lasts_seconds)
            await fault_filter.perform_break(breaks)

        await watch.run_while_connected(act)

    def _new_watch(self) -> ClientWatch:
        exchange, on_gone = self.exchange, self.fault_filter.client_left
        return ClientWatch(exchange.client, exchange.lease, exchange.limits, on_gone)

    # A response that is made up, in the upstream's place

    async def _make(self) -> None:
        async def send(whole: bool) -> int | None:
            watch = self._new_watch()
            self.fault_filter.client_ended = watch.ended
            await watch.run_while_connected(lambda: self._send_synthetic(close=not whole))
            return self.fault_filter.status

        self.fault_filter.keeps_request = self.fault_filter.api_request.document is None
        await self.exchange.reply_locally("injected", self.request.method, send)
        if not self.fault_filter.done and self.exchange.outcome == "injected":
            self.exchange.outcome = "not-reached"

    async def _send_synthetic(self, *, close: bool) -> None:
        plan, fault_filter = self.plan, self.fault_filter
        if fault_filter.keeps_request:
            limit = self.exchange.limits.drained_body_bytes
            document = document_of(bytes(fault_filter.kept), self.request.headers, limit)
            fault_filter.api_request = evolve(fault_filter.api_request, document=document)
        await fault_filter.wait(Before.UPSTREAM)
        made = synthetic_response(
            fault_filter.provider,
            fault_filter.api_request,
            fault_filter.fields(),
            plan.numbers("made answer"),
            plan.marker,
            close=close,
        )
        page = self.exchange.page
        await fault_filter.pass_on([made.head if page is None else page.with_cors(made.head)])
        if fault_filter.has_body:
            for place, piece in enumerate(made.pieces):
                if place and await fault_filter.pause(SPACING_SECONDS):
                    return
                if await fault_filter.pass_on([piece]):
                    return
        await fault_filter.pass_on([End()])
