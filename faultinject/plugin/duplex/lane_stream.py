"""The two streams of a tunnel behind Fault, one to each peer, on the tunnel's two lanes.

`LanePair` takes the host's calls and gives the session its streams.
`faultinject.plugin.duplex.lanes` explains the theory.
"""

from __future__ import annotations

import operator

import trio
from attrs import define, field

from faultinject.net.tasks import ConflictDetector
from faultinject.plugin.duplex.lanes import OUTPUT_LIMIT_BYTES, Lane, LaneError
from faultinject.plugin.interface import Close, Direction, Reply, Side


@define(eq=False)
class LaneStream(trio.abc.Stream):
    """The stream to one peer. It reads the input of one lane and writes the output of the other.

    It keeps the contract of `trio.abc.Stream`. The session has to keep one more: `receive_some` on
    a stream whose bytes were all read flushes what was written *to the other stream*, but nothing
    that is written there afterwards (see `faultinject.plugin.duplex.lanes`).

    It has no half-close. Fault passes a peer's half-close on, but a plugin neither sees it nor can
    half-close toward one peer without ending the lane. An end of stream means that the tunnel is
    over.

    Cancellation: a cancelled `receive_some` has taken nothing, but may have asked. A cancelled
    `send_all` has written the first part of its data. `aclose` does not wait: what was written goes
    out afterwards.
    """

    _source: Lane
    _sink: Lane
    write_through: bool = False
    """Whether each write is a turn of its own while slots are out. Handshakes need this."""
    _receiving: ConflictDetector = field(factory=lambda: ConflictDetector("receiving from"))
    _sending: ConflictDetector = field(factory=lambda: ConflictDetector("sending on"))
    _closed: bool = False

    async def receive_some(self, max_bytes: int | None = None) -> bytearray:
        """Return what the peer sent. If nothing is left of it, ask the peer for more.

        An empty return means that the tunnel is over. Raises `trio.BrokenResourceError` if it ended
        because the host broke the scheme.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        with self._receiving:
            await trio.lowlevel.checkpoint()
            self._check_open()
            if not self._source.unread:
                self._ask()
            while not (self._source.unread or self._source.over):
                await self._source.arrived.park()
                self._check_open()
            return self._take(max_bytes)

    def _ask(self) -> None:
        try:
            self._source.ask()
        except LaneError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def _take(self, max_bytes: int | None) -> bytearray:
        if not self._source.unread and self._source.broken:
            raise trio.BrokenResourceError(self._source.over)
        return self._source.read(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the output for the peer in this turn.

        It waits only at the limit, which ends the turn. Raises `trio.BrokenResourceError` if the
        tunnel is over.
        """
        with self._sending, memoryview(data).cast("B") as rest:
            await trio.lowlevel.checkpoint()
            self._check_sendable()
            sent = 0
            while sent < len(rest):
                room = await self._wait_for_room()
                self._write(rest[sent : sent + room])
                sent += room

    def _write(self, data: memoryview) -> None:
        try:
            self._sink.write(data)
        except LaneError as error:
            raise trio.BrokenResourceError(str(error)) from error
        if self.write_through and not self._sink.in_hand:
            self._sink.end_turn()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until at least one byte can be written at once."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            await self._wait_for_room()

    async def _wait_for_room(self) -> int:
        self._check_sendable()
        while not (room := self._sink.room):
            self._sink.end_turn()
            await self._sink.drained.park()
            self._check_sendable()
        return room

    def end_turn(self, promised: int = 0) -> None:
        """Flush what was written to this peer, without asking the other peer for more.

        ``promised`` is how many more writes can follow before the other peer has sent anything.
        """
        self._sink.end_turn(promised)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._sink.over:
            raise trio.BrokenResourceError(self._sink.over)

    async def aclose(self) -> None:
        """Close both directions. Once both streams are closed, what was written is sent."""
        self._closed = True
        self._source.close_for_reading()
        self._sink.close_for_writing()
        await trio.lowlevel.checkpoint()


@define(eq=False)
class LanePair:
    """A tunnel as the host sees it, with its streams for the session."""

    limit_bytes: int = OUTPUT_LIMIT_BYTES
    over: trio.Event = field(factory=trio.Event)
    """Set when the host will make no more calls, or should make none."""
    ended_because: str = ""
    up: Lane = field(init=False)
    down: Lane = field(init=False)
    client: LaneStream = field(init=False)
    """The stream toward the client."""
    upstream: LaneStream = field(init=False)
    """The stream toward the upstream."""

    def __attrs_post_init__(self) -> None:
        self.up = Lane("client to upstream", self.limit_bytes)
        self.down = Lane("upstream to client", self.limit_bytes)
        self.client = LaneStream(self.up, self.down)
        self.upstream = LaneStream(self.down, self.up)

    @property
    def broken(self) -> bool:
        """Whether the host broke the scheme, so that bytes would have been lost."""
        return self.up.broken

    async def answer_chunk(self, side: Side, direction: Direction, chunk: bytes) -> Reply:
        """Answer a call of the host.

        If this is cancelled, the tunnel ends, because in this way the host says that it is over.
        """
        upward = (side is Side.CLIENT) is (direction is Direction.FROM_PEER)
        lane = self.up if upward else self.down
        try:
            call = lane.input(chunk) if direction is Direction.FROM_PEER else lane.slot(chunk)
            return await call.reply()
        except LaneError as error:
            self.end(str(error), broken=True)
            return Close(str(error))
        except trio.Cancelled:
            self.end("the host ended the tunnel")
            raise

    async def flushed(self) -> None:
        """Wait until all that was written has been sent, or the tunnel is over."""
        for lane in (self.up, self.down):
            while lane.has_unsent:
                await lane.drained.park()

    def end(self, reason: str, *, broken: bool = False) -> None:
        """End the tunnel now: every call is answered with `Close`, and the streams have ended.

        With ``broken`` their end is an error for whoever reads them.
        """
        if not self.over.is_set():
            self.ended_because = reason
        self.over.set()
        self.up.end(reason, broken=broken)
        self.down.end(reason, broken=broken)
