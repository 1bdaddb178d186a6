"""What deals with the tunnels of a host that gives the answer to a chunk back to its sender.

Knows nothing of gRPC, nor of what happens in a session.
"""

from __future__ import annotations

import trio

from faultinject.plugin.reply.reply_lease import ReplyLease
from faultinject.plugin.reply.reply_stream import ReplyStream
from faultinject.plugin.reply.reply_tunnel import ReplyTunnel
from faultinject.plugin.tunnels import Tunnels, client_name
from faultinject.proxy.session import Services, Session
from faultinject.settings import PluginSettings


def reply_tunnels(
    nursery: trio.Nursery, services: Services, _settings: PluginSettings
) -> Tunnels[ReplyStream]:
    """Return the tunnels; requests that are not harmed go over connections of our own.

    A tunnel that waits for its client for ``limits.idle_tunnel_seconds`` is over.
    """

    def session_of(tunnel_id: str, stream: ReplyStream) -> Session:
        lease = ReplyLease(services.dial, services.limits)
        stream.ends_turn = lease.ends_turn
        return Session(
            services,
            services.next_session_id(),
            client_name(tunnel_id),
            lease=lease,
            idle_seconds=services.limits.idle_tunnel_seconds,
        )

    async def run(stream: ReplyStream, session: Session) -> None:
        await ReplyTunnel(stream).run(session)

    return Tunnels(nursery, services.limits, ReplyStream, session_of, run)
