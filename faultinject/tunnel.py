"""What happens in a tunnel: it is looked into, or passed on untouched.

A tunnel is looked into if the client names a target (in CONNECT or by SNI) and speaks TLS with
HTTP/1.1, or plain HTTP. Knows nothing of where the client's stream came from.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.authority import Authority
from faultinject.beside import beside
from faultinject.dial import Origin
from faultinject.errors import HandshakeError, UpstreamError
from faultinject.events import (
    ClientHelloRead,
    RelayEnded,
    Warned,
)
from faultinject.interception import Interception, tell_failure
from faultinject.opening import Speech, read_opening
from faultinject.relay import READ_NUM_BYTES, Relayed, relay
from faultinject.session import Session, Stage, milliseconds_since
from faultinject.streams import Ending, PrefixedStream, close
from faultinject.tls.client_hello import (
    AlertDescription,
    ClientHello,
    Unread,
    fatal_alert,
    read_client_hello,
)

_TLS_1_2 = 0x0303
_HTTP_1_1 = "http/1.1"


@define(eq=False)
class Tunnel:
    """One tunnel of a session.

    The client's stream stays its owner's to close. ``upstream`` is the connection for a relay,
    which is the tunnel's own.
    """

    session: Session
    stream: trio.abc.Stream
    authority: Authority
    on_partial_read: Callable[[], None] | None = None
    upstream: trio.abc.Stream | None = None
    _started: float = field(factory=time.perf_counter)
    _opening: ClientHello | Speech = Speech.UNDECIDED

    async def dial_if_relayed(self) -> None:
        """Dial the upstream now if the host is no target, so that a failure can still be told.

        Raises `UpstreamError`, after telling of the end.
        """
        if self._is_target(self.authority.host):
            return
        try:
            self.upstream = await self._dial()
        except UpstreamError as error:
            self._tell_relay(Relayed(error=str(error)), "not a target")
            raise

    async def serve(self, confirmation: bytes) -> Stage | None:
        """Tell the client that its tunnel is up, and serve it.

        Returns what follows if it is looked into, else at its end.
        """
        try:
            return await self._serve() if await self._say(confirmation) else None
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        """Close the connection for a relay, if there is one."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            await trio.aclose_forcefully(upstream)

    async def _serve(self) -> Stage | None:
        limits = self.session.services.limits
        self.session.patience.expect("the tunnel's first bytes", limits.idle_seconds)
        data = await self._opening_bytes()
        if isinstance(self._opening, ClientHello):
            return await self._serve_tls(data, self._opening)
        if not self._is_target(self.authority.host):
            await self._relay(data, "not a target")
            return None
        if self._opening is Speech.BROKEN_TLS:
            error = HandshakeError("a malformed ClientHello")
            await self._fail(self.authority.host, error, fatal_alert(AlertDescription.DECODE_ERROR))
            return None
        if self._opening is Speech.HTTP:
            origin = Origin(self.authority, self.authority, tls=False)
            stream = PrefixedStream(data, self.stream)
            return Interception(stream, origin, self.on_partial_read).converse
        await self._relay(data, "neither TLS nor HTTP")
        return None

    def _is_target(self, host: str) -> bool:
        return self.session.services.target_of(host, self.authority.port) is not None

    # The first bytes

    async def _opening_bytes(self) -> bytes:
        """Return the client's first bytes, as many as it takes to tell what they are.

        Returns what there is, perhaps nothing, if the upstream speaks first or the client ends.
        """
        limits = self.session.services.limits
        buffer = bytearray()
        if self.upstream is None:
            silent_until = trio.current_time() + limits.silent_tunnel_seconds
            with trio.CancelScope(deadline=silent_until):
                await self._read_opening(buffer)
                return bytes(buffer)
            if not buffer:  # perhaps it waits for the other side to greet
                self.upstream = await self._dial_greeter()
        await beside(self._watch_upstream, lambda: self._read_opening(buffer))
        return bytes(buffer)

    async def _watch_upstream(self, ended: trio.CancelScope) -> None:
        """End the wait for the client when the upstream says something, or ends."""
        if self.upstream is None:
            return
        try:
            data = await self.upstream.receive_some(READ_NUM_BYTES)
        except trio.BrokenResourceError:
            data = b""
        self.upstream = PrefixedStream(bytes(data), self.upstream)
        ended.cancel()

    async def _read_opening(self, buffer: bytearray) -> None:
        """Add the client's bytes to the buffer until it can be told what they are."""
        limits = self.session.services.limits
        while self._undecided(bytes(buffer)):
            if len(buffer) > limits.client_hello_bytes:
                return
            self.session.idle = not buffer
            try:
                data = await self.stream.receive_some(limits.client_hello_bytes)
            except trio.BrokenResourceError:
                return
            finally:
                self.session.idle = False
            if not data:
                return
            if not buffer:
                self.session.patience.expect(
                    "the rest of the ClientHello", limits.handshake_seconds
                )
            buffer += data

    def _undecided(self, data: bytes) -> bool:
        self._opening = read_opening(data)
        if self._opening is not Speech.UNDECIDED:
            return False
        if self._is_target(self.authority.host):
            return True
        return read_client_hello(data) is Unread.INCOMPLETE  # only SNI may name a target yet

    # Looking into it

    async def _serve_tls(self, data: bytes, hello: ClientHello) -> Stage | None:
        self._tell_hello(hello)
        name = hello.server_name or self.authority.host
        host = next((host for host in (name, self.authority.host) if self._is_target(host)), None)
        if host is None:
            await self._relay(data, "not a target")
        elif hello.alpn and _HTTP_1_1 not in hello.alpn:
            await self._without_http_1_1(data, name, hello)
        elif hello.max_version < _TLS_1_2:
            error = HandshakeError("the client offers no TLS 1.2 or later")
            alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, hello.max_version)
            await self._fail(name, error, alert)
        else:
            origin = Origin(Authority(host, self.authority.port), self.authority)
            interception = Interception(self.stream, origin, self.on_partial_read)
            return lambda session: interception.serve_tls(session, name, data)
        return None

    async def _without_http_1_1(self, data: bytes, name: str, hello: ClientHello) -> None:
        """Deal with a client of a target that offers other protocols only."""
        offered = f"the client offers only {', '.join(hello.alpn)}"
        if self.session.services.relays_targets:
            await self._relay(data, offered, warn=True)
            return
        error = HandshakeError(f"{offered}; the fake API speaks HTTP/1.1")
        await self._fail(name, error, fatal_alert(AlertDescription.NO_APPLICATION_PROTOCOL))

    async def _fail(self, host: str, error: HandshakeError, alert: bytes) -> None:
        """End a handshake that cannot begin."""
        tell_failure(self.session, host, error)
        if await self._say(alert):
            await close(self.stream, Ending.UNREAD)

    # Passing it on

    async def _relay(self, data: bytes, reason: str, *, warn: bool = False) -> None:
        if warn:
            self.session.emit(
                Warned(time=time.time(), message=f"{self.authority} is relayed: {reason}")
            )
        relayed = Relayed()
        stream = PrefixedStream(data, self.stream) if data else self.stream
        try:
            if self.upstream is None:
                self.upstream = await self._dial()
            idle_seconds = self.session.services.limits.idle_seconds
            await relay(stream, self.upstream, relayed, self.session.patience, idle_seconds)
        except UpstreamError as error:
            relayed.error = str(error)
        finally:
            self._tell_relay(relayed, reason)

    async def _dial_greeter(self) -> trio.abc.Stream | None:
        """Dial an upstream that may want to speak first; if that fails the client may yet."""
        try:
            return await self._dial()
        except UpstreamError:
            return None

    async def _dial(self) -> trio.abc.Stream:
        services = self.session.services
        if not services.relays_targets and self._is_target(self.authority.host):
            words = f"{self.authority} is answered by the fake API, which speaks HTTP only"
            raise UpstreamError("protocol", words)
        return await services.dialer.dial_blind(self.authority)

    async def _say(self, data: bytes) -> bool:
        """Send bytes of our own on the bare tunnel; return False if the client is gone."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            return False
        return True

    # Telling

    def _tell_hello(self, hello: ClientHello) -> None:
        self.session.emit(
            ClientHelloRead(
                time=time.time(),
                session=self.session.id,
                authority=str(self.authority),
                server_name=hello.server_name,
                alpn=hello.alpn,
            )
        )

    def _tell_relay(self, relayed: Relayed, reason: str) -> None:
        self.session.emit(
            RelayEnded(
                time=time.time(),
                session=self.session.id,
                client=self.session.client,
                host=self.authority.host,
                port=self.authority.port,
                reason=reason,
                sent_bytes=relayed.sent_bytes,
                received_bytes=relayed.received_bytes,
                milliseconds=milliseconds_since(self._started),
                error=relayed.error,
                opened=self.upstream is not None,
            )
        )
