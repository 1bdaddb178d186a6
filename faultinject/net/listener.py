"""Accepts connections, for as long as there is room for them."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from types import TracebackType

import trio
from attrs import define, field

from faultinject.net.socket_stream import SocketStream, detached, set_up

# What accept(2) says of a connection that came to nothing: see its "Error handling".
_CAME_TO_NOTHING = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EWOULDBLOCK", "ECONNABORTED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH"),
        *("ENETDOWN", "ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EPERM", "EPROTO"),
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)


class SocketListener:
    """Accepts connections on the address of a listener of Trio's, which stays its owner's.

    A context manager.
    """

    def __init__(self, listener: trio.SocketListener) -> None:
        """Share the listener's socket."""
        self._socket = detached(listener.socket.dup())
        self._socket.setblocking(False)

    async def accept(self) -> SocketStream:
        """Wait for a connection that comes to something. Raises `OSError` for lack of room, say."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                connected, _ = self._socket.accept()
            except OSError as error:
                if error.errno not in _CAME_TO_NOTHING:
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


# What accept(2) says when the system has no room for one more connection.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_TRY_AGAIN_SECONDS = 1.0
"""How long to wait for room if no connection of ours ends: others may hold the files."""


@define(eq=False)
class Accepting:
    """Accepts from listeners and serves each connection in a task of its own."""

    serve: Callable[[SocketStream], Awaitable[None]]
    """Serves a connection to its end; raises nothing."""
    tell_no_room: Callable[[str], None]
    """Told, the first time, that a connection has to wait because the system has no room."""
    _one_ended: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _told: bool = False

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
        if not self._told:
            self._told = True
            self.tell_no_room(error.strerror or str(error))
        with trio.move_on_after(_TRY_AGAIN_SECONDS):
            await self._one_ended.park()
