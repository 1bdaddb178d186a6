"""TLS over a Trio stream, as client or server.

It does what `trio.SSLStream` does for HTTP, at half the cost on a short connection. There are three
differences: a failed handshake sends its alert, an end without close_notify is an end (as for every
HTTP client), and our own end always sends close_notify. It uses an `ssl.SSLObject` with two
`ssl.MemoryBIO`s.
"""

from __future__ import annotations

import contextlib
import ssl
from operator import index

import trio

from faultinject.tls.layer import READ_NUM_BYTES, TlsLayer, TlsSide

PIECE_NUM_BYTES = 7 * 1024
"""Most bytes in a memory BIO at once. A BIO never gives memory back (OpenSSL allots a third more),
and idle connections are most of what a proxy has in memory. A forwarded one that has carried 200 KB
holds 3 KiB less than with pieces of 8 KiB."""

_NOTHING = memoryview(b"")


class TlsStream(TlsLayer):
    """One side of a TLS connection.

    Resource handling: it owns its transport, and `aclose` closes that. Error handling and
    cancellation follow `trio.abc.Stream`. A broken transport, or a peer that breaks the protocol,
    is `trio.BrokenResourceError`, whose cause says more. A cancelled `receive_some` loses nothing;
    a cancelled `send_all` leaves the connection unusable. One task may receive while another sends.
    """

    __slots__ = (
        "_arrived",
        "_decrypted",
        "_encrypted",
        "_ended",
        "_incoming",
        "_outgoing",
        "_peer_ended",
        "_receiving",
        "_sending",
        "_tls",
        "_transport_in_use",
        "_waiting",
        "transport",
        "truncated",
    )

    def __init__(self, transport: trio.abc.Stream, side: TlsSide) -> None:
        """Wrap a transport. Nothing is sent before `do_handshake`."""
        self.transport = transport
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._arrived = memoryview(side.received)  # bytes that TLS has not read yet
        self._encrypted: list[bytes] = []  # to be sent before what the outgoing BIO holds
        self._tls = side.context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=side.is_server,
            server_hostname=side.server_hostname,
        )
        self._receiving = self._sending = False
        self._closed = self._ended = self._peer_ended = False
        self._decrypted = b""  # bytes that were read when we ended our side
        self.truncated = False
        # A receiver may have to send too, to answer a key update. A `trio.Lock` costs more.
        self._transport_in_use = False
        self._waiting: trio.lowlevel.ParkingLot | None = None  # who wants to use it

    @property
    def version(self) -> str | None:
        """The protocol's version once the handshake is done, as ``TLSv1.3``."""
        return self._tls.version()

    @property
    def alpn(self) -> str | None:
        """The protocol agreed on by ALPN (RFC 7301), if any."""
        return self._tls.selected_alpn_protocol()

    async def do_handshake(self) -> None:
        """Do the handshake. Raises `trio.BrokenResourceError`; its cause is the `ssl.SSLError`.

        On failure the alert for the peer, if there is one, has been sent.
        """
        while not await self._has_shaken_hands():
            await self._flush()
            if not await self._fill():
                raise trio.BrokenResourceError("the peer ended within the handshake")
        await self._flush()

    async def _has_shaken_hands(self) -> bool:
        """Go on with the handshake; return False if more has to arrive."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if not self._feed():
                    return False
            except ssl.SSLError as error:
                await self._send_alert()
                raise trio.BrokenResourceError(str(error)) from error
            else:
                return True

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return decrypted bytes; empty at the peer's end."""
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            return await self._receive(max_bytes or READ_NUM_BYTES)
        finally:
            self._receiving = False

    async def _receive(self, max_bytes: int) -> bytes:
        waited = False
        while not self._closed:
            try:
                data = self._read(max_bytes)
            except trio.BrokenResourceError:
                await self._send_alert()
                raise
            if data is not None:
                if not waited:  # a task that reads in a loop must let others run
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return data
            if self._outgoing.pending:
                await self._flush()
            await self._fill()
            waited = True
        raise trio.ClosedResourceError

    def _read(self, max_bytes: int) -> bytes | None:
        """Return decrypted bytes; empty at the peer's end, None if more has to arrive."""
        if self._decrypted:
            early, self._decrypted = self._decrypted[:max_bytes], self._decrypted[max_bytes:]
            return early
        # A read without data makes an error in OpenSSL, which takes ten times as long.
        held = self._incoming.pending or self._arrived or self._tls.pending()
        if not (held or self._peer_ended):
            return None
        if not (data := self._read_record(max_bytes)):
            return data
        while len(data) < max_bytes and (self._incoming.pending or self._arrived):
            if not (more := self._read_record(max_bytes - len(data))):
                break
            data += more
        return data

    def _read_record(self, max_bytes: int) -> bytes | None:
        """Return bytes of one record; empty at the peer's end, None if more has to arrive."""
        while True:
            try:
                if data := self._tls.read(max_bytes):
                    return data
            except ssl.SSLWantReadError:
                if self._feed():
                    continue
                return None
            except ssl.SSLZeroReturnError:
                pass  # both sides have sent close_notify
            except ssl.SSLEOFError:
                self.truncated = True
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(str(error)) from error
            self._peer_ended = True
            return b""

    async def _fill(self) -> bool:
        """Wait for bytes from the transport, and give TLS the first ones; return False at its end.

        Call it only when TLS was given all earlier bytes.
        """
        data = await self.transport.receive_some(READ_NUM_BYTES)
        if not data:
            self._incoming.write_eof()
            self._peer_ended = True
            return False
        self._arrived = memoryview(data)
        return self._feed()

    def _feed(self) -> bool:
        """Give TLS a piece of what has arrived; return False if there is none."""
        if not self._arrived:
            return False
        self._incoming.write(self._arrived[:PIECE_NUM_BYTES])
        # Even an empty view keeps the bytes that it was made of.
        self._arrived = self._arrived[PIECE_NUM_BYTES:] or _NOTHING
        return True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send bytes."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        if self._closed:
            raise trio.ClosedResourceError
        self._sending = True
        try:
            await self._send(memoryview(data))
        finally:
            self._sending = False

    async def _send(self, data: memoryview) -> None:
        if not data:
            await trio.lowlevel.checkpoint()
        for start in range(0, len(data), PIECE_NUM_BYTES):
            end = start + PIECE_NUM_BYTES
            try:
                self._tls.write(data[start:end])
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(str(error)) from error
            if end < len(data) and end % READ_NUM_BYTES:
                self._encrypted.append(self._outgoing.read())  # one send for several pieces
            else:
                await self._flush()

    async def _flush(self) -> None:
        """Send what TLS has to send, if anything."""
        if not self._outgoing.pending:
            return
        if self._transport_in_use:
            await self._wait_for_transport()
        self._transport_in_use = True
        try:
            if data := self._take_encrypted():
                await self.transport.send_all(data)
        finally:
            self._leave_transport()

    async def _wait_for_transport(self) -> None:
        """Wait until nobody sends."""
        if self._waiting is None:
            self._waiting = trio.lowlevel.ParkingLot()
        while self._transport_in_use:
            await self._waiting.park()

    def _leave_transport(self) -> None:
        self._transport_in_use = False
        if self._waiting is not None:
            self._waiting.unpark()

    def _take_encrypted(self) -> bytes:
        data = self._outgoing.read()
        if not self._encrypted:
            return data
        before, self._encrypted = self._encrypted, []
        return b"".join((*before, data))

    async def _send_alert(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.BusyResourceError):
            await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take bytes."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            await self._wait_for_transport()  # a reader may be sending for TLS
            self._transport_in_use = True
            try:
                await self.transport.wait_send_all_might_not_block()
            finally:
                self._leave_transport()
        finally:
            self._sending = False

    async def end_sending(self) -> None:
        """Send close_notify; see the base class."""
        if self._ended or self.truncated:  # a peer that is gone would only send a reset
            return
        self._ended = True
        with contextlib.suppress(trio.BrokenResourceError):
            # Unread bytes would be lost, because OpenSSL looks for the peer's close_notify.
            while data := self._read_record(READ_NUM_BYTES):
                self._decrypted += data
        with contextlib.suppress(ssl.SSLError):  # mostly because the peer has not sent its own yet
            self._tls.unwrap()
        await self._send_alert()
