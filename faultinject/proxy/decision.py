"""Asks the rules what happens to a request or a TLS handshake.

The request's body is read first only if a rule, or the wording of an answer, needs it.
"""

from __future__ import annotations

import time

from attrs import define, evolve

from faultinject.authority import Authority
from faultinject.events import Warned
from faultinject.faults.delay import Before
from faultinject.faults.place import Stage
from faultinject.faults.render import names_model
from faultinject.http.coding import content_codings, decoded
from faultinject.http.exchange_sides import BodyPiece
from faultinject.http.message import CONTINUE, End, Part, RequestHead, without_headers
from faultinject.matchers import MISSING
from faultinject.proxy.broken_connection import BrokenConnection
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.exchange_end import ExchangeEnd, ended
from faultinject.proxy.observe import Observer
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import Session
from faultinject.rules import Plan
from faultinject.rules.decide import PASS
from faultinject.rules.facts import Facts

_LONGEST_CODING = 40


def add_body(runtime: Runtime, facts: Facts, body: bytes) -> None:
    """Add a request's body to its facts.

    A body that cannot be decoded is added as it is, with a warning.
    """
    facts.body = body
    if not body or not (codings := content_codings(facts.head.headers)):
        return
    try:
        facts.body = decoded(body, codings, runtime.limits.drained_body_bytes)
    except ValueError as error:
        if facts.json is not MISSING:  # it is not coded, whatever its header says
            return
        words = b", ".join(codings)[:_LONGEST_CODING].decode("ascii", "backslashreplace")
        runtime.warn_once(
            f"a request to {facts.host} has a compressed body (content-encoding: {words}) that"
            f" cannot be decoded ({error}): rules that read the body do not match such requests"
        )


def decide_handshake(session: Session, authority: Authority) -> Plan | None:
    """Return the plan of a rule that breaks the client's TLS handshake; None if there is none."""
    runtime = session.runtime
    if not runtime.rule_set.has(Stage.HANDSHAKE):
        return None
    head = RequestHead(b"CONNECT", str(authority).encode(), ())
    facts = Facts(
        authority.host,
        authority.port,
        head,
        connection=session.id,
        way=session.way,
        apis=runtime.apis,
    )
    plan = runtime.decide(runtime.rule_set, facts, Stage.HANDSHAKE)
    if plan.breaks is None:
        plan.end()
        return None
    return plan


@define(eq=False, repr=False)
class Decision:
    """The rules' plan for one request, and what was read of its body to make it."""

    exchange: Exchange
    facts: Facts
    request: RequestHead
    """As the upstream is sent it."""
    plan: Plan = PASS
    received: tuple[Part, ...] = ()
    """What was read of the body already."""
    observer: Observer | BrokenConnection | None = None
    """Observes the exchange as an attempt of a call; None if it is none."""

    def end_attempt(self, end: ExchangeEnd) -> None:
        """Note how the attempt ended, if that is counted or told; only the first note counts."""
        facts, attempt = self.facts, self.plan.attempt
        if self.observer is not None:
            self.observer.end(end, attempt)
        elif attempt is not None:
            runtime = self.exchange.session.runtime
            attempt.end(ended(end, facts.provider, runtime.whole_errors, runtime.now_seconds))

    async def make(self) -> None:
        """Make the plan. Raises `ClientGoneError`, `ClientProtocolError` for a body that fails."""
        runtime = self.exchange.session.runtime
        rule_set = runtime.rule_set  # one and the same, though another may come meanwhile
        if rule_set.has(Stage.REQUEST):
            self.plan = runtime.decide(rule_set, self.facts, Stage.REQUEST)
            if self.plan.rule_id is not None:
                return
        reads_early = self.facts.needs_body_for_api and rule_set.has(Stage.ANSWER)
        if reads_early:
            await self._read_body()
        candidates = rule_set.candidates(Stage.ANSWER, self.facts)
        if candidates.need_body and not reads_early:
            await self._read_body()
        self.plan = runtime.decide(rule_set, self.facts, Stage.ANSWER, candidates)
        if not (candidates.need_body or reads_early) and (
            self._names_model() or self._is_delayed_in_turn()
        ):
            await self._read_body(for_rules=False)

    def _names_model(self) -> bool:
        """Return True if the answer will name the model, which only the body has."""
        respond, stream = self.plan.respond, self.plan.stream
        if respond is None and not stream:
            return False
        return names_model(respond, stream, self.facts.provider)

    def _is_delayed_in_turn(self) -> bool:
        """Return True if the request is delayed where it cannot be received meanwhile.

        Else it would not be known what a client asked for that leaves during the delay.
        """
        exchange = self.exchange
        waits = any(each.before is Before.UPSTREAM for each in self.plan.waits)
        return waits and exchange.is_paced and not exchange.client.waits_for_continue

    async def _read_body(self, *, for_rules: bool = True) -> None:
        parts = self.exchange.client.buffered_parts()
        if not (parts and isinstance(parts[-1], End)):
            parts = await self._receive_rest(parts)
        if for_rules and not isinstance(parts[-1], End):
            self._warn()
        if isinstance(parts[-1], End):
            body = b"".join([part for part in parts if isinstance(part, bytes)])
            add_body(self.exchange.session.runtime, self.facts, body)
        self.received = tuple(parts)

    async def _receive_rest(self, parts: list[Part]) -> list[Part]:
        """Return the body in one piece, and its `End` unless it is too long."""
        limits = self.exchange.session.runtime.limits
        if not parts and self.exchange.client.waits_for_continue:
            await self._send_continue()
        piece = BodyPiece()
        while True:
            piece.add(parts)
            too_long = self.exchange.client.body_bytes_received > limits.drained_body_bytes
            if piece.ended or too_long:
                return piece.parts
            self.exchange.timeout.reset("the request's body", limits.idle_seconds)
            parts = await self.exchange.client.receive()

    async def _send_continue(self) -> None:
        """Send a 100 (Continue) to the client, and take its Expect header from the request."""
        if (pacing := self.exchange.pacing) is not None:
            await pacing.before_local_reply()
        await self.exchange.client.send(CONTINUE)
        headers = without_headers(self.request.headers, b"expect")
        self.request = evolve(self.request, headers=headers)

    def _warn(self) -> None:
        limit = self.exchange.session.runtime.limits.drained_body_bytes
        message = (
            f"a request to {self.facts.host} has a body of more than {limit} bytes: rules that"
            " read the body do not match it"
        )
        self.exchange.session.emit(Warned(time=time.time(), message=message))
