"""All tunnels of the host: each is a session, begun by its first call.

The host says by a cancelled call that a tunnel is over, and nothing at all if no call is in
flight then; so a session ends by its own limits too, and its tunnel some time after. Knows
nothing of gRPC, or of what a session does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from faultinject.limits import Limits
from faultinject.plugin.calls import Close, Direction, Reply, Side
from faultinject.plugin.lane_stream import LanePair

FAREWELL_SECONDS = 30.0
"""How long a tunnel whose session is over may take to bring its last words to the peers."""
REMEMBERED = 10_000
"""How many tunnels that were given up are remembered, so that a late call does not begin a new
session in the middle of one."""


@define(eq=False)
class Tunnels:
    """A `TunnelPlugin` whose tunnels run in a nursery."""

    nursery: trio.Nursery
    limits: Limits
    run_session: Callable[[LanePair], Awaitable[None]]
    """Runs a tunnel's session, and leaves both of its streams closed."""
    _open: dict[str, LanePair] = field(factory=dict)
    _given_up: dict[str, None] = field(factory=dict)

    async def process(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Let the tunnel's lanes answer; see `TunnelPlugin`."""
        pair = self._open.get(tunnel_id)
        if pair is None:
            if tunnel_id in self._given_up:
                return Close("the session is over")
            if len(self._open) >= self.limits.sessions:
                return Close(f"there are {self.limits.sessions} tunnels already")
            pair = self._open[tunnel_id] = LanePair()
            self.nursery.start_soon(self._run, tunnel_id, pair)
        return await pair.process(side, direction, chunk)

    async def _run(self, tunnel_id: str, pair: LanePair) -> None:
        try:
            await self.run_session(pair)
            with trio.move_on_after(FAREWELL_SECONDS):
                await pair.served()
        finally:
            self._forget(tunnel_id, pair)

    def _forget(self, tunnel_id: str, pair: LanePair) -> None:
        pair.end("the session is over")
        del self._open[tunnel_id]
        self._given_up[tunnel_id] = None
        if len(self._given_up) > REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
