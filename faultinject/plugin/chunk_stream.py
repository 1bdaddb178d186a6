"""A peer of a hosted tunnel as a Trio stream: its chunks come in, and replies go out.

The host hands over what a peer sent, a chunk in a call, and waits for the reply to the call. So the
call's handler and the session swap both through memory channels::

    host            call's handler             lane               session
    chunk ────────▶ bring the chunk ─────────▶ chunks ──────────▶ receive_some
                                               output ◀────────── send_all
    ◀────── reply ─ wait for the reply ◀────── replies ◀───────── receive_some again: the *ask*

When the session asks a peer for more, it has written everything that the chunks so far have caused.
So the ask is when a chunk can be answered, and nothing polls. *When* exactly, and with what, is the
business of the lane. There are two: `faultinject.plugin.duplex.lanes` for Fault, and
`faultinject.plugin.reply.reply_lane` for hosts that give the reply back to the chunk's sender.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod

import trio
from attrs import define, field

from faultinject.net.streams import Peekable
from faultinject.net.tasks import ConflictDetector
from faultinject.plugin.interface import Close, Reply

SOME_BYTES = 64 * 1024
"""How much room counts as room: more than what is sent without looking for it."""
MOST_CHUNKS = 1000
"""Most chunks of a peer that were answered before the session has read them."""


class LaneError(Exception):
    """The host did something by which bytes would be lost. The message says what."""


@define(eq=False, repr=False)
class Replies:
    """The replies to calls that come one at a time: from the session to the call's handler."""

    is_due: bool = field(default=False, init=False)
    """Whether a call waits for its reply."""
    _send: trio.MemorySendChannel[Reply] = field(init=False)
    _receive: trio.MemoryReceiveChannel[Reply] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Reply](1)

    def give(self, reply: Reply) -> bool:
        """Answer the call that waits; return False if there is none."""
        if not self.is_due:
            return False
        self.is_due = False
        self._send.send_nowait(reply)
        return True

    async def wait(self) -> Reply:
        """Wait for the reply to the call that has come last."""
        return await self._receive.receive()


