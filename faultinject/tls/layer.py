"""What the proxy asks of TLS over a stream, whatever does it.

`faultinject.tls.stream` is for sockets, `faultinject.tls.trio_tls` for streams in memory.
"""

from __future__ import annotations

import ssl
from abc import abstractmethod
from typing import Protocol

import trio

from faultinject.net.streams import LINGER_SECONDS, Layered, Resettable

READ_NUM_BYTES = 64 * 1024
"""Most bytes of one read, if the reader names no limit."""


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


class WrapTls(Protocol):
    """Puts TLS on a stream."""

    def __call__(
        self,
        transport: trio.abc.Stream,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        received: bytes = b"",
    ) -> TlsLayer:
        """Wrap a transport. Nothing is sent before `TlsLayer.do_handshake`.

        ``received`` are the bytes that were read from the transport already.
        """
        ...
