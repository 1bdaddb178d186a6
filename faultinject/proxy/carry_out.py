"""Answers one exchange as its plan says: chooses where the response comes from, and has it sent.

What fails on the way becomes the exchange's outcome, and a local reply (an error) where that is
still possible.
"""

from __future__ import annotations

from faultinject.authority import Authority
from faultinject.errors import ClientGoneError, ClientProtocolError, UnansweredError, UpstreamError
from faultinject.events import Outcome
from faultinject.faults.place import Ability, Stage
from faultinject.faults.render import render_proxy_reply, render_reply
from faultinject.faults.respond import Respond
from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.http.headers import uncompressed
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import send_close_notify
from faultinject.proxy.decision import Decision
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.fault_filter import Discarding, FaultFilter, Filter, fields_of
from faultinject.proxy.forward import UpstreamSource
from faultinject.proxy.local_reply import local_reply
from faultinject.proxy.own_sources import MadeResponse, NoResponse, WholeResponse
from faultinject.proxy.pump import ResponseSource, perform, pump, while_connected
from faultinject.proxy.upstream.dial import Origin
from faultinject.rules import Plan
from faultinject.rules.facts import Facts

_WHOLE: tuple[Outcome, ...] = ("forwarded", "harmed", "not-reached", "injected")
"""Outcomes after which the upstream's connection is good if its answer came to its end."""
_ENDS = frozenset({Ability.CLOSE, Ability.RESET})


async def carry_out(decision: Decision, origin: Origin) -> None:
    """Carry out the plan of a decision."""
    exchange = decision.exchange
    exchange.fault_filter = _fault_filter(exchange, decision)
    if (pacing := exchange.pacing) is None:
        await _carry_out(exchange, decision, origin)
        return
    pacing.begin_exchange(may_end=_may_end(decision.plan))
    try:
        await _carry_out(exchange, decision, origin)
    finally:
        pacing.end_exchange()


def _fault_filter(exchange: Exchange, decision: Decision) -> FaultFilter | None:
    """Return what a plan does to a response; None if nothing."""
    if not decision.plan.changes_response:
        return None
    return FaultFilter(
        decision.plan,
        decision.facts,
        is_paced=exchange.is_paced,
        notes_last=exchange.on_end is not None,
    )


def _may_end(plan: Plan) -> bool:
    """Return True if a plan may end the connection before the client leaves."""
    if plan.breaks is not None:
        return plan.breaks.how.ends
    return any(not _ENDS.isdisjoint(each.action.needs) for each in plan.stream)


async def _carry_out(exchange: Exchange, decision: Decision, origin: Origin) -> None:
    plan, breaks, fault_filter = decision.plan, decision.plan.breaks, exchange.fault_filter
    if plan.source is not None:
        source = WholeResponse(exchange, response=plan.source)
        await _reply(exchange, "injected", source, fault_filter)
    elif plan.respond is not None:
        await _respond(exchange, decision, origin, plan.respond)
    elif breaks is not None and breaks.point is None:
        nothing = NoResponse(exchange, early=breaks.at is Stage.REQUEST)
        await _reply(exchange, "injected", nothing, fault_filter)
    elif fault_filter is not None and plan.stream and plan.upstream == "skipped":
        made = MadeResponse(exchange, fault_filter=fault_filter)
        await _reply(exchange, "injected", made, fault_filter)
        if not fault_filter.done and exchange.outcome == "injected":
            exchange.outcome = "not-reached"
    else:
        harms = bool(plan.stream) or breaks is not None
        request = uncompressed(decision.request) if harms else decision.request
        await _forward(exchange, decision, request, origin)


# A response of our own


async def _respond(
    exchange: Exchange, decision: Decision, origin: Origin, respond: Respond
) -> None:
    """Send a rule's response, perhaps after the upstream was asked."""
    plan, facts = decision.plan, decision.facts
    fields = fields_of(plan, facts)
    if respond.at is Stage.CONNECT:
        response = render_proxy_reply(respond, fields, plan.marker)
    else:
        response = render_reply(respond, facts.provider, fields, plan.marker)
    source = WholeResponse(exchange, response=response, closes=not respond.keep_open)
    if plan.upstream == "answered":
        await _forward(exchange, decision, decision.request, origin, instead=source)
    else:
        await _reply(exchange, "injected", source, exchange.fault_filter)


async def refuse(exchange: Exchange, problem: ClientProtocolError) -> None:
    """Send a local reply to a request that cannot be served; the connection closes after it."""
    exchange.error = str(problem)
    if exchange.client.response_started:
        exchange.outcome = "refused"
        return  # too late for a reply
    response = local_reply(problem.status, "request", str(problem))
    await _reply(exchange, "refused", WholeResponse(exchange, early=True, response=response))