@define(eq=False, repr=False)
class ChunkLane(ABC):
    """A peer's chunks on their way to the session, and bytes of the session on theirs."""

    limit_bytes: int
    """Most output that waits. At the limit a sender waits."""
    replies: Replies = field(factory=Replies, init=False)
    """The replies to chunks."""
    drained: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where the session waits for room for output."""
    over: str | None = field(default=None, init=False)
    """Why the tunnel ended, if it did. Every call is answered with `Close` then."""
    broken: bool = field(default=False, init=False)
    """Whether the tunnel ended by an error."""
    read_closed: bool = field(default=False, init=False)
    """The session will read no more chunks."""
    write_closed: bool = field(default=False, init=False)
    """The session will write no more output."""
    chunks: trio.MemoryReceiveChannel[bytes] = field(init=False)
    """The chunks that the session has not read. It ends when the tunnel is over."""
    _bring: trio.MemorySendChannel[bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bring, self.chunks = trio.open_memory_channel[bytes](MOST_CHUNKS)

    def bring(self, chunk: bytes) -> None:
        """Take a peer's chunk, whose reply is due from now on. Raises `LaneError`."""
        self.replies.is_due = True
        if self.read_closed or not chunk:
            return
        try:
            self._bring.send_nowait(chunk)
        except trio.WouldBlock:
            raise LaneError(f"more than {MOST_CHUNKS} chunks came that were not read") from None

    @abstractmethod
    def ask(self) -> None:
        """Note that the session has read all chunks and waits for more. Raises `LaneError`."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How much more output can be added now, in bytes."""

    @abstractmethod
    def make_room(self) -> None:
        """Note that the session waits for room."""

    @abstractmethod
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add output. Raises `LaneError`."""

    def close_for_reading(self) -> None:
        """Note that the session will read no more chunks."""
        self.read_closed = True
        self.chunks.close()

    def close_for_writing(self) -> None:
        """Note that the session will write no more output. What it wrote is still sent."""
        self.write_closed = True
        self.drained.unpark_all()

    def end(self, reason: str, *, broken: bool = False) -> None:
        """End the lane, because the tunnel is over: close the call, and wake all waiters."""
        if self.over is None:
            self.over, self.broken = reason, broken
        self._bring.close()
        self.replies.give(Close(self.over))
        self.drained.unpark_all()


@define(eq=False, repr=False)
class ChunkStream(Peekable):
    """The stream to one peer. It reads the chunks of one lane, and writes the output of a lane.

    It keeps the contract of `trio.abc.Stream`. It has no half-close: a host passes a peer's
    half-close on, but a plugin neither sees it nor can do it. An end of stream means that the
    tunnel is over.

    Cancellation: a cancelled `receive_some` has taken nothing, but may have asked. A cancelled
    `send_all` has written some first part of its data. `aclose` does not wait: what was written
    goes out afterwards.
    """

    _source: ChunkLane
    _sink: ChunkLane
    _unread: bytes = field(default=b"", init=False)
    """The rest of the chunk that is being read."""
    _closed: bool = field(default=False, init=False)
    _receiving: ConflictDetector = field(
        factory=lambda: ConflictDetector("receiving from"), init=False
    )
    _sending: ConflictDetector = field(factory=lambda: ConflictDetector("sending on"), init=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the peer sent. If nothing is left of it, ask the peer for more.

        An empty return means that the tunnel is over. Raises `trio.BrokenResourceError` if it ended
        because the host broke the scheme.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        with self._receiving:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check_open()
            if self._unread or self._next_chunk():
                await trio.lowlevel.cancel_shielded_checkpoint()
                self._check_open()
            else:
                await self._ask()
            taken = self._unread[:max_bytes]
            self._unread = self._unread[len(taken) :]
            return taken

    def _next_chunk(self) -> bool:
        """Take the next chunk if it is there."""
        try:
            self._unread = self._source.chunks.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return False
        return True

    async def _ask(self) -> None:
        """Ask for the next chunk, and wait for it; at the end nothing is unread."""
        try:
            self._source.ask()
        except LaneError as error:
            raise trio.BrokenResourceError(str(error)) from error
        try:
            self._unread = await self._source.chunks.receive()
        except trio.EndOfChannel:
            await trio.lowlevel.cancel_shielded_checkpoint()  # the channel has none for its end
            self._check_open()
            if self._source.broken:
                raise trio.BrokenResourceError(self._source.over) from None

    def has_arrived(self) -> bool:
        """Return True if a read would return, or raise, at once."""
        if self._unread or self._closed or self._source.over is not None:
            return True
        return self._source.chunks.statistics().current_buffer_used > 0

    def has_room(self) -> bool:
        """Return True if some KiB could be sent at once."""
        is_open = self._sink.over is None and not self._closed
        return is_open and self._sink.room >= SOME_BYTES

    def take_unread(self) -> bytes:
        """Return all that has arrived and was not read."""
        taken = self._unread
        while self._next_chunk():
            taken += self._unread
        self._unread = b""
        return taken

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the output for the peer.

        It waits only at the limit. Raises `trio.BrokenResourceError` if the tunnel is over.
        """
        with self._sending, memoryview(data).cast("B") as rest:
            await self._before_write()
            self._check_sendable()
            sent = self._write(rest)
            await trio.lowlevel.checkpoint()
            while sent < len(rest):
                await self._wait_for_room()
                sent += self._write(rest[sent:])

    async def _before_write(self) -> None:
        """Stop here if the task is cancelled, so that a forced end says nothing."""
        await trio.lowlevel.checkpoint_if_cancelled()

    def _write(self, data: memoryview) -> int:
        """Write as much as there is room for, and return how many bytes that is."""
        count = min(len(data), self._sink.room)
        try:
            self._sink.write(data[:count])
        except LaneError as error:
            raise trio.BrokenResourceError(str(error)) from error
        return count

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until at least one byte can be written at once."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        self._check_sendable()
        while not self._sink.room:
            self._sink.make_room()
            if not self._sink.room and self._sink.over is None:
                await self._sink.drained.park()
            self._check_sendable()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._sink.over is not None:
            raise trio.BrokenResourceError(self._sink.over)

    async def aclose(self) -> None:
        """Close both directions. What was written is sent."""
        self._closed = True
        self._unread = b""
        self._source.close_for_reading()
        self._sink.close_for_writing()
        await trio.lowlevel.checkpoint()
