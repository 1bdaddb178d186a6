"""One tunnel behind Fault as a session: looked into if it is a target's, else relayed.

What differs from a tunnel of the proxy (`faultinject.tunnel`): the upstream is connected already,
only SNI names the host, and words of our own reach the client only behind words of the upstream.
So the upstream's handshake comes first, and its last input is held for the client's. Knows
nothing of gRPC.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.beside import beside
from faultinject.dial import Origin
from faultinject.errors import HandshakeError, UpstreamError
from faultinject.events import ClientHelloRead, RelayEnded
from faultinject.http.connection import UpstreamConnection
from faultinject.interception import Interception, tell_failure
from faultinject.opening import Speech, read_opening
from faultinject.plugin.lane_stream import LanePair
from faultinject.plugin.lease import TunnelLease
from faultinject.relay import READ_NUM_BYTES, Relayed, relay
from faultinject.session import Session, Stage, milliseconds_since
from faultinject.streams import PrefixedStream
from faultinject.tls.client_hello import AlertDescription, ClientHello, fatal_alert

_TLS_1_2, _TLS_1_3 = 0x0303, 0x0304
_HTTP_1_1 = "http/1.1"

StartTls = Callable[[trio.abc.Stream, Origin], Awaitable[trio.abc.Stream]]
"""Does the handshake with an upstream; raises `UpstreamError`."""


@define(eq=False)
class DuplexTunnel:
    """A tunnel of two lanes. `serve` is its session's first stage."""

    pair: LanePair
    start_tls: StartTls
    _upstream: trio.abc.Stream = field(init=False)
    _started: float = field(factory=time.perf_counter)

    def __attrs_post_init__(self) -> None:
        self._upstream = self.pair.upstream

    async def run(self, session: Session) -> None:
        """Run the whole session; afterwards what it wrote is still served."""
        async with self.pair.client, self.pair.upstream:
            await session.run(self.serve)

    async def serve(self, session: Session) -> Stage | None:
        """Look at the first bytes, and do with the tunnel what they say."""
        session.patience.expect("the tunnel's first bytes", session.services.limits.idle_seconds)
        data = await self._opening_bytes(session)
        hello = read_opening(data)
        if isinstance(hello, ClientHello):
            return await self._serve_tls(session, data, hello)
        await self._relay(session, data, "", "not TLS, or the upstream spoke first")
        return None

    async def _serve_tls(self, session: Session, data: bytes, hello: ClientHello) -> Stage | None:
        self._tell_hello(session, hello)
        name = hello.server_name or ""
        target = session.services.target_named(name)
        if target is None:
            reason = "not a target"
        elif hello.alpn and _HTTP_1_1 not in hello.alpn:
            reason = f"the client offers only {', '.join(hello.alpn)}"
        elif hello.max_version < _TLS_1_2:
            reason = "the client offers no TLS 1.2 or later"
        else:
            authority = Authority(name, target.port or HTTPS_PORT)
            return await self._intercept(session, data, authority, hello)
        await self._relay(session, data, name, reason)
        return None

    # The first bytes

    async def _opening_bytes(self, session: Session) -> bytes:
        """Return the client's first bytes, or nothing if the upstream speaks first."""
        buffer = bytearray()
        await beside(self._watch_upstream, lambda: self._read_opening(session, buffer))
        return bytes(buffer)

    async def _watch_upstream(self, ended: trio.CancelScope) -> None:
        try:
            data = await self.pair.upstream.receive_some(READ_NUM_BYTES)
        except trio.BrokenResourceError:
            data = bytearray()
        self._upstream = PrefixedStream(bytes(data), self.pair.upstream)
        ended.cancel()

    async def _read_opening(self, session: Session, buffer: bytearray) -> None:
        limits = session.services.limits
        while read_opening(bytes(buffer)) is Speech.UNDECIDED:
            if len(buffer) > limits.client_hello_bytes:
                return
            try:
                data = await self.pair.client.receive_some()
            except trio.BrokenResourceError:
                return
            if not data:
                return
            session.patience.expect("the rest of the ClientHello", limits.handshake_seconds)
            buffer += data

    # Looking into it

    async def _intercept(
        self, session: Session, data: bytes, authority: Authority, hello: ClientHello
    ) -> Stage | None:
        name = authority.host
        origin = Origin(authority, authority)
        limits = session.services.limits
        session.patience.expect("the upstream's handshake", limits.dial_seconds)
        try:
            upstream = await self._start_tls(origin)
        except UpstreamError as error:
            tell_failure(session, name, HandshakeError(str(error)))
            await self._alert(AlertDescription.HANDSHAKE_FAILURE)
            return None
        lease = session.lease
        if isinstance(lease, TunnelLease):
            connection = UpstreamConnection(upstream, head_bytes=limits.head_bytes)
            lease.lend(connection, name)
        return await self._accept(session, data, origin, hello)

    async def _start_tls(self, origin: Origin) -> trio.abc.Stream:
        """Shake hands with the upstream: our ClientHello now, our Finished when it has answered."""
        lane = self.pair.upstream
        lane.write_through = True
        lane.end_turn(promised=2)
        stream = await self.start_tls(lane, origin)
        lane.write_through = False
        return stream

    async def _accept(
        self, session: Session, data: bytes, origin: Origin, hello: ClientHello
    ) -> Stage | None:
        """Shake hands with the client on what the upstream said last.

        TLS 1.2 takes two flights of ours (RFC 5246 section 7.3), TLS 1.3 one (RFC 8446 section 2).
        """
        lane = self.pair.client
        lane.write_through = True
        lane.end_turn(promised=1 if hello.max_version >= _TLS_1_3 else 2)
        interception = Interception(lane, origin, None)
        stage = await interception.serve_tls(session, origin.authority.host, data)
        lane.write_through = False
        return stage

    async def _alert(self, description: AlertDescription) -> None:
        """Tell the client that there will be no TLS; TLS itself had no part in it yet."""
        try:
            await self.pair.client.send_all(fatal_alert(description))
        except trio.BrokenResourceError:
            return
        self.pair.client.end_turn()

    # Passing it on

    async def _relay(self, session: Session, data: bytes, host: str, reason: str) -> None:
        relayed = Relayed()
        client = PrefixedStream(data, self.pair.client)
        idle_seconds = session.services.limits.idle_seconds
        try:
            await relay(client, self._upstream, relayed, session.patience, idle_seconds)
        finally:
            session.emit(
                RelayEnded(
                    time=time.time(),
                    session=session.id,
                    client=session.client,
                    host=host,
                    port=HTTPS_PORT,
                    reason=reason,
                    sent_bytes=relayed.sent_bytes,
                    received_bytes=relayed.received_bytes,
                    milliseconds=milliseconds_since(self._started),
                    error=relayed.error,
                )
            )

    def _tell_hello(self, session: Session, hello: ClientHello) -> None:
        session.emit(
            ClientHelloRead(
                time=time.time(),
                session=session.id,
                authority="",
                server_name=hello.server_name,
                alpn=hello.alpn,
            )
        )
