"""Responses that do not come from the upstream, as sources: a whole one, a made-up stream, none."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio
from attrs import define, evolve, field

from faultinject.faults.respond import InjectedResponse
from faultinject.http.message import CONTINUE, End, Part, ResponseHead
from faultinject.providers.synthetic import SPACING_SECONDS, synthetic_response
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.fault_filter import FaultFilter, fields_of
from faultinject.proxy.local_reply import dated
from faultinject.proxy.pump import ResponseSource
from faultinject.proxy.traffic_copy import uncoded

_SENT_AT_ONCE_BYTES = 4096
"""A response with a body up to this size does not wait for a client that has room."""


@define(eq=False, repr=False)
class NoResponse(ResponseSource):
    """The source of no response: a plan breaks the connection in its place.

    The request is read first. If a connection is closed with an unread body, the client gets a
    reset, which may destroy the response; and a client that is still sending may not look for one.
    """

    exchange: Exchange
    early: bool = False
    """Whether the request is not read. Then the connection ends."""
    _is_read: bool = field(default=False, init=False)
    """Whether the request was read to its end."""

    async def open(self) -> None:
        """Read the request."""
        exchange, client = self.exchange, self.exchange.client
        is_read = client.request_ended
        if not self.early and not is_read:
            self._keep(client.buffered_parts())
            is_read = client.request_ended
        if (pacing := exchange.pacing) is not None:
            writes = 2 if client.waits_for_continue else 1
            await pacing.before_local_reply(writes, client.unread if is_read else b"")
        self._is_read = not self.early and (is_read or await self._drain_request())

    async def _drain_request(self) -> bool:
        """Read the rest of the request's body; return True if it came to its end."""
        client, limits = self.exchange.client, self.exchange.limits
        if client.waits_for_continue:
            await client.send(CONTINUE)
        while not client.request_ended:
            if client.body_bytes_received > limits.drained_body_bytes:
                return False
            with trio.move_on_after(limits.body_idle_seconds) as pause:
                self._keep(await client.receive())
            if pause.cancelled_caught:
                return False
        return True

    def _keep(self, parts: Sequence[Part]) -> None:
        """Keep parts of the request's body, if they are needed."""

    async def receive(self) -> list[Part]:
        """Do not call this: there is nothing."""
        raise NotImplementedError

    async def receive_at_once(self) -> list[Part] | None:
        """Do not call this: something has to happen before."""
        raise NotImplementedError

    async def meanwhile(self) -> None:
        """Watch the client."""
        await self.exchange.watch()


@define(eq=False, repr=False)
class WholeResponse(NoResponse):
    """A whole response of our own."""

    response: InjectedResponse = field(kw_only=True)
    closes: bool = field(kw_only=True, default=False)
    """Whether the connection ends after it in any case."""

    async def receive(self) -> list[Part]:
        """Return the response."""
        return self._parts()

    async def receive_at_once(self) -> list[Part] | None:
        """Return the response."""
        return self._parts()

    def _parts(self) -> list[Part]:
        exchange, response = self.exchange, self.response
        if len(response.body) > _SENT_AT_ONCE_BYTES or not exchange.client.has_room:
            exchange.timeout.reset("the client to read its answer", exchange.limits.send_seconds)
        if exchange.page is not None:
            response = evolve(response, headers=exchange.page.with_page_headers(response.headers))
        exchange.client.closes = self.closes or not self._is_read
        parts = dated(response)
        return [parts[0], End()] if exchange.is_head else list(parts)


@define(eq=False, repr=False)
class MadeResponse(NoResponse):
    """The smallest response that the API could give, made up, and sent piece by piece."""

    fault_filter: FaultFilter = field(kw_only=True)
    """The plan's: what is made has its random numbers."""
    _body: bytearray = field(factory=bytearray, init=False)
    """The request's body, if nobody has read it before."""
    _rest: deque[Part] | None = field(default=None, init=False)
    """What is left of the response; None if it was not made yet."""
    _sends_piece: bool = field(default=False, init=False)
    """Whether the last part was a piece of the body."""
    _paused_until: float | None = field(default=None, init=False)

    def _keep(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._body += part if isinstance(part, bytes) else b""

    async def receive(self) -> list[Part]:
        """Return the next part, some time after the piece before it."""
        if self._rest is None:
            head, self._rest = self._make()
            return [head]
        if self._sends_piece and len(self._rest) > 1:
            await self._pause()
        self._sends_piece = True
        return [self._rest.popleft()]

    async def _pause(self) -> None:
        if self._paused_until is None:
            self._paused_until = trio.current_time() + SPACING_SECONDS
            self.exchange.pause(self._most_writes())
        await trio.sleep_until(self._paused_until)
        self._paused_until = None

    def _most_writes(self) -> int:
        """Return how many writes can follow: the plan's filter may cut a piece at each byte."""
        return sum(len(part) if isinstance(part, bytes) else 1 for part in self._rest or ())

    def _make(self) -> tuple[ResponseHead, deque[Part]]:
        exchange, facts, plan = self.exchange, self.fault_filter.facts, self.fault_filter.plan
        if facts.body is None and self._is_read:
            facts.body = uncoded(facts.head, bytes(self._body), exchange.limits.drained_body_bytes)
        made = synthetic_response(
            facts.provider,
            facts.api_request,
            fields_of(plan, facts),
            plan.numbers("made answer"),
            plan.marker,
        )
        exchange.client.closes = not self._is_read
        head = made.head if exchange.page is None else exchange.page.with_cors(made.head)
        return head, deque((End(),) if exchange.is_head else (*made.pieces, End()))
