"""One tunnel of a host that gives answers back to the sender, as a session.

It is looked into if its client names a target by SNI and speaks TLS with HTTP/1.1. All else is
left to the host, which has a connection to the upstream and is the only one who knows its port.
"""

from __future__ import annotations

import time

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.errors import HandshakeError
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.net.relay import Relayed
from faultinject.plugin.reply.reply_stream import ReplyStream
from faultinject.plugin.tunnels import Tunnels, client_name
from faultinject.proxy.decision import decide_handshake
from faultinject.proxy.intercept import Interception
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import (
    Session,
    SessionStage,
    report_handshake_failure,
    report_hello,
    report_relay,
    warn_of_relay,
)
from faultinject.proxy.sniff import FirstBytes
from faultinject.proxy.tls_faults import BrokenHandshake
from faultinject.proxy.tls_policy import Intercept, Refuse, policy_for
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.pool import PoolLease
from faultinject.settings import PluginSettings
from faultinject.tls.client_hello import ClientHello


class ReplyLease(PoolLease):
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

    def before_read(self, unread: bytes) -> bool:  # noqa: ARG002
        """Remember which task watches the client; see `ends_turn`. It may always be read."""
        self._watcher = trio.lowlevel.current_task()
        return True

    def ends_turn(self) -> bool:
        """Return True if the client is read because the session waits for its bytes.

        Return False where the client is only watched, in case it leaves.
        """
        if self._watcher is trio.lowlevel.current_task():
            return False
        self._watcher = None
        return True


@define(eq=False)
class ReplyTunnel:
    """A tunnel's session: what it is, and then what happens in it."""

    stream: ReplyStream
    _started: float = field(factory=time.perf_counter)

    async def run(self, session: Session) -> None:
        """Run the whole session; afterwards what it said last can still be fetched."""
        async with self.stream:
            await session.run(self.serve)

    async def serve(self, session: Session) -> SessionStage | None:
        """Look at the first bytes, and do with the tunnel what they say."""
        session.timeout.reset("the tunnel's first bytes", session.idle_seconds)
        first = FirstBytes(session, self.stream, only_sni_counts=True)
        await first.read_alone()
        if isinstance(first.opening, ClientHello):
            return await self._serve_tls(session, first.data, first.opening)
        if self.stream.over is None:
            await self._leave_to_host(session, first.data, "", "not TLS")
        return None

    async def _serve_tls(
        self, session: Session, data: bytes, hello: ClientHello
    ) -> SessionStage | None:
        report_hello(session, "", hello)
        runtime = session.runtime
        policy = policy_for(hello, "", lambda host: runtime.target_named(host) is not None)
        if isinstance(policy, Intercept):
            return await self._intercept(session, data, policy, hello)
        if isinstance(policy, Refuse):
            report_handshake_failure(session, policy.name, HandshakeError(policy.reason))
            await self.stream.send_all(policy.alert)
            return None
        name = hello.server_name or ""
        if policy.warn:
            warn_of_relay(session, name, policy.reason)
        await self._leave_to_host(session, data, name, policy.reason)
        return None

    async def _intercept(
        self, session: Session, data: bytes, policy: Intercept, hello: ClientHello
    ) -> SessionStage | None:
        origin = _origin(session, policy.host)
        if (plan := decide_handshake(session, origin.authority)) is not None:
            await BrokenHandshake(session, self.stream, origin.authority, plan).run()
            return None
        interception = Interception(self.stream, origin, None)
        return lambda session: interception.serve_tls(session, policy.name, data, hello)

    async def _leave_to_host(self, session: Session, data: bytes, host: str, reason: str) -> None:
        relayed = Relayed()

        def passed(sent_bytes: int, received_bytes: int) -> None:
            relayed.sent_bytes += sent_bytes
            relayed.received_bytes += received_bytes
            session.timeout.reset("either side of a relay", session.idle_seconds)

        session.idle = True  # what is under way in it is the host's
        try:
            await self.stream.pass_on(data, passed)
        finally:
            report_relay(session, Authority(host, HTTPS_PORT), reason, relayed, self._started)


def _origin(session: Session, host: str) -> Origin:
    """Return a target by its name; its port is what the target says, as the client's is unknown."""
    target = session.runtime.target_named(host)
    port = target.port if target is not None else None
    authority = Authority(host, port or HTTPS_PORT)
    return Origin(authority, authority)


def reply_tunnels(
    nursery: trio.Nursery, runtime: Runtime, _settings: PluginSettings
) -> Tunnels[ReplyStream]:
    """Return the tunnels; requests that are not harmed go over connections of our own.

    A tunnel that waits for its client for ``limits.idle_tunnel_seconds`` is over.
    """

    def session_of(tunnel_id: str, stream: ReplyStream) -> Session:
        lease = ReplyLease(runtime.dial, runtime.limits)
        stream.ends_turn = lease.ends_turn
        return Session(
            runtime,
            runtime.next_session_id(),
            client_name(tunnel_id),
            lease=lease,
            idle_seconds=runtime.limits.idle_tunnel_seconds,
        )

    async def run(stream: ReplyStream, session: Session) -> None:
        await ReplyTunnel(stream).run(session)

    return Tunnels(nursery, runtime.limits, ReplyStream, session_of, run)
