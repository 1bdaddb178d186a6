"""Intercepts a tunnel to a target: ends the client's TLS, and answers the requests inside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

import trio
from attrs import frozen

from faultinject.errors import ClientProtocolError, HandshakeError, SettingsError
from faultinject.events import HandshakeCompleted
from faultinject.http.h1.connection import ClientConnection
from faultinject.net.streams import CloseMode, close
from faultinject.proxy.http1 import Http1Session
from faultinject.proxy.serve_request import RequestServer, Routed
from faultinject.proxy.session import (
    Session,
    SessionStage,
    milliseconds_since,
    report_handshake_failure,
)
from faultinject.proxy.upstream.dial import Origin
from faultinject.tls.client_hello import HTTP_1_1, AlertDescription, ClientHello, fatal_alert
from faultinject.tls.handshake import accept_tls
from faultinject.tls.layer import WrapTls


@frozen(eq=False, repr=False)
class ServeTls:
    """The stage that ends the TLS of a client, for which the proxy acts as the origin."""

    stream: trio.abc.Stream
    origin: Origin
    on_partial_read: Callable[[], None] | None
    name: str
    """The name in the leaf certificate."""
    received: bytes
    """The client's first bytes, which are not read again."""
    hello: ClientHello
    """The ClientHello in them."""
    wrap_tls: WrapTls
    """Puts TLS on the stream."""

    async def serve(self, session: Session) -> SessionStage | None:
        """Do the handshake; return the stage for what is spoken inside."""
        name = self.name
        started = time.perf_counter()
        runtime = session.runtime
        try:
            leaves = runtime.leaves
            if self.hello.supports_p256:
                context = leaves.context_for(name)
            else:
                context = await leaves.context_with_rsa(name)
        except (OSError, SettingsError) as error:  # no file can be made, or the authority expired
            await self._fail(session, name, HandshakeError(f"no certificate can be made: {error}"))
            return None
        limit_seconds = runtime.limits.handshake_seconds
        # Longer than the limit itself, which is reported by an event of its own.
        session.timeout.extend("the handshake", 2 * limit_seconds)
        try:
            tls = await accept_tls(
                self.wrap_tls, self.stream, self.received, context, limit_seconds
            )
        except HandshakeError as error:
            report_handshake_failure(session, name, error)
            return None
        if self.on_partial_read is not None:
            self.on_partial_read()  # the client's last flight waits for it
        session.emit(
            HandshakeCompleted(
                time=time.time(),
                session=session.id,
                host=name,
                tls_version=tls.version or "",
                alpn=tls.alpn,
                milliseconds=milliseconds_since(started),
            )
        )
        return INSIDE[tls.alpn](tls, self.origin, self.on_partial_read)

    async def _fail(self, session: Session, name: str, error: HandshakeError) -> None:
        report_handshake_failure(session, name, error)
        with contextlib.suppress(trio.BrokenResourceError):
            await self.stream.send_all(fatal_alert(AlertDescription.INTERNAL_ERROR))
        await close(self.stream, CloseMode.LINGER)


@frozen(eq=False, repr=False)
class ServeHttp1:
    """The stage that answers the requests of a client, for which the proxy acts as the origin."""

    stream: trio.abc.Stream
    origin: Origin
    on_partial_read: Callable[[], None] | None

    async def serve(self, session: Session) -> None:
        """Answer the client's requests until its connection ends."""
        limits = session.runtime.limits
        client = ClientConnection(
            self.stream,
            head_bytes=limits.head_bytes,
            head_seconds=limits.head_seconds,
            on_partial_read=self.on_partial_read,
        )
        requests = RequestServer(session, lambda head: Routed(head, self.origin))
        http1 = Http1Session(session, client, requests)
        connect = await http1.run()
        if connect is None:
            await close(self.stream, http1.ending)
        else:
            await http1.refuse(connect, ClientProtocolError("CONNECT inside a tunnel", 405))
            await close(self.stream, CloseMode.LINGER)


INSIDE: Mapping[str | None, type[ServeHttp1]] = {None: ServeHttp1, HTTP_1_1: ServeHttp1}
"""The stage for what is spoken inside TLS, by its name in ALPN; None if the client named none."""
