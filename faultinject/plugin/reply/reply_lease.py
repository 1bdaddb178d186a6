"""Upstream connections for tunnels whose client hears something only when it has said something."""

from __future__ import annotations

import trio

from faultinject.http.h1.connection import UpstreamConnection
from faultinject.proxy.upstream.pool import OwnLease


class ReplyLease(OwnLease):
    """A tunnel's own upstream connections; what they do while they are idle ends nothing.

    A client of such a tunnel cannot be told that its upstream has left. So that is found out when
    the connection is to be used again, and a new one is dialled.
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
        return True
