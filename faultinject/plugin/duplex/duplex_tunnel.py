"""One tunnel behind Fault as a session: looked into if it is a target's, else relayed.

What differs from a tunnel of the proxy (`faultinject.proxy.tunnel`): the upstream is connected
already, only SNI names the host, and words of our own reach the client only behind words of the
upstream. So the upstream's handshake comes first, and its last input is held for the client's, or
for the alert that the client gets instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.config.kinds import checked_header
from faultinject.errors import HandshakeError, SettingsError, UpstreamError
from faultinject.events import Warned
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import LINGER_SECONDS, PrefixedStream
from faultinject.plugin.duplex.lane_stream import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.plugin.tunnels import Tunnels, client_name
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
from faultinject.proxy.sniff import TLS_FLAWS, FirstBytes, Protocol
from faultinject.proxy.tls_policy import TLS_1_3, Intercept, Refuse, policy_for
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import PluginSettings
from faultinject.tls.client_hello import AlertDescription, ClientHello, fatal_alert

_REASONS = {
    Protocol.HTTP: "HTTP without TLS",
    Protocol.OTHER: "neither TLS nor HTTP",
    # Whose it is cannot be read; the upstream sends the alert that it deserves.
    **TLS_FLAWS,
}

StartTls = Callable[[trio.abc.Stream, Origin], Awaitable[trio.abc.Stream]]
"""Does the handshake with an upstream; raises `UpstreamError`."""


@define(eq=False)
class DuplexTunnel:
    """A tunnel of two lanes. `serve` is its session's first stage."""

    pair: LanePair
    start_tls: StartTls
    _started: float = field(factory=time.perf_counter)

    async def run(self, session: Session) -> None:
        """Run the whole session; afterwards what it wrote is still served."""
        async with self.pair.client, self.pair.upstream:
            await session.run(self.serve)

    async def serve(self, session: Session) -> SessionStage | None:
        """Look at the first bytes, and do with the tunnel what they say."""
        session.timeout.reset("the tunnel's first bytes", session.runtime.limits.idle_seconds)
        first = FirstBytes(
            session, self.pair.client, only_sni_counts=True, upstream=self.pair.upstream
        )
        await first.read()
        if first.upstream is not self.pair.upstream:
            await self._relay(session, first, "", "the upstream spoke first")
        elif isinstance(first.opening, ClientHello):
            return await self._serve_tls(session, first, first.opening)
        else:
            reason = _REASONS.get(first.opening, "the client said too little")
            await self._relay(session, first, "", reason)
        return None

    async def _serve_tls(
        self, session: Session, first: FirstBytes, hello: ClientHello
    ) -> SessionStage | None:
        report_hello(session, "", hello)
        runtime = session.runtime
        policy = policy_for(hello, "", lambda host: runtime.target_named(host) is not None)
        if isinstance(policy, Intercept):
            return await self._intercept(session, first.data, policy.host, hello)
        if isinstance(policy, Refuse):
            await self._refuse(session, policy)
        else:
            name = hello.server_name or ""
            if policy.warn:
                warn_of_relay(session, name, policy.reason)
            await self._relay(session, first, name, policy.reason)
        return None

    # Looking into it

    async def _intercept(
        self, session: Session, data: bytes, host: str, hello: ClientHello
    ) -> SessionStage | None:
        origin = _origin(session, host)
        try:
            upstream = await self._start_tls(session, origin)
        except UpstreamError as error:
            report_handshake_failure(session, host, self._upstream_failure(error))
            await self._alert(fatal_alert(AlertDescription.HANDSHAKE_FAILURE))
            return None
        limits = session.runtime.limits
        connection = UpstreamConnection(
            upstream, head_bytes=limits.head_bytes, head_seconds=limits.head_seconds
        )
        cast("TunnelLease", session.lease).lend(connection, host)  # `duplex_tunnels` gives it
        return await self._accept(session, data, origin, hello)

    async def _start_tls(self, session: Session, origin: Origin) -> trio.abc.Stream:
        """Shake hands with the upstream: our ClientHello now, our Finished when it has answered.

        Raises `UpstreamError`.
        """
        seconds = session.runtime.limits.dial_seconds
        session.timeout.reset("the upstream's handshake", 2 * seconds)
        lane = self.pair.upstream
        lane.write_through = True
        lane.end_turn(promised=2)
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            stream = await self.start_tls(lane, origin)
            lane.write_through = False
            return stream
        words = f"{origin.authority} did not finish its handshake within {seconds:g} s"
        raise UpstreamError("timeout", words)

    def _upstream_failure(self, error: UpstreamError) -> HandshakeError:
        if self.pair.over.is_set():
            reason = f"{self.pair.ended_because} within the upstream's handshake"
            return HandshakeError(reason)
        return HandshakeError(str(error))

    async def _accept(
        self, session: Session, data: bytes, origin: Origin, hello: ClientHello
    ) -> SessionStage | None:
        """Shake hands with the client on what the upstream said last.

        TLS 1.2 takes two flights of ours (RFC 5246 section 7.3), TLS 1.3 one (RFC 8446 section 2).
        """
        lane = self.pair.client
        lane.write_through = True
        lane.end_turn(promised=1 if hello.max_version >= TLS_1_3 else 2)
        interception = Interception(lane, origin, None)
        stage = await interception.serve_tls(session, origin.authority.host, data, hello)
        lane.write_through = False
        return stage

    async def _refuse(self, session: Session, policy: Refuse) -> None:
        """End a handshake that cannot begin; that of the upstream brings the way to say so."""
        report_handshake_failure(session, policy.name, HandshakeError(policy.reason))
        try:
            upstream = await self._start_tls(session, _origin(session, policy.name))
        except UpstreamError:
            await self._alert(policy.alert)
            return
        await self._alert(policy.alert)
        with trio.move_on_after(LINGER_SECONDS):
            await upstream.aclose()

    async def _alert(self, alert: bytes) -> None:
        """Tell the client that there will be no TLS; TLS itself had no part in it yet."""
        try:
            await self.pair.client.send_all(alert)
        except trio.BrokenResourceError:
            return
        self.pair.client.end_turn()

    # Passing it on

    async def _relay(self, session: Session, first: FirstBytes, host: str, reason: str) -> None:
        relayed = Relayed()
        client = PrefixedStream(first.data, self.pair.client)
        upstream = first.upstream or self.pair.upstream
        try:
            await relay(client, upstream, relayed, session.timeout, session.idle_seconds)
        finally:
            report_relay(session, Authority(host, HTTPS_PORT), reason, relayed, self._started)


