"""TCP connections in memory of which one end is polled, as an event loop polls a socket.

The peer's end is a Trio stream. Each direction is bounded, so a write may be taken in part. Knows
nothing of who polls.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

Wake = Callable[[], None]


def connection(limit_bytes: int) -> tuple[Connection, Connection]:
    """Return the two ends of a connection; each direction holds ``limit_bytes`` at most."""
    one_way, other_way = _Way(limit_bytes), _Way(limit_bytes)
    return Connection(one_way, other_way), Connection(other_way, one_way)


@define(eq=False)
class _Way:
    """One direction: a bounded buffer, and who waits for it to change."""

    limit_bytes: int
    unread: bytearray = field(factory=bytearray)
    ended: bool = False
    deaf: bool = False
    """Whether the receiving end is closed."""
    reset: bool = False
    _wakes: list[Wake] = field(factory=list)
    _tasks: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    def changed(self) -> None:
        """Let everyone who waits look again."""
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()
        self._tasks.unpark_all()

    def wake_later(self, wake: Wake) -> None:
        """Wake the poller at the next change."""
        self._wakes.append(wake)

    async def change(self) -> None:
        """Wait for the next change."""
        await self._tasks.park()


@define(eq=False)
class Connection(trio.abc.HalfCloseableStream):
    """One end of a connection, to be polled or to be used as a stream."""

    _outgoing: _Way
    _incoming: _Way
    received: bytearray = field(factory=bytearray)
    """All that was received as a stream."""

    # Polled

    def poll_read(self, most: int, wake: Wake) -> bytes | None:
        """Return some bytes, nothing at the end, or None and wake later."""
        way = self._incoming
        if way.reset:
            raise ConnectionResetError("connection reset by peer")
        if way.unread or way.ended:
            return self._take(most)
        way.wake_later(wake)
        return None

    def poll_write(self, data: bytes, wake: Wake) -> int | None:
        """Return how many bytes were taken, or None and wake later."""
        taken = self._put(memoryview(data))
        if taken == 0:
            self._outgoing.wake_later(wake)
            return None
        return taken

    def shutdown(self) -> None:
        """Half-close."""
        self._outgoing.ended = True
        self._outgoing.changed()

    def close(self) -> None:
        """Close both directions."""
        self.shutdown()
        self._incoming.deaf = True
        self._incoming.unread.clear()
        self._incoming.changed()

    def reset(self) -> None:
        """Close so that the other end sees a reset, and not what was sent before."""
        self._outgoing.reset = True
        self.close()

    def _take(self, most: int) -> bytes:
        way = self._incoming
        data = bytes(way.unread[:most])
        del way.unread[:most]
        way.changed()
        return data

    def _put(self, data: memoryview) -> int:
        way = self._outgoing
        if way.deaf:
            raise BrokenPipeError("the other end is closed")
        taken = data[: max(0, way.limit_bytes - len(way.unread))]
        if taken:
            way.unread += taken
            way.changed()
        return len(taken)

    # As a stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; waits for room. `trio.BrokenResourceError` if the other end is closed."""
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while rest:
            if self._outgoing.ended:
                raise trio.ClosedResourceError
            try:
                taken = self._put(rest)
            except BrokenPipeError as error:
                raise trio.BrokenResourceError from error
            rest = rest[taken:]
            if not taken:
                await self._outgoing.change()

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: nothing here needs more."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what there is; nothing at the end."""
        await trio.lowlevel.checkpoint()
        way = self._incoming
        while not (way.unread or way.ended):
            if way.deaf:
                raise trio.ClosedResourceError
            await way.change()
        data = self._take(max_bytes or len(way.unread))
        self.received += data
        return data

    async def receive_all(self) -> bytes:
        """Receive up to the end; return everything since the beginning."""
        while await self.receive_some():
            pass
        return bytes(self.received)

    async def receive_bytes(self, count: int) -> bytes:
        """Receive until this many more bytes are there, or the end; return all of them."""
        start = len(self.received)
        while len(self.received) < start + count and await self.receive_some():
            pass
        return bytes(self.received[start:])

    async def send_eof(self) -> None:
        """Half-close."""
        self.shutdown()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close both directions."""
        self.close()
        await trio.lowlevel.checkpoint()
