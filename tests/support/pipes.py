"""Connections in memory that can be half-closed, closed and reset, and that know their state."""

from __future__ import annotations

from typing import cast

import trio
import trio.testing

from faultinject.net.streams import Peekable

Inner = trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]


class Pipe(Peekable, trio.abc.HalfCloseableStream):
    """One end of a connection in memory."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self.other: Pipe = self
        self.closed = False
        self.ended = False
        """Whether this end sends nothing more."""
        self.was_reset = False
        """Whether the other end has reset the connection."""
        self.sent = bytearray()
        """Every byte that was sent from this end."""
        self.received_bytes = 0
        """How many bytes were read at this end."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; `trio.BrokenResourceError` after a reset."""
        self._check_reset()
        await self._inner.send_all(data)
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: there is always room."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive; `trio.BrokenResourceError` after a reset, whatever had arrived before."""
        data = await self._inner.receive_some(max_bytes)
        self._check_reset()
        self.received_bytes += len(data)
        return data

    def has_arrived(self) -> bool:
        """Return True if a read would return, or raise, at once."""
        return len(self.other.sent) > self.received_bytes or self.other.ended or self.was_reset

    async def send_eof(self) -> None:
        """Half-close."""
        self.ended = True
        await self._inner.send_stream.aclose()

    async def aclose(self) -> None:
        """Close both directions."""
        self.closed = self.ended = True
        await self._inner.aclose()

    def reset(self) -> None:
        """Close this end so that the other one sees a reset."""
        self.closed = self.other.was_reset = True
        cast("trio.testing.MemorySendStream", self._inner.send_stream).close()
        cast("trio.testing.MemoryReceiveStream", self._inner.receive_stream).close()

    def deafen(self) -> None:
        """Stop reading: whatever the other end sends from now on fails there, as after a close."""
        cast("trio.testing.MemoryReceiveStream", self._inner.receive_stream).close()

    def _check_reset(self) -> None:
        if self.was_reset:
            raise trio.BrokenResourceError from ConnectionResetError("Connection reset by peer")


def pipe_pair() -> tuple[Pipe, Pipe]:
    """Return the two ends of a connection."""
    one, two = (Pipe(cast("Inner", inner)) for inner in trio.testing.memory_stream_pair())
    one.other, two.other = two, one
    return one, two
