"""The two lanes of a tunnel behind Fault: when a call is answered, and with what.

Theory
------

Fault copies a tunnel's bytes with two loops, one for each direction. It asks the plugin at both
ends of each loop: about what was just read (an *input*), and about what is about to be written (a
*slot*). One such loop is a **lane**::

                        input                 copy buffer              slot
      bytes from ──▶ the reply goes ──▶ 8192 bytes; a full one ──▶ the reply goes ──▶ the other
      one peer        into the buffer    is written, then refilled   out instead       peer
                       (registration of                          (registration of
                        the one peer)                             the other peer)

Two facts decide the scheme. First, output needs a slot. A slot comes only when the copy buffer has
bytes, and only the answer to an input puts bytes there. Second, what enters the buffer while a
slot's call is open is lost, unless the buffer was full, because the reply to a slot acknowledges
the whole buffer.

So an input is never answered with its own bytes. It is answered with n **blocks** of exactly
`BLOCK_BYTES` of filler. Each block fills the buffer, so that nothing else can enter it, and each is
one slot. The bytes that really go out are the replies to the slots. A slot's chunk (the filler) is
read only to check the scheme. A lane is a strict cycle::

      host                     lane                        session
      input "request" ───────▶ held, read by ────────────▶ receive_some on the one stream
                               the session
                               output queued ◀──────────── send_all on the other stream
                                                           receive_some again: the *ask*
      ◀─────── 2 blocks ────── the input is answered:
      slot ──────────────────▶ two slots' worth waits
      ◀─────── 17 KB ───────── first slot's bytes
      slot ──────────────────▶
      ◀─────── the rest ────── last slot's bytes
      input "more" ──────────▶ (which says that all of it was flushed)

**A turn** is what happens between an input and its answer: all that one peer's bytes made the
session write to the other peer. It ends when the session asks the one peer for more, because then
it has written everything. It can also be ended explicitly (`Lane.end_turn`), perhaps with
*promised* slots. These are bought now and filled later, by output that comes without a further
input. An ask has its effect once, when it is made. Without output the answer is empty, and the host
reads on.

**The order of reading and writing.** A session that reads ahead cannot send what it writes
afterwards, because there is no input left to buy slots for it. So a session writes all that a
peer's bytes cause before it asks that peer again. While a lane's slots are out there is no input,
and so no more output. Memory is limited to one input (4096 bytes with Fault), the output of one
turn, and the blocks in flight.

**A slot without output** stops its lane, and with it the bytes of the one peer. So when the session
asks for those, the slot is *released*: it is filled with a byte from the start of the TLS record
that comes next, which is left out of that record later. At most three bytes can go ahead in this
way. The other peer may notice that something is readable, so slots are not promised without need.

**Breaking the cycle** means that bytes would be lost: an input while slots are out, a slot that was
not bought, or one whose chunk is not the filler. It raises `LaneError`, and the tunnel ends.

This module does no I/O and has no clock. Of TLS it knows only how records begin.
"""

from __future__ import annotations

import trio
from attrs import define, field

from faultinject.plugin.chunk_stream import ChunkLane, ChunkStream, LaneError, Replies
from faultinject.plugin.duplex.turns import RecordError, Turns
from faultinject.plugin.interface import Close, Direction, Replace, Reply, Side

BLOCK_BYTES = 8192
"""The size of Fault's copy buffer (tokio's ``copy``)."""
FILLER = (b"faultinject fills this block. " * 274)[:BLOCK_BYTES]
"""The bytes of a block. No peer ever sees them."""
SLOT_BYTES = 17 * 1024
"""How much a slot carries: a whole TLS record (16 KiB and its overhead, RFC 8446 section 5.2). Of
more the socket would often take only a part, after which Fault stalls."""
MOST_BLOCKS = 480
"""Most blocks in one answer: Fault (tonic) takes messages up to 4 MiB. Slots carry more then."""
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
"""Most output that waits for slots. At the limit a sender waits."""


