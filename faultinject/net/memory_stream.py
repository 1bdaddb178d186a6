"""A two-way byte stream in memory: what one end sends the other receives.

Bounded: when ``limit_bytes`` of what was sent are unread, the sender waits. Nothing polls; each
end is woken by what the other does. Either end can be fed from elsewhere (chunks that arrive by
another way, say) by a task that sends to it.

The two ends keep the contract of `trio.abc.HalfCloseableStream`. What that leaves open:

- A cancelled `receive_some` has taken nothing. A cancelled `send_all` has sent some beginning of
  its data, perhaps none of it.
- `aclose` ends both directions. The peer can still receive what was sent before, then sees the
  end; its sending raises `trio.BrokenResourceError` from then on, as what it sends would never be
  read. What the closed end had not read is gone.
"""

from __future__ import annotations

import operator

import trio
from attrs import define, field

from faultinject.net.streams import Peekable
from faultinject.net.tasks import ConflictDetector

DEFAULT_LIMIT_BYTES = 64 * 1024
"""As much as one read of an HTTP connection takes."""


def memory_stream_pair(
    limit_bytes: int = DEFAULT_LIMIT_BYTES,
) -> tuple[MemoryStream, MemoryStream]:
    """Return the two ends of a new stream; each direction holds ``limit_bytes`` at most.

    Raises `ValueError` if that is less than one.
    """
    if limit_bytes < 1:
        raise ValueError(f"limit_bytes must be at least 1, not {limit_bytes}")
    one_way, other_way = _Pipe(limit_bytes), _Pipe(limit_bytes)
    return MemoryStream(one_way, other_way), MemoryStream(other_way, one_way)


@define(eq=False, repr=False)
class _PipeEnd(ConflictDetector):
    """The sending or the receiving end of a pipe: one task at a time uses it, and waits in it."""

    _waiting: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    async def wait(self) -> None:
        """Wait until the other end has done something."""
        await self._waiting.park()

    def wake(self) -> None:
        """Wake the task that waits here, if any."""
        self._waiting.unpark()


@define(eq=False, repr=False)
class _Pipe:
    """One direction of a stream."""

    _limit_bytes: int
    sending: _PipeEnd = field(factory=lambda: _PipeEnd("sending on"))
    receiving: _PipeEnd = field(factory=lambda: _PipeEnd("receiving from"))
    _unread: bytearray = field(factory=bytearray)
    _ended: bool = False
    """Nothing more will be sent."""
    closed_for_receiving: bool = False

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Append data to what is unread, as room becomes free."""
        await trio.lowlevel.checkpoint()
        self._check_sendable()
        with memoryview(data).cast("B") as rest:
            sent = 0
            while sent < len(rest):
                room = await self.wait_for_room()
                self._unread += rest[sent : sent + room]
                sent += room
                self.receiving.wake()

    async def wait_for_room(self) -> int:
        """Return how many bytes there is room for, at least one."""
        self._check_sendable()
        while (room := self._limit_bytes - len(self._unread)) <= 0:
            await self.sending.wait()
            self._check_sendable()
        return room

    def _check_sendable(self) -> None:
        if self._ended:
            raise trio.ClosedResourceError("this end was closed for sending")
        if self.closed_for_receiving:
            raise trio.BrokenResourceError("the other end was closed")

    async def receive(self, max_bytes: int | None) -> bytearray:
        """Wait for unread data and take it; nothing means the end."""
        await trio.lowlevel.checkpoint()
        while not (self._unread or self._ended or self.closed_for_receiving):
            await self.receiving.wait()
        if self.closed_for_receiving:
            raise trio.ClosedResourceError("this end was closed")
        taken = self._unread[:max_bytes]
        del self._unread[:max_bytes]
        self.sending.wake()
        return taken

    def has_arrived(self) -> bool:
        """Return True if something is unread, or the end has come."""
        return bool(self._unread) or self._ended or self.closed_for_receiving

    def end(self) -> None:
        """End sending. What is unread can still be received."""
        self._ended = True
        self.sending.wake()
        self.receiving.wake()

    def close_for_receiving(self) -> None:
        """End receiving."""
        self.closed_for_receiving = True
        self._unread.clear()
        self.sending.wake()
        self.receiving.wake()


@define(eq=False, repr=False)
class MemoryStream(Peekable, trio.abc.HalfCloseableStream):
    """One end of a stream; `memory_stream_pair` makes it."""

    _outgoing: _Pipe
    _incoming: _Pipe

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send data; waits while the other end has too much unread."""
        with self._outgoing.sending:
            await self._outgoing.send(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until at least one byte can be sent at once."""
        with self._outgoing.sending:
            await trio.lowlevel.checkpoint()
            await self._outgoing.wait_for_room()

    async def receive_some(self, max_bytes: int | None = None) -> bytearray:
        """Receive all that is there, up to ``max_bytes``; waits until there is something.

        Returns nothing when the other end sends nothing more.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        with self._incoming.receiving:
            return await self._incoming.receive(max_bytes)

    def has_arrived(self) -> bool:
        """Return True if a read would return, or raise, at once."""
        return self._incoming.has_arrived()

    async def send_eof(self) -> None:
        """Half-close: this end sends nothing more, and can still receive."""
        with self._outgoing.sending:
            await trio.lowlevel.checkpoint()
            if self._incoming.closed_for_receiving:
                raise trio.ClosedResourceError("this end was closed")
            self._outgoing.end()

    async def aclose(self) -> None:
        """Close both directions; tasks that wait in either end are woken."""
        self._outgoing.end()
        self._incoming.close_for_receiving()
        await trio.lowlevel.checkpoint()
