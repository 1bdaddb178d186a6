"""The stream to the client in a tunnel whose host gives a chunk's answer back to its sender.

Theory
------

Such a host hands over what the client sent, one chunk per call, and writes the answer to the
client. It makes no other calls, so the client gets bytes only after it has sent some. A **turn** is
what happens between a chunk and its answer::

      host                     stream                      session
      chunk ─────────────────▶ held, read by ────────────▶ receive_some
                               output queued ◀──────────── send_all
                                                           receive_some again: the *ask*
      ◀─────── all of it ───── the chunk is answered

When the session asks the client for more, it has written everything that the chunk caused. So the
ask ends the turn, and no clock does. A chunk that causes nothing yet, such as a part of a TLS
record, is answered with nothing in the same way. There is one ask that does not end the turn: while
an answer is on its way, the session watches whether the client leaves (`ends_turn` tells the two
apart). The chunk in hand is then held until the answer is complete, because what comes later could
not be sent until the client sends something again.

This module does no I/O.
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
"""How long a call may be held. After this time the SDKs of Anthropic and OpenAI give up too."""
SESSION_OVER = "the session is over"

OnPassed = Callable[[int, int], None]
"""Called with the number of bytes of the client, and of the upstream, that were passed on."""


def _always() -> bool:
    return True


@define(eq=False)
class ReplyStream(NeedsNoLinger, trio.abc.Stream):
    """One tunnel: the host's calls, and the session's stream to the client.

    It keeps the contract of `trio.abc.Stream`, with one exception: output outside of a turn waits
    for the client's next chunk, and so does the end. There is no half-close in either direction. An
    end of stream means that the tunnel is over.

    Cancellation: a cancelled `receive_some` has taken nothing, but may have ended the turn. A
    cancelled `send_all` has written what there was room for. So TLS sends close_notify even when it
    is closed by force: after an answer that broke off the client must not wait for the rest, and
    there is no other way to end its connection after what was written.
    """

    limit_bytes: int = REPLY_BYTES
    held_seconds: float = HELD_SECONDS
    ends_turn: Callable[[], bool] = _always
    """Whether the session's ask ends the turn. It is called once for each ask."""
    over: str | None = None
    """Why the tunnel ended, if it did. Every call is answered with `Close` then."""
    _unread: bytearray = field(factory=bytearray)
    _written: bytearray = field(factory=bytearray)
    _in_hand: OpenCall | None = None
    _on_passed: OnPassed | None = None
    _closed: bool = False
    _turn: trio.Lock = field(factory=trio.Lock)
    """Orders the chunks of the client, whatever the host does."""
    _arrived: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _drained: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _receiving: ConflictDetector = field(factory=lambda: ConflictDetector("receiving from"))
    _sending: ConflictDetector = field(factory=lambda: ConflictDetector("sending on"))

    # What the host does

    async def answer_chunk(self, side: Side, direction: Direction, chunk: bytes) -> Reply:
        """Answer a chunk of the client. Other chunks go on unchanged.

        An empty chunk gets what has been written, at once, even while another chunk is held. If
        this is cancelled, the tunnel ends, because in this way the host says that it is over.
        """
        if side is Side.UPSTREAM or direction is Direction.TO_PEER:
            if self._on_passed is not None:
                self._on_passed(0, len(chunk))
            return PassThrough(chunk)
        if not chunk and (reply := self._immediate_reply(chunk)) is not None:
            return reply
        try:
            async with self._turn:
                return self._immediate_reply(chunk) or await self._answer(chunk)
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

    def _immediate_reply(self, chunk: bytes) -> Reply | None:
        """Return the reply to a chunk that does not need the session; None if it does."""
        if self.over is not None:
            return Close(self.over)
        if self._on_passed is not None:
            self._on_passed(len(chunk), 0)
            return PassThrough(chunk)
        if self._closed or not chunk:
            return Replace(self._take_written())
        return None

    async def flushed(self) -> None:
        """Wait until what the session wrote last has been sent, or the tunnel is over."""
        while self._written and self.over is None:
            await self._drained.park()

    def end(self, reason: str) -> None:
        """End the tunnel now: answer calls with `Close`, and drop what was written."""
        if self.over is None:
            self.over = reason
        self._written.clear()
        self._answer_call(Close(self.over))
        self._arrived.unpark_all()
        self._drained.unpark_all()

    # What the session does

    async def receive_some(self, max_bytes: int | None = None) -> bytearray:
        """Return what the client sent. If nothing is left of it, end the turn."""
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
            self.over = SESSION_OVER  # this was the last output
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the answer.

        Raises `trio.BrokenResourceError` if the tunnel is over. An answer that is too large for one
        reply ends the tunnel. Between turns it waits for room instead.
        """
        with self._sending, memoryview(data).cast("B") as rest:
            self._check_sendable()
            sent = self._write(rest)
            await trio.lowlevel.checkpoint()
            while sent < len(rest):
                await self._wait_for_room()
                sent += self._write(rest[sent:])

    def _write(self, data: memoryview) -> int:
        """Write as much as there is room for, and return how many bytes that is."""
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

    async def pass_on(self, received: bytes, on_passed: OnPassed) -> None:
        """Leave the tunnel to the host, from ``received`` on; return when it is over.

        From now on chunks are answered unchanged, so the host sends them on. What is left of the
        chunk in hand goes with ``received``.
        """
        self._on_passed = on_passed
        on_passed(len(received) + len(self._unread), 0)
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
        """Close the client's connection at once. A host can do nothing closer to a reset."""
        self.end("the connection was reset")

    async def aclose(self) -> None:
        """End the tunnel. What was written is the answer to the chunk in hand, or to the next."""
        self._closed = True
        if not self._written:
            self.end(SESSION_OVER)
        self._end_turn()
        self._arrived.unpark_all()
        self._drained.unpark_all()
        await trio.lowlevel.checkpoint()
