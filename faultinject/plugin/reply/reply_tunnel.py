"""One tunnel of a host that gives answers back to the sender, as a session.

It is intercepted if its client names a target by SNI, and uses TLS with HTTP/1.1. Everything else
is left to the host, which is connected to the upstream, and alone knows its port.
"""

from __future__ import annotations

import time

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.errors import HandshakeError
from faultinject.http.exchange_sides import UpstreamExchange
from faultinject.net.relay import Relayed
from faultinject.plugin.reply.reply_stream import ReplyStream
from faultinject.plugin.tunnels import Tunnels, client_name
from faultinject.proxy.decision import decide_handshake
from faultinject.proxy.intercept import ServeTls
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
from faultinject.proxy.upstream.lease import Pacing
from faultinject.proxy.upstream.pool import Dial, PoolLease
from faultinject.settings import Limits, PluginSettings
from faultinject.tls.client_hello import ClientHello
from faultinject.tls.trio_tls import TrioTlsStream


class ReplyLease(PoolLease):
    """A tunnel's own upstream connections. The client's connection does not end with an idle one.

    The client of such a tunnel cannot be told that the upstream has left. So this is noticed when
    the connection is needed again, and then a new one is dialled.
    """

    def __init__(self, dial: Dial, limits: Limits) -> None:
        super().__init__(dial, limits)
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


@define(eq=False)
class ReplyTunnel:
    """A tunnel's session. `serve` is its first stage."""

    stream: ReplyStream
    _started: float = field(factory=time.perf_counter)

    async def run(self, session: Session) -> None:
        """Run the whole session. What it wrote last can still be fetched afterwards."""
        async with self.stream:
            await session.run(self)

    async def serve(self, session: Session) -> SessionStage | None:
        """Read the first bytes, which decide what happens to the tunnel."""
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
        return ServeTls(self.stream, origin, None, policy.name, data, hello, TrioTlsStream)

    async def _leave_to_host(self, session: Session, data: bytes, host: str, reason: str) -> None:
        relayed = Relayed()

        def passed(sent_bytes: int, received_bytes: int) -> None:
            relayed.sent_bytes += sent_bytes
            relayed.received_bytes += received_bytes
            session.timeout.reset("either side of a relay", session.idle_seconds)

        session.waits = True  # from here on the tunnel is the host's
        try:
            await self.stream.pass_on(data, passed)
        finally:
            report_relay(session, Authority(host, HTTPS_PORT), reason, relayed, self._started)


def _origin(session: Session, host: str) -> Origin:
    """Return a target's origin. The port is the target's own, because the client's is unknown."""
    target = session.runtime.target_named(host)
    port = target.port if target is not None else None
    authority = Authority(host, port or HTTPS_PORT)
    return Origin(authority, authority)


def reply_tunnels(
    nursery: trio.Nursery, runtime: Runtime, _settings: PluginSettings
) -> Tunnels[ReplyStream]:
    """Return the tunnels. Forwarded requests use upstream connections of our own.

    A tunnel whose client sends nothing for ``limits.idle_tunnel_seconds`` ends.
    """

    def session_of(tunnel_id: str, stream: ReplyStream) -> Session:
        lease = ReplyLease(runtime.dial, runtime.limits)
        stream.ends_turn = lease.pacing.ends_turn
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
