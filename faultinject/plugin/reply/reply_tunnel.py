"""One tunnel of a host that gives answers back to the sender, as a session.

It is intercepted if its client names a target by SNI, and uses TLS with HTTP/1.1. Everything else
is left to the host, which is connected to the upstream, and alone knows its port.
"""

from __future__ import annotations

import trio
from attrs import define, field

from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.net.relay import Relayed
from faultinject.net.timeouts import FirstWaits
from faultinject.plugin.reply.reply_lane import ReplyLane
from faultinject.plugin.tunnels import HostedTunnel, Tunnels, client_name
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import Session
from faultinject.proxy.sniff import Protocol
from faultinject.proxy.tls_policy import Refuse
from faultinject.proxy.upstream.lease import Pacing
from faultinject.proxy.upstream.pool import Dial, PoolLease
from faultinject.settings import Limits, PluginSettings


class ReplyLease(PoolLease):
    """A tunnel's own upstream connections. The client's connection does not end with an idle one.

    The client of such a tunnel cannot be told that the upstream has left. So this is noticed when
    the connection is needed again, and then a new one is dialled.
    """

    def __init__(self, dial: Dial, limits: Limits, first_waits: FirstWaits) -> None:
        super().__init__(dial, limits, first_waits)
        self.pacing: ReplyPacing = ReplyPacing()

    @property
    def idle_connection(self) -> UpstreamExchange | None:
        """Always None, because an idle upstream's end does not end the client's connection."""
        return None


class ReplyPacing(Pacing):
    """Knows why the session reads the client."""

    is_strict = False
    _watcher: trio.lowlevel.Task | None = None
    """The task that watches the client while its answer is on its way."""

    def before_read(self, unread: bytes) -> bool:  # noqa: ARG002
        """Remember which task watches the client; see `ends_turn`. It may always be read."""
        self._watcher = trio.lowlevel.current_task()
        return True

    def ends_turn(self) -> bool:
        """Return True if the session reads the client because it waits for its bytes.

        Return False if it only watches whether the client leaves.
        """
        if self._watcher is trio.lowlevel.current_task():
            return False
        self._watcher = None
        return True


@define(eq=False, repr=False)
class ReplyTunnel(HostedTunnel):
    """A tunnel of one lane, from the client and back.

    What is not intercepted is left to the host, which is connected to the upstream, and alone knows
    its port.
    """

    lane: ReplyLane = field(kw_only=True)

    async def run(self, own: trio.Nursery) -> None:  # noqa: ARG002
        """Run the whole session. What it wrote last can still be fetched afterwards."""
        async with self.stream:
            await self.session.run(self)

    async def send_refusal(self, policy: Refuse) -> None:
        """Send the client the alert."""
        await self.stream.send_all(policy.alert)

    def why_relayed(self, opening: Protocol) -> str | None:  # noqa: ARG002
        """Return that it is not TLS, if the tunnel is not over."""
        return "not TLS" if self.lane.over is None else None

    async def carry(self, data: bytes, relayed: Relayed) -> None:
        """Leave the tunnel to the host, and count what passes."""
        session = self.session

        def passed(sent_bytes: int, received_bytes: int) -> None:
            relayed.sent_bytes += sent_bytes
            relayed.received_bytes += received_bytes
            session.timeout.reset("either side of a relay", session.idle_seconds)

        session.waits = True  # from here on the tunnel is the host's
        await self.lane.pass_on(data, passed)


def reply_tunnels(
    nursery: trio.Nursery, runtime: Runtime, _settings: PluginSettings
) -> Tunnels[ReplyLane]:
    """Return the tunnels. Forwarded requests use upstream connections of our own.

    A tunnel whose client sends nothing for ``limits.idle_tunnel_seconds`` ends.
    """

    def hosted(tunnel_id: str, lane: ReplyLane) -> ReplyTunnel:
        lease = ReplyLease(runtime.dial, runtime.limits, runtime.first_waits)
        lane.ends_turn = lease.pacing.ends_turn
        session = Session(
            runtime,
            runtime.next_session_id(),
            client_name(tunnel_id),
            lease=lease,
            idle_seconds=runtime.limits.idle_tunnel_seconds,
        )
        return ReplyTunnel(session, lane.client, lane=lane)

    return Tunnels(nursery, runtime.limits, ReplyLane, hosted)
