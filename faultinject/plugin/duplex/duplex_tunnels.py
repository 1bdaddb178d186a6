"""What deals with Fault's tunnels: each is a session on two lanes.

Knows nothing of gRPC, nor of what happens in a session.
"""

from __future__ import annotations

import time

import trio

from faultinject.config.added_headers import checked_header
from faultinject.errors import SettingsError
from faultinject.events import Warned
from faultinject.http.message import RequestHead
from faultinject.plugin.duplex.duplex_tunnel import DuplexTunnel
from faultinject.plugin.duplex.lane_stream import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.plugin.tunnels import Tunnels, client_name
from faultinject.proxy.session import Services, Session
from faultinject.settings import PluginSettings


def duplex_tunnels(
    nursery: trio.Nursery, services: Services, settings: PluginSettings
) -> Tunnels[LanePair]:
    """Return the tunnels of a host that sends answers on as it would have sent the chunks.

    Raises `SettingsError` for a header that the carrier cannot have.
    """
    carrier = _carrier(settings)

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


def _carrier(settings: PluginSettings) -> RequestHead:
    """Return what is asked of the upstream, with its headers."""
    try:
        for name, value in settings.carrier_header:
            checked_header(name, value)
    except ValueError as error:
        raise SettingsError(f"carrier_header: {error}") from None
    return settings.whole_carrier
