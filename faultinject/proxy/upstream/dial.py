"""Opens connections to upstreams: DNS, TCP, TLS.

Every failure is an `UpstreamError` with a message for the user.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import trio
from attrs import define, field, frozen

from faultinject.authority import Authority, ConnectTo
from faultinject.errors import SettingsError, UpstreamError
from faultinject.net.socket_stream import SocketStream
from faultinject.tls.handshake import add_roots, default_context
from faultinject.tls.layer import TlsSide, WrapTls
from faultinject.tls.stream import TlsStream


@frozen
class Origin:
    """Where requests go: the server's name, and its address."""

    authority: Authority
    """The name in the Host header, in rules, and in the certificate."""
    address: Authority
    """What to dial, before `--connect-to`; differs if a client named an address in CONNECT."""
    tls: bool = True

    @property
    def scheme(self) -> Literal["http", "https"]:
        """The URL scheme of its resources."""
        return "https" if self.tls else "http"


@define(eq=False, repr=False)
class Dialer:
    """Dials upstreams over the network."""

    connect_to: tuple[ConnectTo, ...]
    upstream_ca: Path | None
    insecure: bool
    limit_seconds: float
    is_loop: Callable[[trio.socket.SocketType], bool]
    """Returns True for a connected socket whose peer is the proxy itself."""
    _context: ssl.SSLContext | None = field(default=None, init=False)
    """The context of all upstream handshakes, once there was one."""
    _making_context: trio.Lock = field(factory=trio.Lock, init=False)

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection that is ready for HTTP. Raises `UpstreamError`."""
        with _time_limit(origin.address, self.limit_seconds):
            stream = await self._dial_tcp(origin.address)
            return await self.start_tls(stream, origin) if origin.tls else stream

    async def dial_blind(self, address: Authority) -> SocketStream:
        """Open a TCP connection for a relay, without TLS. Raises `UpstreamError`."""
        with _time_limit(address, self.limit_seconds):
            return await self._dial_tcp(address)

    async def _dial_tcp(self, authority: Authority) -> SocketStream:
        address = self._mapped(authority)
        try:
            stream = await trio.open_tcp_stream(address.host, address.port)
        except socket.gaierror as error:
            raise UpstreamError(
                "dns", f"cannot look up {address.host}: {error.strerror}"
            ) from error
        except (OSError, ValueError) as error:
            raise UpstreamError(
                "connect", f"cannot connect to {address}: {_cause(error)}"
            ) from error
        if self.is_loop(stream.socket):
            await stream.aclose()
            raise UpstreamError("loop", f"{address} is this proxy itself")
        return SocketStream(stream)

    def _mapped(self, authority: Authority) -> Authority:
        for mapping in self.connect_to:
            if (address := mapping.apply(authority)) is not None:
                return address
        return authority

    async def start_tls(
        self, transport: trio.abc.Stream, origin: Origin, wrap_tls: WrapTls = TlsStream
    ) -> trio.abc.Stream:
        """Do the handshake with an origin over a stream, which is closed if it fails.

        ``wrap_tls`` puts TLS on it; the default is for sockets. Raises `UpstreamError`.
        """
        try:
            context = self._context or await self._make_context()
            stream = wrap_tls(transport, TlsSide(context, origin.authority.host.encode()))
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(transport)
            raise _tls_error(origin.authority, error.__cause__ or error) from error
        except SettingsError as error:  # the file was there at the start
            await trio.aclose_forcefully(transport)
            raise UpstreamError("certificate", str(error)) from error
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise
        return stream

    async def _make_context(self) -> ssl.SSLContext:
        """Return the context of all upstream handshakes; the first one makes it.

        In a thread, because it reads the system's roots from disk.
        """
        async with self._making_context:
            if self._context is None:
                self._context = await trio.to_thread.run_sync(self._read_context)
            return self._context

    def _read_context(self) -> ssl.SSLContext:
        context = default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.upstream_ca is not None:
            add_roots(context, self.upstream_ca)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@contextmanager
def _time_limit(address: Authority, seconds: float) -> Iterator[None]:
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        message = f"{address} did not take the connection within {seconds:g} s"
        raise UpstreamError("timeout", message, status=504)


def _cause(error: BaseException) -> str:
    """Return the innermost reason: Trio wraps an error for each address that it tried."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(sorted({_cause(inner) for inner in error.exceptions}))
    # By its number: the text is Trio's, and repeats the address.
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def _tls_error(authority: Authority, cause: BaseException) -> UpstreamError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "; if it is meant to be so, give --upstream-ca FILE or --insecure-upstream"
        if replaced := os.environ.get("SSL_CERT_FILE"):
            hint += (
                f" (the proxy itself runs with SSL_CERT_FILE={replaced}, which replaces the roots)"
            )
        reason = cause.verify_message.rstrip(".")
        words = f"the certificate of {authority} is not trusted: {reason}{hint}"
        return UpstreamError("certificate", words)
    reason = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or str(cause)
    return UpstreamError("tls", f"no TLS with {authority}: {reason}")
