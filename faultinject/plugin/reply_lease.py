"""Upstream connections for tunnels whose client hears something only when it has said something.

Knows nothing of how the host calls.
"""

from __future__ import annotations

import trio

from faultinject.http.connection import UpstreamConnection
from faultinject.upstream import PooledLease


class ReplyLease(PooledLease):
    """A lease on a pool's connections, which has one only while there is a request for it.

    A client of such a tunnel cannot be told that its upstream has left; so a connection that is
    idle is the pool's, which notices, instead of failing the client's next request.
    """

    _watcher: trio.lowlevel.Task | None = None
    """The task that keeps watch over the client while its answer is on its way."""

    @property
    def idle_connection(self) -> UpstreamConnection | None:
        """None: nothing that an idle upstream does concerns the client."""
        return None

    def follow(self, unread: bytes) -> bool:  # noqa: ARG002
        """Take note of who watches the client; see `ends_turn`. The client may always be asked."""
        self._watcher = trio.lowlevel.current_task()
        return False

    def ends_turn(self) -> bool:
        """Say, when the client is asked for more, whether that is for want of its words.

        It is not where the client is only watched, for its leaving.
        """
        if self._watcher is trio.lowlevel.current_task():
            return False
        self._watcher = None
        connection, origin = self._connection, self._origin
        if connection is not None and origin is not None and connection.idle:
            self._connection = None
            self._pool.give_back(origin, connection)
        return True
