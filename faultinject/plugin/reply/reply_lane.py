"""A tunnel whose host gives a chunk's answer back to its sender: when a chunk is answered.

Theory
------

Such a host hands over what the client sent, one chunk per call, and writes the answer to the
client. It makes no other calls, so the client gets bytes only after it has sent some. A **turn** is
what happens between a chunk and its answer::

      host                     lane                        session
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

Output outside of a turn waits for the client's next chunk, and so does the end.

This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio
from attrs import define, field

from faultinject.net.streams import NeedsNoLinger
from faultinject.plugin.chunk_stream import ChunkLane, ChunkStream, LaneError
from faultinject.plugin.interface import (
    Close,
    Direction,
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


class ReplyStream(NeedsNoLinger, ChunkStream):
    """The session's stream to the client.

    A forced end says its last words, unlike in other streams: after an answer that broke off the
    client must not wait for the rest, and nothing else could end its connection after what was
    written. So a cancelled `send_all` has written what there was room for.
    """

    async def _before_write(self) -> None:
        """Go on, even if the task is cancelled."""

    def reset(self) -> None:
        """Close the client's connection at once. A host can do nothing closer to a reset."""
        self._sink.end("the connection was reset")


@define(eq=False, repr=False)
class ReplyLane(ChunkLane):
    """A tunnel as the host sees it, with its stream for the session."""

    limit_bytes: int = REPLY_BYTES
    held_seconds: float = HELD_SECONDS
    ends_turn: Callable[[], bool] = _always
    """Whether the session's ask ends the turn. It is called once for each ask."""
    client: ReplyStream = field(init=False)
    """The stream toward the client."""
    _written: bytearray = field(factory=bytearray, init=False)
    _on_passed: OnPassed | None = field(default=None, init=False)
    _order: trio.Semaphore = field(factory=lambda: trio.Semaphore(1, max_value=1), init=False)
    """Orders the chunks of the client, whatever the host does."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.client = ReplyStream(self, self)

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
            return await self._answer_in_order(chunk)
        except LaneError as error:
            self.end(str(error))
            return Close(str(error))
        except trio.Cancelled:
            self.end("the host ended the tunnel")
            raise

    async def _answer_in_order(self, chunk: bytes) -> Reply:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._order.acquire_nowait()  # without a turn of the loop
        except trio.WouldBlock:
            await self._order.acquire()
        try:
            return self._immediate_reply(chunk) or await self._answer(chunk)
        finally:
            self._order.release()

    async def _answer(self, chunk: bytes) -> Reply:
        self.bring(chunk)
        with trio.CancelScope(deadline=trio.current_time() + self.held_seconds):
            return await self.replies.wait()
        self.end(f"there was no answer within {self.held_seconds:g} s")
        return await self.replies.wait()

    def _immediate_reply(self, chunk: bytes) -> Reply | None:
        """Return the reply to a chunk that does not need the session; None if it does."""
        if self.over is not None:
            return Close(self.over)
        if self._on_passed is not None:
            self._on_passed(len(chunk), 0)
            return PassThrough(chunk)
        if self.write_closed or not chunk:
            return Replace(self._take_written())
        return None

    async def flushed(self) -> None:
        """Wait until what the session wrote last has been sent, or the tunnel is over."""
        while self._written and self.over is None:
            await self.drained.park()

    def end(self, reason: str, *, broken: bool = False) -> None:
        """End the tunnel now: answer calls with `Close`, and drop what was written."""
        self._written.clear()
        super().end(reason, broken=broken)

    # What the session does

    def ask(self) -> None:
        """End the turn, unless the client is only watched."""
        if self.ends_turn():
            self._end_turn()

    def _end_turn(self) -> None:
        if self.replies.is_due:
            self.replies.give(Replace(self._take_written()))

    def _take_written(self) -> bytes:
        data = bytes(self._written)
        self._written.clear()
        self.drained.unpark_all()
        if self.write_closed:
            self.over = SESSION_OVER  # this was the last output
        return data

    @property
    def room(self) -> int:
        """How much more output can be added now, in bytes."""
        return max(0, self.limit_bytes - len(self._written))

    def make_room(self) -> None:
        """End the tunnel if an answer is too large for one reply. Between turns, wait instead."""
        if self.replies.is_due:
            self.end(f"the answer is larger than a reply can be ({self.limit_bytes} bytes)")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the answer."""
        self._written += data

    async def pass_on(self, received: bytes, on_passed: OnPassed) -> None:
        """Leave the tunnel to the host, from ``received`` on; return when it is over.

        From now on chunks are answered unchanged, so the host sends them on. What is left of the
        chunk in hand goes with ``received``.
        """
        self._on_passed = on_passed
        passed = received + self.client.take_unread()
        on_passed(len(passed), 0)
        self.replies.give(PassThrough(passed))
        with suppress(trio.EndOfChannel):
            await self.chunks.receive()  # none comes any more: this waits for the end

    def close_for_writing(self) -> None:
        """End the tunnel. What was written is the answer to the chunk in hand, or to the next."""
        super().close_for_writing()
        if not self._written:
            self.end(SESSION_OVER)
        self._end_turn()
