"""The lease of a tunnel behind Fault. Its only upstream connection is the tunnel's other end."""

from __future__ import annotations

from types import TracebackType

import trio
from attrs import evolve

from faultinject.errors import UpstreamError
from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.http.message import End, RequestHead, find_header, header_tokens
from faultinject.net.streams import LINGER_SECONDS
from faultinject.net.timeouts import FirstWaits
from faultinject.plugin.duplex.lanes import LanePair
from faultinject.plugin.wakeup import wake_while_unproven
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease, Pacing
from faultinject.settings import CARRIER

LONG_BODY_BYTES = 32 * 1024
"""Bodies up to this size need no waking, because a socket takes them at once."""
MOST_AHEAD = 2
"""Most requests that are answered if several came in one piece (pipelined). If there are more, one
slot is added for the end of the connection. No more slots than this can be released if they were
not requests after all."""

FEW = 3
"""Most slots that are promised for a guess: so many can be filled without any output."""
MANY = 24
"""Most slots that are promised if there is some output: fewer than a TLS record has bytes."""


class TunnelLease(Lease, Pacing):
    """Lends the tunnel's only connection, and never another. It is its own pacing.

    A local reply needs slots toward the client, and only bytes from the upstream bring them (see
    `faultinject.plugin.duplex.lanes`). So a harmless request, the *carrier*, is sent to the
    upstream first, and its response is thrown away.
    """

    # A peer that is not asked for more delays what was written to the other.
    first_waits = FirstWaits(0.0)
    redials = False

    nursery: trio.Nursery
    """The tunnel's own, for the task that keeps uploads going. Set when the session begins."""

    def __init__(self, pair: LanePair, carrier: RequestHead = CARRIER) -> None:
        self.pacing = self
        self._connection: UpstreamExchange | None = None
        self._may_end = False
        self._pair = pair
        self._carrier = carrier
        self._upload: trio.CancelScope | None = None
        self._body_waits = False
        self._reserved_slots = 0
        self._lent = False
        self._no_way_up = False

    @property
    def is_closed(self) -> bool:
        """Whether the tunnel's only connection has ended."""
        return self._lent and (self._connection is None or self._no_way_up)

    @property
    def idle_connection(self) -> UpstreamExchange | None:
        """The tunnel's connection, until it has ended."""
        return self._connection

    def begin_exchange(self, *, may_end: bool) -> None:
        """Note whether a rule may end the client's connection."""
        self._may_end = may_end

    def end_exchange(self) -> None:
        """Note that no rule will."""
        self._may_end = False

    def before_watch(self) -> bool:
        """Keep a slot toward the upstream if a rule may end the client's connection.

        The TLS close_notify that goes out in it makes the upstream close, which ends the tunnel.
        """
        if self._may_end and self._pair.up.in_hand:
            self._pair.up.end_turn(promised=1)
        return not self._may_end

    def before_pause(self, writes: int, guessed: int) -> None:
        """End the turn toward the client, with slots for what follows; see the base class.

        If slots are out already, the last one is kept for what is written last.
        """
        down = self._pair.down
        down.write_through = False
        if down.in_hand:
            if down.pending:
                down.fills_at_end = True
                down.end_turn(promised=max(min(writes, MANY), min(writes + guessed, FEW)))
        elif down.can_spare_a_slot:
            down.end_turn()

    def lend(self, connection: UpstreamExchange, host: str) -> None:
        """Set the connection to lend, which runs on the tunnel's upstream stream."""
        self._connection, self._lent = connection, True
        if not self._carrier.has_header(b"host"):
            headers = ((b"Host", host.encode("ascii")), *self._carrier.headers)
            self._carrier = evolve(self._carrier, headers=headers)

    async def open(self, origin: Origin, *, fresh: bool = False) -> UpstreamExchange:
        """Return the connection, which cannot be replaced. See the base class."""
        await trio.lowlevel.checkpoint()
        if fresh or self._connection is None or not self._connection.idle:
            raise self._gone(origin)
        self._check_way_up()
        return self._connection

    async def release(self, connection: UpstreamExchange) -> None:
        """Keep the connection for the next exchange; see the base class."""
        if not (connection.idle or connection.next_cycle()):
            await self.discard(connection)

    def _check_way_up(self) -> None:
        """Raise `UpstreamError` if nothing can be sent: no input of the client, and no slot."""
        if not self._pair.up.in_hand and self._pair.up.slots <= self._reserved_slots:
            self._no_way_up = True
            raise UpstreamError(
                "pipelined",
                f"more than {MOST_AHEAD} requests came ahead of their turn, which a tunnel of"
                " Fault cannot carry",
            )

    async def before_local_reply(self, writes: int = 1, unread: bytes = b"") -> None:
        """Send the carrier and read its response. The response's last input stays in hand.

        Any other bytes of the upstream would do too, once. With several ``writes`` each is sent at
        once, so slots are promised for them here. For ``unread`` see `before_read`.
        """
        connection = self._connection
        if connection is not None and connection.idle and not (unread == b"" and self._has_way):
            await self._carry(connection, unread)
        if not self._pair.down.in_hand:
            raise UpstreamError("disconnected", "the upstream is gone, so no answer can be sent")
        self._pair.down.write_through = writes > 1
        if writes > 1:
            self._pair.down.end_turn(promised=writes)

    @property
    def _has_way(self) -> bool:
        """Whether a discarded answer left an input, and used up what was there for a request."""
        up, down = self._pair.up, self._pair.down
        return down.in_hand and not (up.in_hand or up.slots)

    async def _carry(self, connection: UpstreamExchange, unread: bytes) -> None:
        self._check_way_up()
        try:
            await connection.send(self._carrier, End())
            self._promise(unread)
            await self._read_response(connection)
        except UpstreamError:
            await self.discard(connection)
            if not self._pair.down.in_hand:
                raise
        else:
            if not connection.next_cycle():
                await self.discard(connection)

    def before_read(self, unread: bytes) -> bool:
        """Return False if the client's next requests are in ``unread`` already.

        They need slots, which only the input in hand can buy. ``unread`` is what the client has
        sent beyond the request in hand.
        """
        if b"\r\n\r\n" not in unread:
            return True
        self._promise(unread)
        return False

    def _promise(self, unread: bytes) -> None:
        """End the turn toward the upstream, with slots for the requests that came already.

        Each end of a head counts. If a body has one, there is a slot too many, which is released.
        """
        requests = unread.count(b"\r\n\r\n")
        if self._pair.up.in_hand:
            self._reserved_slots = 1 if requests > MOST_AHEAD else 0
        promised = min(requests, MOST_AHEAD + 1)
        self._pair.up.end_turn(promised=max(promised, int(self._may_end)))

    async def begin_upload(self, request: RequestHead) -> None:
        """Prepare for a request that is about to be sent, if its body may be long.

        The carrier's response buys the slot with which Fault is woken (see
        `faultinject.plugin.wakeup`). Until `end_upload` nothing can come from the upstream.
        """
        self._body_waits = False
        if not _may_be_long(request):
            return
        if b"100-continue" in header_tokens(request.headers, b"expect"):
            self._body_waits = True  # the 100 will bring the slot, but must get through first
            return
        await self.before_local_reply()
        self._pair.down.write_through = False
        self._arm()

    def body_wanted(self) -> None:
        """Prepare for a long body that waited for a 100, which was just written."""
        if self._body_waits:
            self._body_waits = False
            self._arm()

    def _arm(self) -> None:
        """Also buy the slot that is kept for waking Fault, with the input in hand."""
        self._pair.down.end_turn(promised=1)
        self._upload = trio.CancelScope()
        self.nursery.start_soon(self._keep_going, self._upload)

    async def _keep_going(self, scope: trio.CancelScope) -> None:
        with scope:
            await wake_while_unproven(self._pair.up, self._pair.down)

    def end_upload(self) -> None:
        """Stop waking Fault: the whole request has been sent."""
        scope, self._upload = self._upload, None
        if scope is not None:
            scope.cancel()

    async def _read_response(self, connection: UpstreamExchange) -> None:
        while parts := await connection.receive():
            if isinstance(parts[-1], End):
                return
        raise UpstreamError("disconnected", "the upstream ended the connection unasked")

    def _gone(self, origin: Origin) -> UpstreamError:
        return UpstreamError(
            "disconnected", f"the tunnel's connection to {origin.authority} has ended"
        )

    async def discard(self, connection: UpstreamExchange) -> None:
        """Close the connection; see the base class."""
        self._connection = None
        with trio.move_on_after(LINGER_SECONDS):
            await connection.stream.aclose()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end_upload()
        if self._connection is not None:
            await self.discard(self._connection)


def _may_be_long(request: RequestHead) -> bool:
    if request.chunked:
        return True
    length = find_header(request.headers, b"content-length") or b"0"
    return not length.isdigit() or int(length) > LONG_BODY_BYTES
