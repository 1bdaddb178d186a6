"""TLS over a stream in memory: `trio.SSLStream`, and what HTTP needs besides.

`trio.SSLStream` sends no alert when a handshake fails or a record is bad, because it raises before
it sends. It returns one record a call, although more may have arrived. And it can end its side only
together with the connection. So it is given, in place of an `ssl.SSLContext`, an object that keeps
the BIOs and the `ssl.SSLObject` that it makes. What is left in them can then be sent, or read.
"""

from __future__ import annotations

import contextlib
import ssl
from operator import index
from typing import NoReturn, cast

import trio

from faultinject.net.tasks import ConflictDetector
from faultinject.tls.layer import READ_NUM_BYTES, TlsLayer, TlsSide

_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""The peer has ended: without close_notify, with it after ours, or within the handshake."""


class _Kept:
    """Makes a connection's `ssl.SSLObject` as its context does, and keeps it."""

    incoming: ssl.MemoryBIO
    """What has arrived and TLS has not read yet."""
    outgoing: ssl.MemoryBIO
    """What TLS has to send."""
    tls: ssl.SSLObject

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """Stand in for `ssl.SSLContext.wrap_bio`."""
        self.incoming, self.outgoing = incoming, outgoing
        self.tls = self._context.wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=server_hostname
        )
        return self.tls


class TrioTlsStream(TlsLayer):
    """One side of a TLS connection; see the base class.

    Cancellation: as with `trio.SSLStream`, a cancelled `send_all` or `do_handshake` leaves the
    connection unusable. A cancelled `receive_some` loses nothing, unless it had to answer the
    peer's update of its keys at that moment.
    """

    def __init__(self, transport: trio.abc.Stream, side: TlsSide) -> None:
        """Wrap a transport. Nothing is sent before `do_handshake`.

        Raises `ValueError` for a server's context with session tickets: `trio.SSLStream` keeps them
        for the first write, and an alert would overtake them.
        """
        if side.is_server and side.context.num_tickets:
            raise ValueError(f"the context has num_tickets={side.context.num_tickets}, not 0")
        self.transport = transport
        self.truncated = False
        self._kept = _Kept(side.context)
        self._stream = trio.SSLStream(
            transport,
            cast("ssl.SSLContext", self._kept),
            server_side=side.is_server,
            server_hostname=side.server_hostname,
        )
        self._kept.incoming.write(side.received)
        self._is_ready = self._closed = self._ended = self._peer_ended = False
        self._decrypted = b""  # bytes that were read before they were asked for
        self._failure: ssl.SSLError | None = None  # comes after those bytes
        self._receiving = ConflictDetector("receiving from")
        self._sending = ConflictDetector("sending on")
        self._turn = trio.Semaphore(1, max_value=1)  # an alert does not overtake what is being sent

    @property
    def version(self) -> str | None:
        """The protocol's version once the handshake is done, as ``TLSv1.3``."""
        return self._kept.tls.version()

    @property
    def alpn(self) -> str | None:
        """The protocol agreed on by ALPN (RFC 7301), if any."""
        return self._kept.tls.selected_alpn_protocol()

    async def do_handshake(self) -> None:
        """Do the handshake; see the base class."""
        try:
            await self._stream.do_handshake()
        except trio.BrokenResourceError as error:
            cause = error.__cause__
            if isinstance(cause, _ENDED):
                raise trio.BrokenResourceError("the peer ended within the handshake") from None
            if not isinstance(cause, ssl.SSLError):
                raise
            await self._flush()
            raise trio.BrokenResourceError(str(cause)) from cause
        self._is_ready = True

    # Receiving

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return decrypted bytes; empty at the peer's end."""
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiving:
            self._check_open()
            if self._decrypted or self._peer_ended or self._failure:
                await trio.lowlevel.checkpoint()
            else:
                await self._receive()
                self._check_open()
            return await self._take(max_bytes or READ_NUM_BYTES)

    async def _take(self, max_bytes: int) -> bytes:
        if self._failure is not None and not self._decrypted:
            await self._fail(self._failure)
        taken, self._decrypted = self._decrypted[:max_bytes], self._decrypted[max_bytes:]
        return taken

    async def _fail(self, failure: ssl.SSLError) -> NoReturn:
        """Send the alert about what the peer did wrong, and raise."""
        await self._flush()
        raise trio.BrokenResourceError(str(failure)) from failure

    async def _receive(self) -> None:
        """Wait for bytes or the peer's end, and decrypt all that has arrived."""
        try:
            first = bytes(await self._stream.receive_some(READ_NUM_BYTES))
        except trio.BrokenResourceError as error:
            if not isinstance(error.__cause__, ssl.SSLError):
                raise
            self._end_by(error.__cause__)
            return
        if first:
            # Another task may have ended our side meanwhile, and have read on.
            self._decrypted = first + self._decrypted + self._read_rest()
        else:
            self._peer_ended = True

    def _read_rest(self) -> bytes:
        """Return what else has arrived and is decrypted."""
        rest: list[bytes] = []
        try:
            while self._kept.incoming.pending or self._kept.tls.pending():
                if not (data := self._kept.tls.read(READ_NUM_BYTES)):
                    self._peer_ended = True
                    break
                rest.append(data)
        except ssl.SSLWantReadError:
            pass  # there is only a part of the next record
        except ssl.SSLError as error:
            self._end_by(error)
        return b"".join(rest)

    def _end_by(self, error: ssl.SSLError) -> None:
        """Note what has ended the peer's bytes."""
        if isinstance(error, _ENDED):
            self._peer_ended = True
            self.truncated = not isinstance(error, ssl.SSLZeroReturnError)
        else:
            self._failure = error

    # Sending

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send bytes."""
        with self._sending:
            self._check_open()
            if self._failure is not None:  # it came behind bytes that were read already
                await self._fail(self._failure)
            await self._take_turn()
            try:
                await self._stream.send_all(data)
            finally:
                self._turn.release()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take bytes."""
        with self._sending:
            self._check_open()
            await self._stream.wait_send_all_might_not_block()

    async def _flush(self) -> None:
        """Send what TLS has to send, if anything. It is no error if the peer is gone."""
        if not self._kept.outgoing.pending:
            return
        await self._take_turn()
        try:
            with contextlib.suppress(trio.BrokenResourceError, trio.BusyResourceError):
                await self.transport.send_all(self._kept.outgoing.read())
        finally:
            self._turn.release()

    async def _take_turn(self) -> None:
        """Wait until nobody sends; without a turn of the loop if that is so already."""
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            await self._turn.acquire()

    # The end

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError

    async def end_sending(self) -> None:
        """Send close_notify; see the base class."""
        if self._ended or self.truncated or not self._is_ready:
            return
        self._ended = True
        # Unread bytes would be lost, because OpenSSL looks for the peer's close_notify.
        self._decrypted += self._read_rest()
        with contextlib.suppress(ssl.SSLError):  # mostly because the peer has not sent its own yet
            self._kept.tls.unwrap()
        await self._flush()
