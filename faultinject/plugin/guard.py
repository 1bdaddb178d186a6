"""Limits a defect to its own tunnel, so that every other tunnel goes on."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from attrs import define, field

from faultinject.events import Listener, SessionFailed
from faultinject.plugin.interface import Close, Direction, Reply, Side, TunnelPlugin

NO_SESSION = 0
"""The session's number in the event if the call belongs to no known session."""


def report_defect(listener: Listener, where: str, error: Exception) -> None:
    """Report an unexpected exception; ``where`` is the client in the event."""
    listener(
        SessionFailed(
            time=time.time(),
            session=NO_SESSION,
            client=where,
            error=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
        )
    )


REMEMBERED = 10_000
"""How many tunnels with a defect are remembered. The host soon ends a tunnel that was closed, but
gives no sign of it."""
CLOSED_BY_DEFECT = Close("a defect in faultinject")


@define(eq=False, repr=False)
class TunnelGuard:
    """Calls a `TunnelPlugin`, and never raises.

    If a call raises, it is answered with `Close`. So are all other calls about the tunnel: those
    under way are cancelled, and later ones are answered at once.
    """

    tunnels: TunnelPlugin
    listener: Listener
    _under_way: dict[str, set[trio.CancelScope]] = field(factory=dict, init=False)
    _broken: dict[str, None] = field(factory=dict, init=False)

    async def guarded_reply(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Return the plugin's reply, or `Close` after a defect."""
        reply: Reply = CLOSED_BY_DEFECT
        if tunnel_id in self._broken:
            return reply
        with self._cancellable(tunnel_id):
            try:
                reply = await self.tunnels.process_tunnel_data(side, direction, tunnel_id, chunk)
            except Exception as error:  # noqa: BLE001 - the other tunnels go on
                self.failed(tunnel_id, error)
        return reply

    def failed(self, tunnel_id: str, error: Exception) -> None:
        """Report a defect and close its tunnel."""
        report_defect(self.listener, f"tunnel {tunnel_id}", error)
        self._broken[tunnel_id] = None
        if len(self._broken) > REMEMBERED:
            del self._broken[next(iter(self._broken))]
        for scope in self._under_way.get(tunnel_id, ()):
            scope.cancel()

    @contextmanager
    def _cancellable(self, tunnel_id: str) -> Iterator[None]:
        scopes = self._under_way.setdefault(tunnel_id, set())
        with trio.CancelScope() as scope:
            scopes.add(scope)
            try:
                yield
            finally:
                scopes.discard(scope)
                if not scopes:
                    self._under_way.pop(tunnel_id, None)