@define(eq=False, repr=False)
class Lane(ChunkLane):
    """One lane: the input of the one peer's stream, and the output of the other's.

    The session has to keep one rule more than `ChunkStream` has: a read of the one peer's stream,
    whose bytes were all read, flushes what was written *to the other peer*, but nothing that is
    written there afterwards.
    """

    name: str
    """The direction of its bytes, for messages: ``client to upstream``."""
    limit_bytes: int = OUTPUT_LIMIT_BYTES
    write_through: bool = False
    """Whether each write is a turn of its own while slots are out. Handshakes need this."""
    slot_replies: Replies = field(factory=Replies, init=False)
    """The replies to slots. Those to inputs are `replies`."""
    slots_moved: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where `faultinject.plugin.wakeup` waits for a slot's call or answer."""
    slots: int = 0
    """How many slots are out: bought and not yet answered."""
    proves: bool = False
    """Whether each turn's last byte gets a slot of its own. A socket cannot take a part of one
    byte, so the call of that slot proves that the bytes before it were flushed."""
    unproven: bool = False
    """Whether bytes were given to the host that may not be flushed yet."""
    keeps_slots: bool = False
    """Whether slots without output are kept although input is asked for (for waking)."""
    fills_at_end: bool = False
    """Whether slots without output are filled at the end. A closed slot ends the lane without FIN,
    so that the other peer does not notice."""
    _turns: Turns = field(factory=Turns)
    _share: int = SLOT_BYTES
    """How many bytes each of the slots that are out may carry, except the last."""
    _releasing: bool = False

    # What the host does

    def input(self, chunk: bytes) -> None:
        """Take what a peer sent. Raises `LaneError`."""
        if self.in_hand or self.slots:
            what = "another was held" if self.in_hand else f"{self.slots} slots were out"
            raise LaneError(f"{self.name}: an input came while {what}")
        self.unproven = False
        self.bring(chunk)
        self.slots_moved.unpark_all()
        self._finish()

    def slot(self, chunk: bytes) -> None:
        """Take a slot, to write to the other peer. Raises `LaneError`."""
        self._check_slot(chunk)
        self.unproven = False
        self.slot_replies.is_due = True
        self._serve()
        self.slots_moved.unpark_all()

    def _check_slot(self, chunk: bytes) -> None:
        if chunk != FILLER:
            raise LaneError(
                f"{self.name}: {len(chunk)} bytes that are not the plugin's own were about to be "
                "written; both of its ports must be registered with Fault, each once, and "
                "no other plugin"
            )
        if not self.slots or self.slot_held:
            raise LaneError(f"{self.name}: a slot came that was not bought")

    # What the session does

    @property
    def room(self) -> int:
        """How much more output can be added now, in bytes."""
        return max(0, self.limit_bytes - len(self._turns))

    @property
    def in_hand(self) -> bool:
        """Whether an input is held, so that a turn can buy slots."""
        return self.replies.is_due

    @property
    def pending(self) -> bool:
        """Whether there is output that was not sent yet."""
        return bool(self._turns)

    @property
    def can_spare_a_slot(self) -> bool:
        """Whether a slot is left after all present output."""
        return self.slots > -(-len(self._turns) // self._share)

    @property
    def has_unsent(self) -> bool:
        """Whether there is output that was not sent, or a slot that was not answered."""
        return self.over is None and bool(self._turns or self.slots)

    @property
    def slot_held(self) -> bool:
        """Whether a slot's call waits for output."""
        return self.slot_replies.is_due

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add output to the turn. Raises `LaneError` if it differs from what was sent ahead."""
        try:
            self._turns.write(data)
        except RecordError as error:
            raise LaneError(f"{self.name}: {error}") from error
        if self.write_through and not self.in_hand:
            self.end_turn()

    def make_room(self) -> None:
        """Send what was written, because it is as much as may wait."""
        self.end_turn()

    def end_turn(self, promised: int = 0) -> None:
        """Flush what was written: answer the input in hand with as many slots as it needs.

        ``promised`` more slots are bought for output that will come without a further input. If
        slots are out already, the output goes into them. Without either it waits for the next
        input.
        """
        self._turns.finish()
        if self.in_hand:
            self._buy(promised)
        self._serve()

    def ask(self) -> None:
        """End the turn, because the session waits for more input. Release slots without output.

        They would keep that input away for ever. If there is output, all slots share it.
        """
        self._releasing = self.slots > 0 and not self.keeps_slots
        self.end_turn()
        if not self.keeps_slots:
            self.release()

    def release(self) -> None:
        """Fill the slots that are out and have no output, so that input can come again."""
        self._releasing = self.slots > 0
        self._serve()

    def wake(self) -> None:
        """Answer a held slot with nothing. Fault calls again at once, and polls everything."""
        if self.slot_held:
            self._answer_slot(b"")

    # The slots

    def _buy(self, promised: int) -> None:
        """Answer an input with blocks."""
        ready = self._turns.ready
        proof = 1 if self.proves and ready else 0
        rest = ready - proof
        self._share = max(SLOT_BYTES, -(-rest // MOST_BLOCKS))
        self.slots = -(-rest // self._share) + proof + promised
        self.replies.give(Replace(FILLER * self.slots))

    def _serve(self) -> None:
        """Answer the slot in hand if there is output for it."""
        if not self.slot_held:
            return
        if self._turns.ready:
            self._fill_slot(self._turns.take(self._portion()))
        elif self._releasing:
            self._fill_slot(self._take_ahead())
        elif self._finished and self.fills_at_end:
            self._fill_slot(self._turns.take_unfinished())
        elif self._finished:
            self._close_slot("the session is over")

    def _portion(self) -> int:
        ready = self._turns.ready
        if self.slots == 1:
            return ready
        if self._releasing:
            return max(1, min(self._share, ready - self.slots + 1))
        return min(self._share, max(1, ready - 1) if self.proves else ready)

    def _take_ahead(self) -> bytes:
        try:
            return self._turns.take_ahead()
        except RecordError as error:
            raise LaneError(f"{self.name}: {error}") from error

    def _fill_slot(self, data: bytes) -> None:
        self.slots -= 1
        self.unproven = self.proves and len(data) > 1
        self._releasing = self._releasing and self.slots > 0
        self._answer_slot(data)
        self.drained.unpark_all()

    def _answer_slot(self, data: bytes) -> None:
        self.slot_replies.give(Replace(data))
        self.slots_moved.unpark_all()

    def _close_slot(self, reason: str) -> None:
        if self.slot_replies.give(Close(reason)):
            self.slots = 0
            self.drained.unpark_all()

    # The end

    @property
    def _finished(self) -> bool:
        return self.read_closed and self.write_closed

    def close_for_reading(self) -> None:
        """Note that the session will read no more input."""
        super().close_for_reading()
        self._finish()

    def close_for_writing(self) -> None:
        """Note that the session will write no more output. What it wrote is still sent."""
        super().close_for_writing()
        self._finish()

    def _finish(self) -> None:
        """Send what is left, and then close, because no further ask will do it."""
        if not self._finished:
            return
        if self._turns or self.slots:
            self.end_turn()
        else:
            self.replies.give(Close("the session is over"))

    def end(self, reason: str, *, broken: bool = False) -> None:
        """End the lane, because the tunnel is over. Close all calls, and wake all waiters."""
        super().end(reason, broken=broken)
        self._close_slot(reason)
        self.slots = 0
        self.slots_moved.unpark_all()


@define(eq=False, repr=False)
class LanePair:
    """A tunnel as the host sees it, with its streams for the session."""

    limit_bytes: int = OUTPUT_LIMIT_BYTES
    over: trio.Event = field(factory=trio.Event)
    """Set when the host will make no more calls, or should make none."""
    ended_because: str = ""
    up: Lane = field(init=False)
    down: Lane = field(init=False)
    client: ChunkStream = field(init=False)
    """The stream toward the client."""
    upstream: ChunkStream = field(init=False)
    """The stream toward the upstream."""

    def __attrs_post_init__(self) -> None:
        self.up = Lane("client to upstream", self.limit_bytes)
        self.down = Lane("upstream to client", self.limit_bytes)
        self.client = ChunkStream(self.up, self.down)
        self.upstream = ChunkStream(self.down, self.up)

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
        if lane.over is not None:
            return Close(lane.over)
        try:
            if direction is Direction.FROM_PEER:
                lane.input(chunk)
                return await lane.replies.wait()
            lane.slot(chunk)
            return await lane.slot_replies.wait()
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
