"""The upstream connections of one client connection: one for each origin.

They are not shared and end with the client's, as without a proxy: an origin that authenticates a
connection (NTLM, Negotiate) must never take one client for another.
"""

from __future__ import annotations

from collections import OrderedDict
from types import TracebackType
from typing import Protocol

import trio

from faultinject.http.h1.connection import UpstreamConnection
from faultinject.net.streams import send_close_notify
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

    def __init__(self, dial: Dial, limits: Limits) -> None:
        super().__init__()
        self._dial = dial
        self._limits = limits
        self._origin: Origin | None = None
        self._waiting: OrderedDict[Origin, UpstreamConnection] = OrderedDict()
        """Connections to other origins than the last one, least recently used first."""

    async def acquire(self, origin: Origin, *, fresh: bool = False) -> bool:
        """Open or reuse a connection; see the base class."""
        await self._turn_to(origin)
        if self._connection is not None:
            if not fresh and await self._connection.still_idle():
                return True
            await self.discard()
        stream = await self._dial(origin)
        self._connection = UpstreamConnection(
            stream,
            head_bytes=self._limits.head_bytes,
            head_seconds=self._limits.head_seconds,
        )
        return False

    async def _turn_to(self, origin: Origin) -> None:
        """Put aside a connection to another origin, and take the one to this origin, if any."""
        if origin == self._origin:
            return
        before, connection = self._origin, self._connection
        self._origin, self._connection = origin, self._waiting.pop(origin, None)
        if before is None or connection is None:
            return
        self._waiting[before] = connection
        if len(self._waiting) >= self._limits.upstream_connections:
            _, oldest = self._waiting.popitem(last=False)
            await _end(oldest)

    async def discard(self) -> None:
        """Close the connection; see the base class."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.discard()
        finally:
            while self._waiting:
                _, connection = self._waiting.popitem()
                await _end(connection)


async def _end(connection: UpstreamConnection) -> None:
    """Close a connection, with a close_notify unless a request was not sent to its end."""
    try:
        if connection.cycle_ended:
            await send_close_notify(connection.stream)
    finally:
        await trio.aclose_forcefully(connection.stream)
