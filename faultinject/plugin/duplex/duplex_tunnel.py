"""One tunnel behind Fault, which sends the answer to a chunk on in the direction of the chunk."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from faultinject.config.header_values import checked_header
from faultinject.errors import HandshakeError, SettingsError, UpstreamError
from faultinject.events import Warned
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import LINGER_SECONDS, PrefixedStream
from faultinject.plugin.duplex.lanes import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.plugin.tunnels import HostedTunnel, Tunnels, client_name
from faultinject.proxy.intercept import ServeTls
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.session import (
    Session,
    SessionStage,
    report_handshake_failure,
)
from faultinject.proxy.sniff import TLS_FLAWS, Protocol
from faultinject.proxy.tls_policy import TLS_1_3, Refuse
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import PluginSettings
from faultinject.tls.client_hello import AlertDescription, fatal_alert
from faultinject.tls.layer import WrapTls

_REASONS = {
    Protocol.HTTP: "HTTP without TLS",
    Protocol.OTHER: "neither TLS nor HTTP",
    # The host cannot be read from it. The upstream sends the right alert.
    **TLS_FLAWS,
}

StartTls = Callable[[trio.abc.Stream, Origin, WrapTls], Awaitable[trio.abc.Stream]]
"""Does the TLS handshake with an upstream. Raises `UpstreamError`."""


@define(eq=False, repr=False)
class DuplexTunnel(HostedTunnel):
    """A tunnel of two lanes.

    Bytes of our own can reach the client only after bytes from the upstream. So the upstream's
    handshake comes first. Its last input is held for the client's handshake, or for the alert that
    the client gets instead.
    """

    pair: LanePair = field(kw_only=True)
    lease: TunnelLease = field(kw_only=True)
    """The session's."""
    start_tls: StartTls = field(kw_only=True)

    async def run(self, own: trio.Nursery) -> None:
        """Run the whole session, and warn if bytes would have been lost. See the base class."""
        self.lease.nursery = own
        async with self.pair.client, self.pair.upstream:
            await self.session.run(self)
        if self.pair.broken:
            words = f"{self.session.client}: {self.pair.ended_because}"
            self.session.runtime.listener(Warned(time=time.time(), message=words))

    # Intercepting it

    async def accept(self, stage: ServeTls) -> SessionStage | None:
        """Do the handshake with the upstream, and then with the client, using the last input.

        In TLS 1.2 we send the client two flights (RFC 5246 section 7.3), in TLS 1.3 one (RFC 8446
        section 2).
        """
        origin = stage.origin
        try:
            upstream = await self._start_tls(origin)
        except UpstreamError as error:
            failure = self._upstream_failure(error)
            report_handshake_failure(self.session, origin.authority.host, failure)
            await self._alert(fatal_alert(AlertDescription.HANDSHAKE_FAILURE))
            return None
        limits = self.session.runtime.limits
        connection = UpstreamConnection(
            upstream, head_bytes=limits.head_bytes, head_seconds=limits.head_seconds
        )
        self.lease.lend(connection, origin.authority.host)
        lane = self.pair.down
        lane.write_through = True
        lane.end_turn(promised=1 if stage.hello.max_version >= TLS_1_3 else 2)
        inside = await stage.serve(self.session)
        lane.write_through = False
        return inside

    async def _start_tls(self, origin: Origin) -> trio.abc.Stream:
        """Do the handshake with the upstream: our ClientHello now, our Finished after its answer.

        Raises `UpstreamError`.
        """
        seconds = self.session.runtime.limits.dial_seconds
        self.session.timeout.reset("the upstream's handshake", 2 * seconds)
        lane = self.pair.up
        lane.write_through = True
        lane.end_turn(promised=2)
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            stream = await self.start_tls(self.pair.upstream, origin, self.wrap_tls)
            lane.write_through = False
            return stream
        words = f"{origin.authority} did not finish its handshake within {seconds:g} s"
        raise UpstreamError("timeout", words)

    def _upstream_failure(self, error: UpstreamError) -> HandshakeError:
        if self.pair.over.is_set():
            reason = f"{self.pair.ended_because} within the upstream's handshake"
            return HandshakeError(reason)
        return HandshakeError(str(error))

    async def send_refusal(self, policy: Refuse) -> None:
        """Send the client the alert. The upstream's handshake makes it possible."""
        try:
            upstream = await self._start_tls(self.origin_of(policy.name))
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
        self.pair.down.end_turn()

    # Relaying it

    def why_relayed(self, opening: Protocol) -> str | None:
        """Return what the client said instead of a ClientHello."""
        return _REASONS.get(opening, "the client said too little")

    async def carry(self, data: bytes, relayed: Relayed) -> None:
        """Relay the bytes of both peers through the lanes."""
        client = PrefixedStream(data, self.stream)
        upstream = self._upstream or self.pair.upstream
        session = self.session
        await relay(client, upstream, relayed, session.timeout, session.idle_seconds)


def duplex_tunnels(
    nursery: trio.Nursery, runtime: Runtime, settings: PluginSettings
) -> Tunnels[LanePair]:
    """Return the tunnels of a host that sends answers on in the direction of the chunks.

    Raises `SettingsError` for a header that the carrier cannot have.
    """
    carrier = _carrier(settings)

    def hosted(tunnel_id: str, pair: LanePair) -> DuplexTunnel:
        lease = TunnelLease(pair, carrier)
        session = Session(
            runtime,
            runtime.next_session_id(),
            client_name(tunnel_id),
            lease=lease,
            idle_seconds=runtime.limits.idle_tunnel_seconds,
        )
        return DuplexTunnel(
            session,
            pair.client,
            upstream=pair.upstream,
            pair=pair,
            lease=lease,
            start_tls=runtime.dialer.start_tls,
        )

    return Tunnels(nursery, runtime.limits, LanePair, hosted)


def _carrier(settings: PluginSettings) -> RequestHead:
    """Return the carrier request with its headers."""
    try:
        for name, value in settings.carrier_header:
            checked_header(name, value)
    except ValueError as error:
        raise SettingsError(f"carrier_header: {error}") from None
    return settings.whole_carrier
