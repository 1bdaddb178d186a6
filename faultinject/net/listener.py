"""Accepts connections, as long as the system has room for them."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from types import TracebackType

import trio
from attrs import define, field

from faultinject.net.socket_stream import SocketStream, detached, set_up

# Errors of accept(2) that are about one connection, which is gone: see its "Error handling".
_CONNECTION_GONE = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EWOULDBLOCK", "ECONNABORTED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH"),
        *("ENETDOWN", "ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EPERM", "EPROTO"),
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)


class SocketListener:
    """Accepts connections on a listener of Trio's, which it does not close.

    A context manager.
    """

    def __init__(self, listener: trio.SocketListener) -> None:
        """Share the listener's socket."""
        self._socket = detached(listener.socket.dup())
        self._socket.setblocking(False)

    async def accept(self) -> SocketStream:
        """Wait for a connection. Raises `OSError`, for lack of file descriptors for example."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                connected, _ = self._socket.accept()
            except OSError as error:
                if error.errno not in _CONNECTION_GONE:
                    raise
            else:
                return SocketStream(set_up(connected))

    def __enter__(self) -> SocketListener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()


# Errors of accept(2) when the system has no room for one more connection.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_TRY_AGAIN_SECONDS = 1.0
"""How long to wait for room if no connection of ours ends: other programs may free files."""


@define(eq=False, repr=False)
class Acceptor:
    """Accepts from listeners and serves each connection in a task of its own."""

    serve: Callable[[SocketStream], Awaitable[None]]
    """Serves a connection to its end; raises nothing."""
    report_no_room: Callable[[str], None]
    """Called with the reason the first time that the system has no room for a connection."""
    _one_ended: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _reported: bool = False

    async def run(self, listener: SocketListener, connections: trio.Nursery) -> None:
        """Accept from a listener until cancelled; connections live on in their nursery."""
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                await self._wait_for_room(error)
            else:
                connections.start_soon(self._serve, stream)

    async def _serve(self, stream: SocketStream) -> None:
        try:
            await self.serve(stream)
        finally:
            self._one_ended.unpark_all()

    async def _wait_for_room(self, error: OSError) -> None:
        if not self._reported:
            self._reported = True
            self.report_no_room(error.strerror or str(error))
        with trio.move_on_after(_TRY_AGAIN_SECONDS):
            await self._one_ended.park()