async def _reply(
    exchange: Exchange, outcome: Outcome, source: ResponseSource, passes: Filter | None = None
) -> None:
    """Send something that does not come from the upstream."""
    exchange.own = outcome
    try:
        await pump(source, passes, exchange)
    except ClientGoneError as error:
        exchange.depart(error)
        exchange.outcome = outcome if exchange.has_begun else "client-gone"
        exchange.error = exchange.error or str(error)
    except ClientProtocolError as error:
        await refuse(exchange, error)
    except UpstreamError as error:  # the reply cannot reach the client
        exchange.outcome, exchange.error = "upstream-error", str(error)
    else:
        exchange.outcome = outcome
    finally:
        if exchange.error is None and not exchange.is_complete:
            _break_off(exchange, outcome if exchange.has_begun else exchange.outcome)


def _break_off(exchange: Exchange, outcome: Outcome) -> None:
    """Note that a time limit came, or the proxy stops."""
    exchange.broken_off, exchange.outcome = True, outcome
    exchange.error = "broken off before the answer's end"


# The upstream's response


async def _forward(
    exchange: Exchange,
    decision: Decision,
    request: RequestHead,
    origin: Origin,
    instead: WholeResponse | None = None,
) -> None:
    """Send the request to the upstream, and its response to the client as it arrives.

    ``instead`` is sent in place of the response.
    """
    source = UpstreamSource(exchange, request, origin, decision.received)
    passes = exchange.fault_filter
    try:
        if passes is not None:
            await _wait(passes, source)
        if passes is None or instead is None:
            await pump(source, passes, exchange)
            await _after_response(exchange, source)
        else:
            await pump(source, Discarding(passes), exchange)
            await source.release()
            await _reply(exchange, "injected", instead, passes)
    except UpstreamError as error:
        await _gateway_error(exchange, error)
    except ClientGoneError as error:
        _client_left(exchange, decision.facts, error)
    except ClientProtocolError as error:
        await refuse(exchange, error)
    finally:
        if exchange.error is None and not exchange.is_complete:
            _break_off(exchange, exchange.unless_harmed("upstream-error"))
        elif exchange.error is None and exchange.own is None:
            exchange.outcome = _passed_on(exchange)
        await source.release(is_good=exchange.outcome in _WHOLE)


async def _wait(fault_filter: FaultFilter, source: UpstreamSource) -> None:
    """Do what the plan has done before the upstream is asked, while the request comes.

    Raises `ClientGoneError`, `ClientProtocolError`.
    """
    acts, exchange = list(fault_filter.begin()), source.exchange
    if exchange.is_paced:  # the request was received before
        await perform(acts, exchange)
    elif acts:
        await while_connected(acts, exchange, source.receive_ahead)


def _passed_on(exchange: Exchange) -> Outcome:
    return "upgraded" if exchange.status == 101 else exchange.passed_on


async def _after_response(exchange: Exchange, source: UpstreamSource) -> None:
    if exchange.status == 101:
        exchange.outcome = "upgraded"
        _warn_of_upgrade(exchange, source.origin.authority)
        await _relay_upgraded(exchange, source.upstream)


def _warn_of_upgrade(exchange: Exchange, authority: Authority) -> None:
    runtime = exchange.session.runtime
    if runtime.target_of(authority.host, authority.port) is not None:
        runtime.warn_once(
            f"a WebSocket to {authority.host} is open: rules do not reach what passes"
            " through it; --refuse-websocket has clients that can, as Codex, do without"
        )


async def _relay_upgraded(exchange: Exchange, upstream: UpstreamExchange) -> None:
    """Relay bytes both ways: after the 101 the peers use another protocol."""
    client, timeout = exchange.client, exchange.timeout
    relayed = exchange.relayed = Relayed()
    try:
        await upstream.send_raw(client.unread)
        await client.send_raw(upstream.unread)
    except (ClientGoneError, UpstreamError) as error:
        exchange.error = str(error)
        return
    await relay(client.stream, upstream.stream, relayed, timeout, exchange.limits.idle_seconds)
    exchange.error = relayed.error
    if not relayed.broken:
        await send_close_notify(upstream.stream)


def _client_left(exchange: Exchange, facts: Facts, error: ClientGoneError) -> None:
    """Set the outcome of an exchange whose client left before the response's end.

    Most clients close the connection at a stream's last event: those have all of it.
    """
    shape = facts.provider.shape_of(facts.path)
    if exchange.tail is not None and shape.ends_with(exchange.tail.last):
        exchange.outcome, exchange.answered = exchange.passed_on, True
    else:
        exchange.depart(error)
        exchange.outcome, exchange.error = exchange.unless_harmed("client-gone"), str(error)


async def _gateway_error(exchange: Exchange, error: UpstreamError) -> None:
    exchange.error, exchange.upstream_was_reset = str(error), error.was_reset
    if exchange.client.response_started or isinstance(error, UnansweredError):
        exchange.outcome = "upstream-error"
        return  # the client's connection is cut, as the upstream's was
    response = local_reply(error.status, error.kind, str(error))
    await _reply(exchange, "upstream-error", WholeResponse(exchange, response=response))
