"""One tunnel behind Fault as a session: intercepted if it is a target's, else relayed.

There are three differences from a tunnel of the proxy (`faultinject.proxy.tunnel`): the upstream is
connected already, only SNI names the host, and bytes of our own can reach the client only after
bytes from the upstream. So the upstream's handshake comes first. Its last input is held for the
client's handshake, or for the alert that the client gets instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.config.header_values import checked_header
from faultinject.errors import HandshakeError, SettingsError, UpstreamError
from faultinject.events import Warned
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import LINGER_SECONDS, PrefixedStream
from faultinject.plugin.duplex.lane_stream import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.plugin.tunnels import Tunnels, client_name
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
from faultinject.proxy.sniff import TLS_FLAWS, FirstBytes, Protocol
from faultinject.proxy.tls_policy import TLS_1_3, Intercept, Refuse, policy_for
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import PluginSettings
from faultinject.tls.client_hello import AlertDescription, ClientHello, fatal_alert
from faultinject.tls.layer import WrapTls
from faultinject.tls.trio_tls import TrioTlsStream

_REASONS = {
    Protocol.HTTP: "HTTP without TLS",
    Protocol.OTHER: "neither TLS nor HTTP",
    # The host cannot be read from it. The upstream sends the right alert.
    **TLS_FLAWS,
}

StartTls = Callable[[trio.abc.Stream, Origin, WrapTls], Awaitable[trio.abc.Stream]]
"""Does the TLS handshake with an upstream. Raises `UpstreamError`."""


@define(eq=False)
class DuplexTunnel:
    """A tunnel of two lanes. `serve` is its session's first stage."""

    pair: LanePair
    start_tls: StartTls
    _started: float = field(factory=time.perf_counter)

    async def run(self, session: Session) -> None:
        """Run the whole session. What it wrote is still sent afterwards."""
        async with self.pair.client, self.pair.upstream:
            await session.run(self)

    async def serve(self, session: Session) -> SessionStage | None:
        """Read the first bytes, which decide what happens to the tunnel."""
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

    # Intercepting it

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
        cast("TunnelLease", session.lease).lend(connection, host)  # from `duplex_tunnels`
        return await self._accept(session, data, origin, hello)

    async def _start_tls(self, session: Session, origin: Origin) -> trio.abc.Stream:
        """Do the handshake with the upstream: our ClientHello now, our Finished after its answer.

        Raises `UpstreamError`.
        """
        seconds = session.runtime.limits.dial_seconds
        session.timeout.reset("the upstream's handshake", 2 * seconds)
        lane = self.pair.upstream
        lane.write_through = True
        lane.end_turn(promised=2)
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            stream = await self.start_tls(lane, origin, TrioTlsStream)
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
        """Do the handshake with the client, using the upstream's last input.

        In TLS 1.2 we send two flights (RFC 5246 section 7.3), in TLS 1.3 one (RFC 8446 section 2).
        """
        lane = self.pair.client
        lane.write_through = True
        lane.end_turn(promised=1 if hello.max_version >= TLS_1_3 else 2)
        name = origin.authority.host
        stage = await ServeTls(lane, origin, None, name, data, hello, TrioTlsStream).serve(session)
        lane.write_through = False
        return stage

    async def _refuse(self, session: Session, policy: Refuse) -> None:
        """Refuse the client's handshake. The upstream's handshake makes it possible to say so."""
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
        """Send the client an alert, from before its TLS has begun."""
        try:
            await self.pair.client.send_all(alert)
        except trio.BrokenResourceError:
            return
        self.pair.client.end_turn()

    # Relaying it

    async def _relay(self, session: Session, first: FirstBytes, host: str, reason: str) -> None:
        relayed = Relayed()
        client = PrefixedStream(first.data, self.pair.client)
        upstream = first.upstream or self.pair.upstream
        try:
            await relay(client, upstream, relayed, session.timeout, session.idle_seconds)
        finally:
            report_relay(session, Authority(host, HTTPS_PORT), reason, relayed, self._started)


def _origin(session: Session, host: str) -> Origin:
    """Return a target's origin. The port is the target's own, because the client's is unknown."""
    target = session.runtime.target_named(host)
    authority = Authority(host, target.port or HTTPS_PORT if target else HTTPS_PORT)
    return Origin(authority, authority)


def duplex_tunnels(
    nursery: trio.Nursery, runtime: Runtime, settings: PluginSettings
) -> Tunnels[LanePair]:
    """Return the tunnels of a host that sends answers on in the direction of the chunks.

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
    """Return the carrier request with its headers."""
    try:
        for name, value in settings.carrier_header:
            checked_header(name, value)
    except ValueError as error:
        raise SettingsError(f"carrier_header: {error}") from None
    return settings.whole_carrier
