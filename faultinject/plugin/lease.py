"""The upstream's side of a tunnel, as exchanges borrow it: one connection, the tunnel's own.

Knows nothing of how it came up, and nothing of clients.
"""

from __future__ import annotations

from types import TracebackType

import trio
from attrs import evolve

from faultinject.dial import Origin
from faultinject.errors import UpstreamError
from faultinject.http.connection import UpstreamConnection
from faultinject.http.message import End, RequestHead
from faultinject.lease import Lease
from faultinject.plugin.lane_stream import LaneStream
from faultinject.streams import LINGER_SECONDS

CARRIER = RequestHead(b"HEAD", b"/", ())
"""The harmless request whose response carries an injected answer; a Host is added."""


class TunnelLease(Lease):
    """Lends the one connection that there is, and never another.

    An answer that no upstream gave needs a way to the client: only what the upstream says brings
    one (see `faultinject.plugin.lanes`). So the upstream is asked something harmless first, the
    *carrier*, and its response is thrown away.
    """

    # Whoever is not asked holds up what was written to the other.
    watch_after_seconds = 0.0

    def __init__(self, carrier: RequestHead = CARRIER) -> None:
        super().__init__()
        self._carrier = carrier
        self._lane: LaneStream | None = None

    def lend(self, connection: UpstreamConnection, lane: LaneStream, host: str) -> None:
        """Have a connection to a host from now on; it runs on this stream of the tunnel."""
        self._connection, self._lane = connection, lane
        if not self._carrier.has_header(b"host"):
            headers = ((b"Host", host.encode("ascii")), *self._carrier.headers)
            self._carrier = evolve(self._carrier, headers=headers)

    async def acquire(self, origin: Origin, *, fresh: bool = False) -> bool:
        """Have the connection; see the base class. Never says that it could be had anew."""
        await trio.lowlevel.checkpoint()
        if fresh or self._connection is None or not self._connection.idle:
            raise self._gone(origin)
        return False

    async def make_way(self) -> None:
        """Send the carrier and read its response, the last input of which is left in hand."""
        if self._connection is None or self._lane is None or not self._connection.idle:
            raise UpstreamError("disconnected", "the upstream is gone, and no answer can pass")
        await self._connection.send(self._carrier, End())
        self._lane.end_turn()
        await self._read_response(self._connection)
        if not self._connection.next_cycle():
            await self.discard()

    async def _read_response(self, connection: UpstreamConnection) -> None:
        while parts := await connection.receive():
            if isinstance(parts[-1], End):
                return
        raise UpstreamError("disconnected", "the upstream ended the connection unasked")

    def _gone(self, origin: Origin) -> UpstreamError:
        return UpstreamError(
            "disconnected", f"the tunnel's connection to {origin.authority} is used up"
        )

    async def discard(self) -> None:
        """Close the connection; see the base class."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with trio.move_on_after(LINGER_SECONDS):
                await connection.stream.aclose()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.discard()
