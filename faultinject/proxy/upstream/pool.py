"""The upstream connections of one client connection.

They are not shared and end with the client's, as without a proxy: an origin that authenticates a
connection (NTLM, Negotiate) must never take one client for another.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol

import trio

from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.net.streams import send_close_notify
from faultinject.net.timeouts import FirstWaits
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease
from faultinject.settings import Limits


class Dial(Protocol):
    """Opens a connection that is ready for HTTP; raises `UpstreamError`."""

    async def __call__(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection to an origin."""
        ...


class PoolLease(Lease):
    """The upstream connections of one client connection; a context manager that owns them."""

    def __init__(self, dial: Dial, limits: Limits, first_waits: FirstWaits) -> None:
        self._dial = dial
        self._limits = limits
        self.first_waits = first_waits
        self._idle: dict[UpstreamExchange, Origin] = {}
        """Connections that wait for an exchange, least recently used first."""
        self._lent: dict[UpstreamExchange, Origin] = {}
        """Connections of open exchanges."""
        self._last: UpstreamExchange | None = None
        """The one that was lent last."""

    @property
    def idle_connection(self) -> UpstreamExchange | None:
        """The connection that the last request used, if it is idle."""
        return self._last if self._last in self._idle else None

    async def open(self, origin: Origin, *, fresh: bool = False) -> UpstreamExchange:
        """Open or reuse a connection; see the base class."""
        self._last = None
        while not fresh and (connection := self._take_idle(origin)) is not None:
            if await connection.still_idle():
                self._last = connection
                return connection
            await self.discard(connection)
        await self._make_room()
        stream = await self._dial(origin)
        new = UpstreamConnection(
            stream,
            head_bytes=self._limits.head_bytes,
            head_seconds=self._limits.head_seconds,
        )
        self._lent[new] = origin
        self._last = new
        return new

    def _take_idle(self, origin: Origin) -> UpstreamExchange | None:
        """Lend a connection that waits for an origin's next exchange, if there is one."""
        for connection, its in self._idle.items():
            if its is origin or its == origin:
                self._lent[connection] = self._idle.pop(connection)
                return connection
        return None

    async def _make_room(self) -> None:
        """Close idle connections until there may be one more."""
        while self._idle and len(self._idle) + len(self._lent) >= self._limits.upstream_connections:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            await _end(oldest)

    async def release(self, connection: UpstreamExchange) -> None:
        """Keep a connection for the next exchange; see the base class."""
        if connection.idle or connection.next_cycle():
            self._idle[connection] = self._lent.pop(connection)
        else:
            await self.discard(connection)

    async def discard(self, connection: UpstreamExchange) -> None:
        """Close a connection; see the base class."""
        del self._lent[connection]
        await _end(connection)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connections = [*self._lent, *self._idle]
        self._lent.clear()
        self._idle.clear()
        async with AsyncExitStack() as stack:  # all are closed, even if one is cancelled
            for connection in connections:
                stack.push_async_callback(_end, connection)


async def _end(connection: UpstreamExchange) -> None:
    """Close a connection, with a close_notify unless a request was not sent to its end."""
    try:
        if connection.cycle_ended:
            await send_close_notify(connection.stream)
    finally:
        await trio.aclose_forcefully(connection.stream)
