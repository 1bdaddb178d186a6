"""The stream toward the client of a tunnel whose host gives a chunk's answer back to its sender.

The theory first. Such a host hands over what the client sent, a chunk a call, and writes the
answer to the client. It calls for nothing else, so the client hears something only when it has
said something. A **turn** is what happens between a chunk and its answer::

      host                     stream                      session
      chunk ─────────────────▶ held, read by ────────────▶ receive_some
                               output queued ◀──────────── send_all
                                                           receive_some again: the *ask*
      ◀─────── all of it ───── the chunk is answered

The session has said all that the chunk made it say when it asks the client for more: that event
ends the turn, and no clock does. A chunk from which nothing follows yet, as a part of a TLS record,
is answered with nothing in the same way. One ask does not end a turn: while an answer is on its
way, the session watches the client for its leaving (`ends_turn` says so). The chunk in hand is
then held until the answer is whole, for what came later could not be sent until the client speaks
again.

Does no I/O. Knows nothing of gRPC, TLS, HTTP, or who is upstream.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.net.streams import NeedsNoLinger
from faultinject.net.tasks import ConflictDetector
from faultinject.plugin.interface import (
    Close,
    Direction,
    OpenCall,
    PassThrough,
    Replace,
    Reply,
    Side,
)

REPLY_BYTES = 4_000_000
"""Most bytes of one answer. A gRPC host takes messages of 4 MiB unless it is told otherwise."""
HELD_SECONDS = 600.0
"""How long a call may be held. The SDKs of Anthropic and OpenAI give a request up after as long."""
SESSION_OVER = "the session is over"

Passed = Callable[[int, int], None]
"""Is told how many bytes of the client, and of the upstream, were passed on."""


def _always() -> bool:
    return True


@define(eq=False)
class ReplyStream(NeedsNoLinger, trio.abc.Stream):
    """One tunnel: what its host calls, and the session's stream toward the client.

    It keeps the contract of `trio.abc.Stream`, but for what its peer is told: words that no chunk
    has asked for wait for the next one, and so does an end. There is no half-close, to be done or
    to be seen. An end of stream means that the tunnel is over.

    Cancellation: a cancelled `receive_some` has taken nothing, but may have ended the turn; a
    cancelled `send_all` has written what there was room for. So TLS says close_notify even where
    it is closed by force: an answer that broke off must not leave the client waiting for its rest,
    and there is no other way to end the client's connection behind what was written.
    """

    limit_bytes: int = REPLY_BYTES
    held_seconds: float = HELD_SECONDS
    ends_turn: Callable[[], bool] = _always
    """Whether the session's ask ends the turn; asked once at each."""
    over: str | None = None
    """Why the tunnel ended, if it did: every call is answered `Close`."""
    _unread: bytearray = field(factory=bytearray)
    _written: bytearray = field(factory=bytearray)
    _in_hand: OpenCall | None = None
    _passed: Passed | None = None
    _closed: bool = False
    _turn: trio.Lock = field(factory=trio.Lock)
    """Chunks of the client one after another, whatever the host does."""
    _arrived: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _drained: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _receiving: ConflictDetector = field(factory=lambda: ConflictDetector("receiving from"))
    _sending: ConflictDetector = field(factory=lambda: ConflictDetector("sending on"))

    # What the host does

    async def answer_chunk(self, side: Side, direction: Direction, chunk: bytes) -> Reply:
        """Answer a chunk of the client; all others go on unchanged.

        An empty one asks for what there is, and gets it at once, even while another is held.
        Cancelled, it ends the tunnel: that is how the host says that it is over.
        """
        if side is Side.UPSTREAM or direction is Direction.TO_PEER:
            if self._passed is not None:
                self._passed(0, len(chunk))
            return PassThrough(chunk)
        if not chunk and (reply := self._at_once(chunk)) is not None:
            return reply
        try:
            async with self._turn:
                return self._at_once(chunk) or await self._answer(chunk)
        except trio.Cancelled:
            self.end("the host ended the tunnel")
            raise

    async def _answer(self, chunk: bytes) -> Reply:
        call = self._in_hand = OpenCall()
        self._unread += chunk
        self._arrived.unpark_all()
        with trio.CancelScope(deadline=trio.current_time() + self.held_seconds):
            return await call.reply()
        self.end(f"there was no answer within {self.held_seconds:g} s")
        return await call.reply()

    def _at_once(self, chunk: bytes) -> Reply | None:
        """Return the answer to a chunk that the session need not see."""
        if self.over is not None:
            return Close(self.over)
        if self._passed is not None:
            self._passed(len(chunk), 0)
            return PassThrough(chunk)
        if self._closed or not chunk:
            return Replace(self._take_written())
        return None

    async def served(self) -> None:
        """Wait until what the session wrote last has gone out, or the tunnel is over."""
        while self._written and self.over is None:
            await self._drained.park()

    def end(self, reason: str) -> None:
        """End the tunnel now: calls are answered `Close`, and what was written is forgotten."""
        if self.over is None:
            self.over = reason
        self._written.clear()
        self._answer_call(Close(self.over))
        self._arrived.unpark_all()
        self._drained.unpark_all()

    # What the session does

    async def receive_some(self, max_bytes: int | None = None) -> bytearray:
        """Return what the client sent; if nothing is left of it, the turn ends."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        with self._receiving:
            await trio.lowlevel.checkpoint()
            self._check_open()
            if not self._unread and self.ends_turn():
                self._end_turn()
            while not self._unread and self.over is None:
                await self._arrived.park()
                self._check_open()
            taken = self._unread[:max_bytes]
            del self._unread[:max_bytes]
            return taken

    def _end_turn(self) -> None:
        if self._in_hand is not None:
            self._answer_call(Replace(self._take_written()))

    def _answer_call(self, reply: Reply) -> None:
        call, self._in_hand = self._in_hand, None
        if call is not None:
            call.answer(reply)

    def _take_written(self) -> bytes:
        data = bytes(self._written)
        self._written.clear()
        self._drained.unpark_all()
        if self._closed:
            self.over = SESSION_OVER  # these were the last words
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the answer.

        Raises `trio.BrokenResourceError` if the tunnel is over, which an answer that is too large
        for one reply makes it. Between turns a writer that gets that far ahead waits.
        """
        with self._sending, memoryview(data).cast("B") as rest:
            self._check_sendable()
            sent = self._write(rest)
            await trio.lowlevel.checkpoint()
            while sent < len(rest):
                await self._wait_for_room()
                sent += self._write(rest[sent:])

    def _write(self, data: memoryview) -> int:
        """Write what there is room for, and return how much that is."""
        size = min(len(data), self.limit_bytes - len(self._written))
        self._written += data[:size]
        return size

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until at least one byte can be written at once."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        self._check_sendable()
        while len(self._written) >= self.limit_bytes:
            if self._in_hand is not None:
                self.end(f"the answer is larger than a reply can be ({self.limit_bytes} bytes)")
            else:
                await self._drained.park()
            self._check_sendable()

    async def pass_on(self, received: bytes, passed: Passed) -> None:
        """Leave the tunnel to the host, from ``received`` on; return when it is over.

        Chunks are answered unchanged from now on, which has them sent on. What is left of the one
        in hand goes with ``received``.
        """
        self._passed = passed
        passed(len(received) + len(self._unread), 0)
        self._answer_call(PassThrough(received + self._unread))
        self._unread.clear()
        while self.over is None:
            await self._arrived.park()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self.over is not None:
            raise trio.BrokenResourceError(self.over)

    def reset(self) -> None:
        """Close the client's connection at once, as near to a reset as a host can be told to."""
        self.end("the connection was reset")

    async def aclose(self) -> None:
        """End the tunnel. What was written goes as the answer to the chunk in hand, or the next."""
        self._closed = True
        if not self._written:
            self.end(SESSION_OVER)
        self._end_turn()
        self._arrived.unpark_all()
        self._drained.unpark_all()
        await trio.lowlevel.checkpoint()
