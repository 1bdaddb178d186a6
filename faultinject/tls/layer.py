"""What the proxy asks of TLS over a stream, whatever does it.

`faultinject.tls.stream` is for sockets, `faultinject.tls.trio_tls` for streams in memory.
"""

from __future__ import annotations

import ssl
from abc import abstractmethod

import trio
from attrs import define

from faultinject.net.streams import LINGER_SECONDS, Layered, Resettable

READ_NUM_BYTES = 64 * 1024
"""Most bytes of one read, if the reader names no limit."""


@define(eq=False, repr=False)
class TlsSide:
    """Which side of a TLS connection a stream is, and what it begins with."""

    context: ssl.SSLContext
    server_hostname: str | bytes | None = None
    """If it is the client: the server that it asks for. None if it is the server.

    For text Python loads its codec for international names, and runs it; bytes it takes as ASCII.
    """
    received: bytes = b""
    """What was read from the transport already."""

    @property
    def is_server(self) -> bool:
        """Whether it is the server's side."""
        return self.server_hostname is None


class TlsLayer(Layered):
    """One side of a TLS connection. It owns its transport, and `aclose` closes that.

    Error handling follows `trio.abc.Stream`. A broken transport, or a peer that breaks the
    protocol, is `trio.BrokenResourceError`, whose cause says more; the alert for the peer was sent
    by then. A peer that just ends has ended, and is `truncated`. One read returns all records that
    have arrived. One task may receive while another sends.
    """

    __slots__ = ("_closed",)

    _closed: bool
    """Whether `aclose` was called."""

    @abstractmethod
    def __init__(self, transport: trio.abc.Stream, side: TlsSide) -> None:
        """Wrap a transport. Nothing is sent before `do_handshake`."""

    @property
    @abstractmethod
    def version(self) -> str | None:
        """The protocol's version once the handshake is done, as ``TLSv1.3``."""

    @property
    @abstractmethod
    def alpn(self) -> str | None:
        """The protocol agreed on by ALPN (RFC 7301), if any."""

    @abstractmethod
    async def do_handshake(self) -> None:
        """Do the handshake. Raises `trio.BrokenResourceError`; its cause is the `ssl.SSLError`.

        On failure the alert for the peer, if there is one, has been sent.
        """

    def reset(self) -> None:
        """Reset the transport, if it can be."""
        if isinstance(self.transport, Resettable):
            self.transport.reset()

    async def aclose(self) -> None:
        """Send close_notify, for at most `LINGER_SECONDS`, and close the transport."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            with trio.move_on_after(LINGER_SECONDS):
                await self.end_sending()
        finally:
            await self.transport.aclose()

    @abstractmethod
    async def end_sending(self) -> None:
        """Send close_notify. The peer's bytes can still be received; its own is not waited for.

        Nothing can be sent afterwards. It is no error if the peer is gone.
        """


WrapTls = type[TlsLayer]
"""Puts TLS on a transport."""
