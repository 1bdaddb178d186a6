"""The tunnel of a CONNECT: it is intercepted, or relayed untouched.

A tunnel is intercepted if the client names a target (in CONNECT or by SNI) and speaks TLS with
HTTP/1.1, or plain HTTP.
"""

from __future__ import annotations

import time
from typing import ClassVar

import trio
from attrs import define, field

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.net.relay import Relayed, relay
from faultinject.net.streams import CloseMode, PrefixedStream, close
from faultinject.proxy.intercept import ServeHttp1
from faultinject.proxy.session import (
    Session,
    SessionStage,
    report_relay,
)
from faultinject.proxy.sniff import TLS_FLAWS, FirstBytes, Protocol
from faultinject.proxy.tls_policy import Refuse
from faultinject.proxy.tls_tunnel import TlsTunnel
from faultinject.proxy.upstream.dial import Origin
from faultinject.tls.client_hello import AlertDescription, ClientHello, fatal_alert
from faultinject.tls.layer import WrapTls
from faultinject.tls.stream import TlsStream

_ALERTS = {  # RFC 8446 section 6.2
    Protocol.BROKEN_TLS: AlertDescription.DECODE_ERROR,
    Protocol.UNEXPECTED_TLS: AlertDescription.UNEXPECTED_MESSAGE,
    Protocol.TOO_LONG_TLS: AlertDescription.RECORD_OVERFLOW,
}


@define(eq=False, repr=False)
class Tunnel(TlsTunnel):
    """One tunnel of a session.

    The caller owns the client's stream. The tunnel owns ``upstream``, the connection for a relay.
    """

    wrap_tls: ClassVar[WrapTls] = TlsStream
    authority: Authority = field(kw_only=True)
    confirmation: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    """What the client is sent first (RFC 9110 section 9.3.6)."""
    upstream: trio.abc.Stream | None = None
    _started: float = field(factory=time.perf_counter)

    async def dial_if_relayed(self) -> None:
        """Dial the upstream now if the host is no target: a failure can still be answered.

        Raises `UpstreamError`, after reporting the relay's end.
        """
        if self.is_target(self.authority.host):
            return
        try:
            self.upstream = await self._dial()
        except UpstreamError as error:
            self._report_relay(Relayed(error=str(error)), "not a target")
            raise

    @property
    def asked_for(self) -> Authority | None:
        """The authority of the CONNECT."""
        return self.authority

    async def serve(self, _session: Session) -> SessionStage | None:
        """Tell the client that the tunnel is there, and serve it.

        Returns the next stage if it is intercepted, else None at its end.
        """
        try:
            return await self._serve() if await self._send(self.confirmation) else None
        finally:
            await self._close_upstream()

    async def _close_upstream(self) -> None:
        """Close the connection for a relay, if there is one."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            await trio.aclose_forcefully(upstream)

    async def _serve(self) -> SessionStage | None:
        self.session.timeout.reset(
            "the tunnel's first bytes", self.session.runtime.limits.idle_seconds
        )
        first = await self._first_bytes()
        if isinstance(first.opening, ClientHello):
            return await self.serve_tls(first.data, first.opening)
        if not self.is_target(self.authority.host):
            await self.relay(first.data, "not a target")
            return None
        if first.opening in TLS_FLAWS:
            alert = fatal_alert(_ALERTS[first.opening])
            await self.refuse(Refuse(self.authority.host, TLS_FLAWS[first.opening], alert))
            return None
        if first.opening is Protocol.HTTP:
            origin = Origin(self.authority, self.authority, tls=False)
            stream = PrefixedStream(first.data, self.stream)
            return ServeHttp1(stream, origin, self.on_partial_read)
        await self.relay(first.data, "neither TLS nor HTTP")
        return None

    def is_target(self, host: str) -> bool:
        """Return True if a host is a target at the port of the CONNECT."""
        return self.session.runtime.target_of(host, self.authority.port) is not None

    async def _first_bytes(self) -> FirstBytes:
        """Read the client's first bytes; dial if it waits for the upstream to send first."""
        known = not self.is_target(self.authority.host)
        first = FirstBytes(self.session, self.stream, only_sni_counts=known, upstream=self.upstream)
        if self.upstream is None:
            limits = self.session.runtime.limits
            with trio.move_on_after(limits.silent_tunnel_seconds):
                await first.read_alone()
                return first
            if not first.data:
                first.upstream = self.upstream = await self._dial_greeter()
        await first.read()
        self.upstream = first.upstream
        return first

    # Intercepting

    def origin_of(self, host: str) -> Origin:
        """Return the origin of a target's host: its port and address are those of the CONNECT."""
        return Origin(Authority(host, self.authority.port), self.authority)

    async def send_refusal(self, policy: Refuse) -> None:
        """Send the client the alert, and end its connection."""
        if await self._send(policy.alert):
            await close(self.stream, CloseMode.LINGER)

    # Relaying

    async def relay(self, data: bytes, reason: str, host: str = "") -> None:  # noqa: ARG002
        """Relay the tunnel, from the first bytes on, and report it by the CONNECT's authority."""
        relayed = Relayed()
        stream = PrefixedStream(data, self.stream) if data else self.stream
        try:
            idle_seconds = self.session.runtime.limits.idle_seconds
            if self.upstream is None:
                # The dial has a time limit of its own; the ClientHello's is over.
                self.session.timeout.extend("the upstream to be reached", idle_seconds)
                self.upstream = await self._dial()
            await relay(stream, self.upstream, relayed, self.session.timeout, idle_seconds)
        except UpstreamError as error:
            relayed.error = str(error)
        finally:
            self._report_relay(relayed, reason)

    async def _dial_greeter(self) -> trio.abc.Stream | None:
        """Dial an upstream that may send first. None on failure: the client may still send."""
        try:
            return await self._dial()
        except UpstreamError:
            return None

    async def _dial(self) -> trio.abc.Stream:
        runtime = self.session.runtime
        if not runtime.relays_targets and self.is_target(self.authority.host):
            words = f"{self.authority} is answered by the fake API, which speaks HTTP only"
            raise UpstreamError("protocol", words)
        return await runtime.dialer.dial_blind(self.authority)

    async def _send(self, data: bytes) -> bool:
        """Send bytes to the client, without TLS; return False if it is gone."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            return False
        return True

    def _report_relay(self, relayed: Relayed, reason: str) -> None:
        opened = self.upstream is not None
        report_relay(self.session, self.authority, reason, relayed, self._started, opened=opened)
