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

from faultinject.plugin.duplex.turns import RecordError, Turns
from faultinject.plugin.interface import Close, OpenCall, Replace

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


class LaneError(Exception):
    """The host did something by which bytes would be lost. The message says what."""


@define(eq=False)
class Lane:
    """One lane. It connects the session's streams (`LaneStream`) with the tunnel's calls."""

    name: str
    """The direction of its bytes, for messages: ``client to upstream``."""
    limit_bytes: int = OUTPUT_LIMIT_BYTES
    unread: bytearray = field(factory=bytearray)
    """The part of the input in hand that was not read yet."""
    arrived: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where the session waits for input."""
    drained: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where the session waits for room for output."""
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
    over: str | None = None
    """Why the tunnel ended, if it did. Every call is answered with `Close` then."""
    broken: bool = False
    """Whether the tunnel ended by an error."""
    read_closed: bool = False
    """The session will read no more input."""
    write_closed: bool = False
    """The session will write no more output."""
    _input: OpenCall | None = None
    _slot: OpenCall | None = None
    _turns: Turns = field(factory=Turns)
    _share: int = SLOT_BYTES
    """How many bytes each of the slots that are out may carry, except the last."""
    _releasing: bool = False

    # What the host does

    def input(self, chunk: bytes) -> OpenCall:
        """Take what a peer sent. Raises `LaneError`."""
        call = OpenCall()
        if self.over is not None:
            call.answer(Close(self.over))
            return call
        if self._input is not None or self.slots:
            raise LaneError(f"{self.name}: an input came while {self._conflict()}")
        self.unproven = False
        self._input = call
        if not self.read_closed:
            self.unread += chunk
        self.arrived.unpark_all()
        self.slots_moved.unpark_all()
        self._finish()
        return call

    def slot(self, chunk: bytes) -> OpenCall:
        """Take a slot, to write to the other peer. Raises `LaneError`."""
        call = OpenCall()
        if self.over is not None:
            call.answer(Close(self.over))
            return call
        self._check_slot(chunk)
        self.unproven = False
        self._slot = call
        self._serve()
        self.slots_moved.unpark_all()
        return call

    def _conflict(self) -> str:
        return "another was held" if self._input is not None else f"{self.slots} slots were out"

    def _check_slot(self, chunk: bytes) -> None:
        if chunk != FILLER:
            raise LaneError(
                f"{self.name}: {len(chunk)} bytes that are not the plugin's own were about to be "
                "written; both of its ports must be registered with Fault, each once, and "
                "no other plugin"
            )
        if not self.slots or self._slot is not None:
            raise LaneError(f"{self.name}: a slot came that was not bought")

    # What the session does

    @property
    def room(self) -> int:
        """How much more output can be added now, in bytes."""
        return max(0, self.limit_bytes - len(self._turns))

    @property
    def in_hand(self) -> bool:
        """Whether an input is held, so that a turn can buy slots."""
        return self._input is not None

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
        return self._slot is not None

    def read(self, most: int | None) -> bytearray:
        """Return bytes of the input in hand, at most ``most``."""
        taken = self.unread[:most]
        del self.unread[:most]
        return taken

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add output to the turn. Raises `LaneError` if it differs from what was sent ahead."""
        try:
            self._turns.write(data)
        except RecordError as error:
            raise LaneError(f"{self.name}: {error}") from error

    def end_turn(self, promised: int = 0) -> None:
        """Flush what was written: answer the input in hand with as many slots as it needs.

        ``promised`` more slots are bought for output that will come without a further input. If
        slots are out already, the output goes into them. Without either it waits for the next
        input.
        """
        self._turns.finish()
        call, self._input = self._input, None
        if call is not None:
            self._buy(call, promised)
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
        if self._slot is not None:
            self._answer_slot(self._slot, b"")

    # The slots

    def _buy(self, call: OpenCall, promised: int) -> None:
        """Answer an input with blocks."""
        ready = self._turns.ready
        proof = 1 if self.proves and ready else 0
        rest = ready - proof
        self._share = max(SLOT_BYTES, -(-rest // MOST_BLOCKS))
        self.slots = -(-rest // self._share) + proof + promised
        call.answer(Replace(FILLER * self.slots))

    def _serve(self) -> None:
        """Answer the slot in hand if there is output for it."""
        call = self._slot
        if call is None:
            return
        if self._turns.ready:
            self._fill_slot(call, self._turns.take(self._portion()))
        elif self._releasing:
            self._fill_slot(call, self._take_ahead())
        elif self._finished and self.fills_at_end:
            self._fill_slot(call, self._turns.take_unfinished())
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

    def _fill_slot(self, call: OpenCall, data: bytes) -> None:
        self.slots -= 1
        self.unproven = self.proves and len(data) > 1
        self._releasing = self._releasing and self.slots > 0
        self._answer_slot(call, data)
        self.drained.unpark_all()

    def _answer_slot(self, call: OpenCall, data: bytes) -> None:
        self._slot = None
        call.answer(Replace(data))
        self.slots_moved.unpark_all()

    def _close_slot(self, reason: str) -> None:
        call, self._slot = self._slot, None
        if call is not None:
            self.slots = 0
            call.answer(Close(reason))
            self.drained.unpark_all()

    # The end

    @property
    def _finished(self) -> bool:
        return self.read_closed and self.write_closed

    def close_for_reading(self) -> None:
        """Note that the session will read no more input."""
        self.read_closed = True
        self.unread.clear()
        self.arrived.unpark_all()
        self._finish()

    def close_for_writing(self) -> None:
        """Note that the session will write no more output. What it wrote is still sent."""
        self.write_closed = True
        self.drained.unpark_all()
        self._finish()

    def _finish(self) -> None:
        """Send what is left, and then close, because no further ask will do it."""
        if not self._finished:
            return
        if self._turns or self.slots:
            self.end_turn()
        elif self._input is not None:
            call, self._input = self._input, None
            call.answer(Close("the session is over"))

    def end(self, reason: str, *, broken: bool) -> None:
        """End the lane, because the tunnel is over. Close all calls, and wake all waiters."""
        if self.over is not None:
            return
        self.over, self.broken = reason, broken
        if self._input is not None:
            self._input.answer(Close(reason))
            self._input = None
        self._close_slot(reason)
        self.slots = 0
        for waiting in (self.arrived, self.drained, self.slots_moved):
            waiting.unpark_all()
