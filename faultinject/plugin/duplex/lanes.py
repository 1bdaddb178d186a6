"""The two lanes of a tunnel behind Fault: when a call is answered, and with what.

The theory first. Fault copies a tunnel's bytes with two loops, one a direction, and asks the
plugin at both ends of each: about what was just read (an *input*), and about what is about to be
written (a *slot*). Written as one loop, which is a **lane**::

                        input                 copy buffer              slot
      bytes from ──▶ the reply goes ──▶ 8192 bytes; a full one ──▶ the reply goes ──▶ the other
      one peer        into the buffer    is written, then refilled   out instead       peer
                       (registration of                          (registration of
                        the one peer)                             the other peer)

Two facts shape everything. Output needs a slot, and a slot comes only when the copy buffer holds
something, which only the answer to an input puts there. And what enters the buffer while a slot's
call is open is lost (the reply to a slot acknowledges the whole buffer), unless the buffer was
full. So an input is never answered with its own bytes, but with n **blocks** of exactly
`BLOCK_BYTES` of filler: each fills the buffer, so nothing can enter it, and is one slot. The bytes
that really go out are the replies to the slots, whose chunk (the filler) is looked at only to
see that the scheme holds. A lane is a strict cycle::

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

**A turn** is what happens between an input and its answer: all that the one peer's bytes made the
session write to the other. It ends when the session asks the one peer for more, for by then it
has written everything; or explicitly (`Lane.end_turn`), perhaps with *promised* slots, which are
bought now and filled later, by output that comes without a further input. An ask is judged once,
when it is made. With no output the answer is nothing, and the host reads on.

**Who must read when.** Whoever reads ahead strands what it writes afterwards: there is no input
left to buy its slots. So a session writes all that a peer's bytes cause before it asks that peer
again. A lane whose slots are out brings no input, so no output is added meanwhile, and all memory
is one input (4096 bytes with Fault), what one turn writes, and blocks in flight.

**A slot with nothing to say** holds up its lane, and with it the one peer's bytes. So when the
session asks for those, it is released: filled with a beginning of the TLS record that comes next,
which is left out of that record afterwards. At most three bytes can go ahead so, and the other
peer may notice that something is readable, so slots are not promised in vain.

**Breaking the cycle** (an input while slots are out, a slot that was not bought or whose chunk is
not the filler) means that bytes would be lost: `LaneError`, and the tunnel ends.

Does no I/O and has no clock. Knows nothing of gRPC, TLS (but for the first bytes of its records)
or HTTP.
"""

from __future__ import annotations

import trio
from attrs import define, field

from faultinject.plugin.duplex.turns import RecordError, Turns
from faultinject.plugin.interface import Close, OpenCall, Replace

BLOCK_BYTES = 8192
"""The size of Fault's copy buffer (tokio's ``copy``)."""
FILLER = (b"faultinject fills this block. " * 274)[:BLOCK_BYTES]
"""What a block consists of. No peer ever sees it."""
SLOT_BYTES = 17 * 1024
"""How much a slot carries: a whole TLS record (16 KiB and its overhead, RFC 8446 section 5.2).
More would often be taken by the socket only in part, after which Fault stalls."""
MOST_BLOCKS = 480
"""Most blocks of one answer: Fault (tonic) takes messages up to 4 MiB. Slots carry more then."""
OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
"""Most output that waits for slots; a sender waits from then on."""


class LaneError(Exception):
    """The host did what would lose bytes; the message says what and, if known, the mend."""


