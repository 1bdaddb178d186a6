"""What deals with Fault's tunnels: each is a session on two lanes.

Knows nothing of gRPC, nor of what happens in a session.
"""

from __future__ import annotations

import time

import trio

from faultinject.events import Warned
from faultinject.plugin.lane_stream import LanePair
from faultinject.plugin.lease import TunnelLease
from faultinject.plugin.tunnel import DuplexTunnel
from faultinject.plugin.tunnels import Tunnels, client_name
from faultinject.session import Services, Session
from faultinject.settings import PluginSettings


def duplex_tunnels(
    nursery: trio.Nursery, services: Services, settings: PluginSettings
) -> Tunnels[LanePair]:
    """Return the tunnels of a host that sends answers on as it would have sent the chunks."""
    carrier = settings.whole_carrier

    def session_of(tunnel_id: str, pair: LanePair) -> Session:
        return Session(
            services,
            services.next_session_id(),
            client_name(tunnel_id),
            lease=TunnelLease(pair, nursery, carrier),
            idle_seconds=services.limits.idle_tunnel_seconds,
        )

    async def run(pair: LanePair, session: Session) -> None:
        await DuplexTunnel(pair, services.dialer.start_tls).run(session)
        if pair.broken:
            words = f"{session.client}: {pair.ended_because}"
            services.listener(Warned(time=time.time(), message=words))

    return Tunnels(nursery, services.limits, LanePair, session_of, run)
