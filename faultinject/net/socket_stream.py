"""A connected socket as a stream, with no more turns of the loop than it needs.

`trio.SocketStream` gives other tasks a turn after each send and each receive, which costs about
as much as the system call. Here a send that the kernel takes at once gives none: this deviates from
Trio's contract. A receive always does: any loop that moves data receives, so no task keeps the
others from their turn.

A connection that is accepted here becomes such a stream at once: to have Trio make its stream
first, and then take the socket out of it, costs 25 us.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable
from typing import cast

import trio

from faultinject.net.streams import Peekable

_READ_NUM_BYTES = 64 * 1024

_POLL: Callable[[], select.poll] | None = getattr(select, "poll", None)  # not on Windows

_QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only

_NOT_SENT_LOW_WATER_MARK: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_NOT_SENT_BYTES = 16 * 1024  # as `trio.SocketStream` has it


class StoppedWaitingError(Exception):
    """A `receive_some` that had to wait was stopped by `stop_waiting`. It has taken nothing."""


class SocketStream(Peekable, trio.abc.HalfCloseableStream):
    """A TCP connection; owns its socket.

    Errors and cancellation are as `trio.abc.HalfCloseableStream` says: a cancelled
    `receive_some` loses nothing, a cancelled `send_all` may have sent a part.
    """

    # Most of what a proxy holds in memory are connections that are idle.
    __slots__ = ("_ended", "_receiving", "_sending", "socket", "stopped")

    def __init__(self, connected: socket.socket | trio.SocketStream) -> None:
        """Take a socket, or the one in a stream of Trio's, which is of no use afterwards."""
        self.socket = (
            connected if isinstance(connected, socket.socket) else detached(connected.socket)
        )
        self.socket.setblocking(False)
        self._receiving = self._sending = self._ended = self.stopped = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has arrived, up to ``max_bytes``; nothing at the peer's end."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            return await self._receive(max_bytes or _READ_NUM_BYTES)
        except OSError as error:
            raise self._translated(error) from error
        finally:
            self._receiving = False

    async def _receive(self, max_bytes: int) -> bytes:
        try:
            data = self.socket.recv(max_bytes)
        except BlockingIOError:
            pass
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while not self.stopped:
            try:
                await trio.lowlevel.wait_readable(self.socket)
                return self.socket.recv(max_bytes)
            except BlockingIOError:
                continue  # the kernel may have been wrong (select(2), "Bugs")
            except trio.ClosedResourceError:
                if not self.stopped:
                    raise
        raise StoppedWaitingError

    def stop_waiting(self) -> None:
        """Have a `receive_some` that waits, or has to, raise `StoppedWaitingError`.

        This holds until ``stopped`` is set back. It costs a fraction of a cancel scope.
        """
        self.stopped = True
        if self.socket.fileno() >= 0:
            # It closes nothing, it only wakes: with `trio.ClosedResourceError`.
            trio.lowlevel.notify_closing(self.socket)

    def has_arrived(self) -> bool:
        """Return True if a read would return, or raise, at once."""
        if _POLL is not None and self.socket.fileno() >= 0:
            return self._polled(select.POLLIN)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a reset, which the read will raise
        return True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all bytes; waits only while the kernel takes none."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        if self._ended:
            raise trio.ClosedResourceError("nothing can be sent after the end")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            await self._send(data)
        except OSError as error:
            raise self._translated(error) from error
        finally:
            self._sending = False

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        sent = 0
        with memoryview(data) as view:
            while sent < len(view):
                try:
                    sent += self.socket.send(view[sent:])
                except BlockingIOError:
                    await self._wait_writable()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel would take bytes."""
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        if self.socket.fileno() < 0:
            raise trio.ClosedResourceError("the socket was closed here")
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._wait_writable()

    async def _wait_writable(self) -> None:
        while True:
            try:
                return await trio.lowlevel.wait_writable(self.socket)
            except trio.ClosedResourceError:
                if self.socket.fileno() < 0:
                    raise
                # It is not closed: `stop_waiting` wakes whoever sends, too.

    def has_room(self) -> bool:
        """Return True if the kernel would take bytes now, False if that is not known."""
        return _POLL is not None and self.socket.fileno() >= 0 and self._polled(select.POLLOUT)

    def _polled(self, event: int) -> bool:
        """Return True if the kernel reports this of the socket, or that it is broken."""
        poll = cast("Callable[[], select.poll]", _POLL)()
        poll.register(self.socket, event)
        return bool(poll.poll(0))

    async def send_eof(self) -> None:
        """Half-close: send FIN."""
        await trio.lowlevel.checkpoint()
        if self._ended:
            return
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._translated(error) from error
        self._ended = True

    def acknowledge(self) -> None:
        """Acknowledge now what has been received, where the system has an option for it.

        Clients whose socket has Nagle's algorithm on send what is small only when all before it
        was acknowledged, which Linux else delays by 40 ms. The kernel does not keep
        this setting (tcp(7)), so this is called again each time.
        """
        if _QUICK_ACKNOWLEDGEMENT is not None:
            with contextlib.suppress(OSError):  # a socket that is gone: the next read raises it
                self.socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)

    def reset(self) -> None:
        """Close at once with a reset (RST): what is unsent is lost."""
        if self.socket.fileno() >= 0:
            # On with no time to linger: close(2) then resets (socket(7), SO_LINGER).
            linger = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):  # macOS: one that its peer has reset takes no more
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    async def aclose(self) -> None:
        """Close the socket; whoever waits on it gets `trio.ClosedResourceError`."""
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
        await trio.lowlevel.checkpoint()

    def _translated(self, error: OSError) -> Exception:
        if self.socket.fileno() < 0:
            return trio.ClosedResourceError("the socket was closed here")
        return trio.BrokenResourceError(error.strerror or str(error))


def detached(theirs: trio.socket.SocketType) -> socket.socket:
    """Return Python's own socket in place of Trio's, which is of no use afterwards."""
    return socket.socket(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())


def set_up(connected: socket.socket) -> socket.socket:
    """Set the options that `trio.SocketStream` sets: small writes go at once, large ones wait."""
    with contextlib.suppress(OSError):  # its peer has left already: the first read raises it
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _NOT_SENT_LOW_WATER_MARK is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _NOT_SENT_LOW_WATER_MARK, _NOT_SENT_BYTES)
    return connected