@define(eq=False)
class Lane:
    """One lane. The session's streams (`LaneStream`) and the tunnel's calls meet in it."""

    name: str
    """Where its bytes go, for messages: ``client to upstream``."""
    limit_bytes: int = OUTPUT_LIMIT_BYTES
    unread: bytearray = field(factory=bytearray)
    """What is left to read of the input in hand."""
    arrived: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where the session waits for input."""
    drained: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where the session waits for room for output."""
    slots_moved: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    """Where `faultinject.plugin.wakeup` waits for a slot's call or answer."""
    slots: int = 0
    """How many slots are out: bought and not yet answered."""
    proves: bool = False
    """Whether each turn's last byte gets a slot of its own. One byte cannot be taken in part, so
    the call of that slot proves that the bytes before it were flushed."""
    unproven: bool = False
    """Whether bytes were answered of which it is not known that they were flushed."""
    keeps_slots: bool = False
    """Whether slots with nothing to say are kept even though input is asked for (for waking)."""
    fills_at_end: bool = False
    """Whether slots are filled at the end that have nothing to say. A slot that is closed ends
    the lane without FIN, so that the other peer does not hear of it."""
    over: str | None = None
    """Why the tunnel ended, if it did: every call is answered `Close`."""
    broken: bool = False
    """Whether that was an error."""
    not_read: bool = False
    """The session will read no more input."""
    not_written: bool = False
    """The session will write no more output."""
    _input: OpenCall | None = None
    _slot: OpenCall | None = None
    _turns: Turns = field(factory=Turns)
    _share: int = SLOT_BYTES
    """How much each of the slots that are out may carry, but for the last."""
    _releasing: bool = False

    # What the host does

    def input(self, chunk: bytes) -> OpenCall:
        """Take what the one peer sent. Raises `LaneError`."""
        call = OpenCall()
        if self.over is not None:
            call.answer(Close(self.over))
            return call
        if self._input is not None or self.slots:
            raise LaneError(f"{self.name}: an input came while {self._in_the_way()}")
        self.unproven = False
        self._input = call
        if not self.not_read:
            self.unread += chunk
        self.arrived.unpark_all()
        self.slots_moved.unpark_all()
        self._finish()
        return call

    def slot(self, chunk: bytes) -> OpenCall:
        """Take the offer to write to the other peer. Raises `LaneError`."""
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

    def _in_the_way(self) -> str:
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
        """How much more output is taken now."""
        return max(0, self.limit_bytes - len(self._turns))

    @property
    def in_hand(self) -> bool:
        """Whether an input is held, so that a turn can buy slots."""
        return self._input is not None

    @property
    def pending(self) -> bool:
        """Whether there is output that did not go yet."""
        return bool(self._turns)

    @property
    def can_spare_a_slot(self) -> bool:
        """Whether a slot is left when all output so far has gone."""
        return self.slots > -(-len(self._turns) // self._share)

    @property
    def owes(self) -> bool:
        """Whether there is output, or are slots, that were not served yet."""
        return self.over is None and bool(self._turns or self.slots)

    @property
    def slot_held(self) -> bool:
        """Whether a slot's call waits for output."""
        return self._slot is not None

    def read(self, most: int | None) -> bytearray:
        """Return what there is of the input in hand."""
        taken = self.unread[:most]
        del self.unread[:most]
        return taken

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add output to the turn. Raises `LaneError` if it belies what went ahead of it."""
        try:
            self._turns.write(data)
        except RecordError as error:
            raise LaneError(f"{self.name}: {error}") from error

    def end_turn(self, promised: int = 0) -> None:
        """Let what was written go: answer the input in hand, if any, with the slots it takes.

        ``promised`` slots are bought on top, for output that will come without a further input.
        With slots out already, output goes into those; with neither, it waits for the next input.
        """
        self._turns.finish()
        call, self._input = self._input, None
        if call is not None:
            self._buy(call, promised)
        self._serve()

    def ask(self) -> None:
        """End the turn, as the session waits for more input. Slots with no output are released.

        They would keep that input away for ever. With output, all of them share it.
        """
        self._releasing = self.slots > 0 and not self.keeps_slots
        self.end_turn()
        if not self.keeps_slots:
            self.release()

    def release(self) -> None:
        """Fill the slots that are out and have nothing to say, so that input can come again."""
        self._releasing = self.slots > 0
        self._serve()

    def wake(self) -> None:
        """Answer a held slot with nothing: Fault asks again at once, and its task looks around."""
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
        """Answer the slot in hand if there is something for it."""
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
        return self.not_read and self.not_written

    def close_for_reading(self) -> None:
        """Note that the session will read no more input."""
        self.not_read = True
        self.unread.clear()
        self.arrived.unpark_all()
        self._finish()

    def close_for_writing(self) -> None:
        """Note that the session will write no more output. What it wrote is still sent."""
        self.not_written = True
        self.drained.unpark_all()
        self._finish()

    def _finish(self) -> None:
        """Serve what is left, and then close; no ask will come that could bring it about."""
        if not self._finished:
            return
        if self._turns or self.slots:
            self.end_turn()
        elif self._input is not None:
            call, self._input = self._input, None
            call.answer(Close("the session is over"))

    def end(self, reason: str, *, broken: bool) -> None:
        """End it, because the tunnel is over: calls are closed from now on, and waiters woken."""
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