def _origin(session: Session, host: str) -> Origin:
    """Return a target by its name; its port is what the target says, as the client's is unknown."""
    target = session.runtime.target_named(host)
    authority = Authority(host, target.port or HTTPS_PORT if target else HTTPS_PORT)
    return Origin(authority, authority)


def duplex_tunnels(
    nursery: trio.Nursery, runtime: Runtime, settings: PluginSettings
) -> Tunnels[LanePair]:
    """Return the tunnels of a host that sends answers on as it would have sent the chunks.

    Raises `SettingsError` for a header that the carrier cannot have.
    """
    carrier = _carrier(settings)

    def session_of(tunnel_id: str, pair: LanePair) -> Session:
        return Session(
            runtime,
            runtime.next_session_id(),
            client_name(tunnel_id),
            lease=TunnelLease(pair, nursery, carrier),
            idle_seconds=runtime.limits.idle_tunnel_seconds,
        )

    async def run(pair: LanePair, session: Session) -> None:
        await DuplexTunnel(pair, runtime.dialer.start_tls).run(session)
        if pair.broken:
            words = f"{session.client}: {pair.ended_because}"
            runtime.listener(Warned(time=time.time(), message=words))

    return Tunnels(nursery, runtime.limits, LanePair, session_of, run)


def _carrier(settings: PluginSettings) -> RequestHead:
    """Return what is asked of the upstream, with its headers."""
    try:
        for name, value in settings.carrier_header:
            checked_header(name, value)
    except ValueError as error:
        raise SettingsError(f"carrier_header: {error}") from None
    return settings.whole_carrier
