"""Upstream connections: one client's own, and the pool of those whose client is gone.

An upstream connection serves its client connection first: that way it lives as long as the
client's does, as if there were no proxy. When the client is gone, others may have it.

Knows nothing of how a connection is dialled or what is asked on it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import trio
from attrs import define, field

from faultinject.dial import Origin
from faultinject.http.connection import UpstreamConnection
from faultinject.lease import Lease
from faultinject.limits import Limits


class Dial(Protocol):
    """What opens a connection that is ready for HTTP; raises `UpstreamError`."""

    async def __call__(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection to an origin."""
        ...


@define(eq=False)
class _Idle:
    """A connection that waits in the pool, and the watch over it."""

    origin: Origin
    connection: UpstreamConnection
    scope: trio.CancelScope
    taken: bool = False
    """Whether a client has it, so that it is no longer the watch's to close."""
    watched: trio.Event = field(factory=trio.Event)
    """Whether the watch has begun to read: what has arrived by then is found."""
    released: trio.Event = field(factory=trio.Event)


class Pool:
    """Upstream connections that wait for a client.

    Each is watched: when the upstream ends it, says anything, or nobody wants it for
    ``pool_idle_seconds``, it is closed. The watches run in the nursery that is given.
    """

    def __init__(self, nursery: trio.Nursery, dial: Dial, limits: Limits) -> None:
        self._nursery = nursery
        self._dial = dial
        self._limits = limits
        self._idle: list[_Idle] = []

    async def acquire(self, origin: Origin, *, fresh: bool) -> tuple[UpstreamConnection, bool]:
        """Return a connection and whether it was used before. Raises `UpstreamError`.

        With ``fresh`` it is a new one. The caller owns it from here on.
        """
        while not fresh:
            idle = next((idle for idle in reversed(self._idle) if idle.origin == origin), None)
            if idle is None:
                break
            await self._take(idle)
            if idle.connection.idle:
                return idle.connection, True
            await trio.aclose_forcefully(idle.connection.stream)
        stream = await self._dial(origin)
        return UpstreamConnection(stream, head_bytes=self._limits.head_bytes), False

    async def _take(self, idle: _Idle) -> None:
        self._idle.remove(idle)
        idle.taken = True
        with trio.CancelScope(shield=True):  # it is nobody's until the watch lets go, at once
            # What the upstream said to one client unasked must not be the answer to another.
            await idle.watched.wait()
            idle.scope.cancel()
            await idle.released.wait()

    def give_back(self, origin: Origin, connection: UpstreamConnection) -> None:
        """Keep a connection that waits for its next request; the pool owns it from here on."""
        deadline = trio.current_time() + self._limits.pool_idle_seconds
        idle = _Idle(origin, connection, trio.CancelScope(deadline=deadline))
        self._idle.append(idle)
        self._nursery.start_soon(self._watch, idle)
        if len(self._idle) > self._limits.pool_connections:
            self._idle.pop(0).scope.cancel()

    async def _watch(self, idle: _Idle) -> None:
        idle.watched.set()
        try:
            with idle.scope:
                await idle.connection.wait_until_not_idle()
        finally:
            idle.released.set()
            if not idle.taken:
                if idle in self._idle:
                    self._idle.remove(idle)
                await trio.aclose_forcefully(idle.connection.stream)


class PooledLease(Lease):
    """A lease on a pool's connections."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool
        self._origin: Origin | None = None

    async def acquire(self, origin: Origin, *, fresh: bool = False) -> bool:
        """Have a connection; see the base class."""
        if self._connection is not None and origin == self._origin and not fresh:
            if self._connection.idle:
                return True
            await self.discard()
        await self._end_use()
        self._connection, reused = await self._pool.acquire(origin, fresh=fresh)
        self._origin = origin
        return reused

    async def discard(self) -> None:
        """Close the connection; see the base class."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await trio.aclose_forcefully(connection.stream)

    async def _end_use(self) -> None:
        """Let others have the connection if it is good for another request."""
        if self._connection is None or self._origin is None:
            return
        if self._connection.idle:
            self._pool.give_back(self._origin, self._connection)
            self._connection = None
        else:
            await self.discard()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end_use()
