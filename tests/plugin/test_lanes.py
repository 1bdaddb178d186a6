"""One lane as a transcript: what the host and the session do, and what is answered."""

from __future__ import annotations

import pytest
import trio
from attrs import define, field

from faultinject.plugin.chunk_stream import MOST_CHUNKS, LaneError, Replies
from faultinject.plugin.duplex.lanes import (
    BLOCK_BYTES,
    FILLER,
    MOST_BLOCKS,
    SLOT_BYTES,
    Lane,
)
from faultinject.plugin.interface import Close, Replace, Reply


def given(replies: Replies) -> Reply | None:
    """Return the reply that a waiting call would get now; it can be had once."""
    try:
        return replies._receive.receive_nowait()
    except trio.WouldBlock:
        return None


@define
class Host:
    """Plays the host of one lane; keeps the replies to its last input and slot."""

    lane: Lane = field(factory=lambda: Lane("here to there"))
    _to_input: Reply | None = None
    _to_slot: Reply | None = None

    def input(self, chunk: bytes = b"input") -> Reply | None:
        """Bring an input; return its answer, if there is one already."""
        given(self.lane.replies)  # the last one's, if the test did not look
        self._to_input = None if self.lane.over is None else Close(self.lane.over)
        if self._to_input is None:
            self.lane.input(chunk)
        return self.to_input

    def slot(self, chunk: bytes = FILLER) -> bytes | Reply | None:
        """Bring a slot; return the bytes of its answer."""
        given(self.lane.slot_replies)
        self._to_slot = None if self.lane.over is None else Close(self.lane.over)
        if self._to_slot is None:
            self.lane.slot(chunk)
        return self.to_slot

    @property
    def to_input(self) -> Reply | None:
        """The answer to the last input, once there is one."""
        self._to_input = self._to_input or given(self.lane.replies)
        return self._to_input

    @property
    def to_slot(self) -> bytes | Reply | None:
        """What the answer to the last slot writes, once there is one."""
        self._to_slot = self._to_slot or given(self.lane.slot_replies)
        return self._to_slot.data if isinstance(self._to_slot, Replace) else self._to_slot

    @property
    def bought(self) -> int | None:
        """How many slots the answer to the last input bought."""
        reply = self.to_input
        if reply is None:
            return None
        assert isinstance(reply, Replace)
        assert reply.data == FILLER * (len(reply.data) // BLOCK_BYTES)
        return len(reply.data) // BLOCK_BYTES

    @property
    def unread(self) -> int:
        """How many chunks the session has not read."""
        return self.lane.chunks.statistics().current_buffer_used


def test_the_filler_fills_the_copy_buffer() -> None:
    """A byte less and more could be read into it."""
    assert len(FILLER) == BLOCK_BYTES == 8192


def test_an_input_is_held_until_the_session_asks() -> None:
    """The input is readable at once, and is answered with nothing if nothing was written."""
    host = Host()
    assert host.input(b"hello") is None
    assert host.lane.chunks.receive_nowait() == b"hello"
    assert host.bought is None
    host.lane.end_turn()
    assert host.bought == 0


def test_output_alone_answers_nothing() -> None:
    """More may follow from the same input."""
    host = Host()
    host.input()
    host.lane.write(b"some output")
    assert host.bought is None


@pytest.mark.parametrize(
    ("size", "slots"), [(1, 1), (SLOT_BYTES, 1), (SLOT_BYTES + 1, 2), (5 * SLOT_BYTES, 5)]
)
def test_a_turn_buys_a_slot_for_each_record(size: int, slots: int) -> None:
    """Every slot carries 17 KiB at most, the last what is left; then the next input may come."""
    host = Host()
    data = bytes(number % 251 for number in range(size))
    host.input()
    host.lane.write(data)
    host.lane.end_turn()
    assert host.bought == slots
    replies = [host.slot() for _ in range(slots)]
    assert b"".join(reply for reply in replies if isinstance(reply, bytes)) == data
    assert max(len(reply) for reply in replies if isinstance(reply, bytes)) <= SLOT_BYTES
    assert host.input() is None


def test_output_without_an_input_waits_for_the_next_one() -> None:
    """With no input in hand there is nothing to buy a slot with."""
    host = Host()
    host.lane.write(b"early")
    host.lane.end_turn()
    host.input()
    host.lane.write(b" and late")
    host.lane.end_turn()
    assert host.bought == 1
    assert host.slot() == b"early and late"


def test_a_promised_slot_is_held_until_there_is_output() -> None:
    """ClientHello now, and the rest of the handshake without a further input."""
    host = Host()
    host.input(b"ClientHello")
    host.lane.write(b"our ClientHello")
    host.lane.end_turn(promised=1)
    assert host.bought == 2
    assert host.slot() == b"our ClientHello"
    assert host.slot() is None
    assert host.lane.slot_held
    host.lane.write(b"Finished")
    assert host.to_slot is None
    host.lane.end_turn()
    assert host.to_slot == b"Finished"
    assert not host.lane.slot_held


def test_output_may_be_there_before_its_promised_slot() -> None:
    """It goes as soon as the slot comes."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=2)
    host.lane.write(b"one")
    host.lane.end_turn()
    assert host.slot() == b"one"
    host.lane.write(b"two")
    assert host.slot() is None, "the turn has not ended"
    host.lane.end_turn()
    assert host.to_slot == b"two"


def test_the_last_slot_takes_all_there_is() -> None:
    """Else the rest would wait for an input that may never come."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=2)
    host.lane.write(b"x" * 3 * SLOT_BYTES)
    host.lane.end_turn()
    assert host.slot() == b"x" * SLOT_BYTES
    assert host.slot() == b"x" * 2 * SLOT_BYTES


def test_very_long_output_takes_larger_slots_not_more() -> None:
    """An answer stays below the 4 MiB that Fault takes."""
    host = Host()
    host.lane.limit_bytes = 10**8
    size = 2 * MOST_BLOCKS * SLOT_BYTES + 1
    host.input()
    host.lane.write(b"x" * size)
    host.lane.end_turn()
    assert host.bought is not None
    assert host.bought <= MOST_BLOCKS
    assert MOST_BLOCKS * BLOCK_BYTES < 4 * 1024 * 1024
    replies = [host.slot() for _ in range(host.bought)]
    sizes = [len(reply) for reply in replies if isinstance(reply, bytes)]
    assert sum(sizes) == size
    assert max(sizes) <= 2 * SLOT_BYTES + 1


# Released slots


def test_a_promised_slot_with_nothing_to_say_is_released() -> None:
    """It carries the first byte of the record that comes, so that input can come again."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=1)
    assert host.slot() is None
    host.lane.release()
    assert host.to_slot == b"\x17"
    host.input()
    host.lane.write(b"\x17\x03\x03\x00\x01x")
    host.lane.end_turn()
    assert host.slot() == b"\x03\x03\x00\x01x"


def test_a_release_waits_for_the_slots_call() -> None:
    """It need not be in hand yet; output that comes first is shared by all slots."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=3)
    host.lane.release()
    assert host.slot() == b"\x17"
    host.lane.write(b"\x17\x03\x03 record")
    host.lane.end_turn()
    assert host.slot() == b"\x03\x03 recor"
    host.lane.write(b"unfinished")
    assert host.slot() == b"d"
    host.input()
    host.lane.end_turn(promised=1)
    assert host.slot() == b"unfinished"


def test_a_release_is_over_with_its_slots() -> None:
    """A slot that is promised later is held again, and a release without slots does nothing."""
    host = Host()
    host.lane.release()
    for _ in range(2):
        host.input()
        host.lane.end_turn(promised=1)
        assert host.slot() is None
        host.lane.release()
    assert host.to_slot == b"\x03"


@pytest.mark.parametrize("kept", [False, True])
def test_asking_releases_what_would_keep_the_input_away(kept: bool) -> None:
    """Unless it is kept on purpose; output that is there goes first in any case."""
    host = Host()
    host.lane.keeps_slots = kept
    host.input()
    host.lane.write(b"x")
    host.lane.end_turn(promised=1)
    assert host.slot() == b"x"
    assert host.slot() is None
    host.lane.ask()
    assert host.to_slot == (None if kept else b"\x17")


def test_too_many_releases_are_an_error() -> None:
    """A fourth byte would be a guess."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=4)
    host.lane.release()
    assert [host.slot() for _ in range(3)] == [b"\x17", b"\x03", b"\x03"]
    with pytest.raises(LaneError, match="here to there: more slots were promised"):
        host.slot()


def test_another_record_after_a_release_is_an_error() -> None:
    """The byte that went ahead cannot be taken back."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=1)
    host.slot()
    host.lane.release()
    with pytest.raises(LaneError, match=r"here to there: .* another kind"):
        host.lane.write(b"\x15\x03\x03")


# Kicks and proofs


def test_a_kick_answers_with_nothing_and_is_asked_again() -> None:
    """The slot is still out, and its next call is held like the first."""
    host = Host()
    host.lane.wake()
    host.input()
    host.lane.end_turn(promised=1)
    assert host.slot() is None
    host.lane.wake()
    assert host.to_slot == b""
    assert host.slot() is None
    host.lane.write(b"output")
    host.lane.end_turn()
    assert host.to_slot == b"output"


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (1, [1]),
        (2, [1, 1]),
        (100, [99, 1]),
        (SLOT_BYTES + 1, [SLOT_BYTES, 1]),
        (SLOT_BYTES + 2, [SLOT_BYTES, 1, 1]),
    ],
)
def test_a_proving_lane_keeps_a_last_byte(size: int, sizes: list[int]) -> None:
    """The last byte's slot shows that what came before was flushed."""
    host = Host()
    host.lane.proves = True
    host.input()
    host.lane.write(b"x" * size)
    host.lane.end_turn()
    assert host.bought == len(sizes)
    for index, expected in enumerate(sizes):
        assert host.slot() == b"x" * expected
        assert host.lane.unproven is (expected > 1), index
    host.input()
    assert not host.lane.unproven


def test_a_proving_lane_with_promised_slots_never_writes_nothing() -> None:
    """An empty reply would be a kick of its own."""
    host = Host()
    host.lane.proves = True
    host.input()
    host.lane.write(b"abc")
    host.lane.end_turn(promised=1)
    assert [host.slot(), host.slot(), host.slot()] == [b"ab", b"c", None]


def test_a_proving_lane_without_output_buys_nothing() -> None:
    """There is nothing to prove."""
    host = Host()
    host.lane.proves = True
    host.input()
    host.lane.end_turn()
    assert host.bought == 0


# What the host must not do


def test_an_input_while_slots_are_out_is_an_error() -> None:
    """The copy buffer was not full, then: bytes would be lost."""
    host = Host()
    host.input()
    host.lane.write(b"x")
    host.lane.end_turn()
    with pytest.raises(LaneError, match="here to there: an input came while 1 slots were out"):
        host.input()


def test_a_second_input_is_an_error() -> None:
    """There is one call a direction."""
    host = Host()
    host.input()
    with pytest.raises(LaneError, match="an input came while another was held"):
        host.input()


@pytest.mark.parametrize("chunk", [b"real bytes", FILLER[:-1], FILLER + b"x"])
def test_a_slot_with_other_bytes_is_an_error(chunk: bytes) -> None:
    """They would be lost: the message says what is to be looked at."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=1)
    with pytest.raises(LaneError, match=f"{len(chunk)} bytes .* both of its ports must be"):
        host.lane.slot(chunk)


def test_a_slot_that_was_not_bought_is_an_error() -> None:
    """So is one more than was bought, and a second one at once."""
    host = Host()
    with pytest.raises(LaneError, match="not bought"):
        host.slot()
    host.input()
    host.lane.end_turn(promised=2)
    assert host.slot() is None
    with pytest.raises(LaneError, match="not bought"):
        host.slot()


# The end


def close_both(lane: Lane) -> None:
    """Close the lane as the session's two streams do."""
    lane.close_for_reading()
    lane.close_for_writing()


def test_what_was_written_is_served_before_the_close() -> None:
    """The input in hand buys its last slots, and the next input is the end of the stream."""
    host = Host()
    host.input()
    host.lane.write(b"close_notify")
    close_both(host.lane)
    assert host.bought == 1
    assert host.slot() == b"close_notify"
    assert host.input(b"whatever") == Close("the session is over")
    assert not host.unread


def test_without_an_input_the_next_one_serves_the_rest() -> None:
    """Nobody asks any more, so it is answered at once."""
    host = Host()
    host.lane.write(b"close_notify")
    close_both(host.lane)
    host.input()
    assert host.bought == 1
    assert host.slot() == b"close_notify"
    assert host.input() == Close("the session is over")


def test_an_input_in_hand_is_closed() -> None:
    """With nothing to write it is answered at once, once both ends are closed."""
    host = Host()
    host.input()
    host.lane.close_for_writing()
    assert host.to_input is None
    host.lane.close_for_reading()
    assert host.to_input == Close("the session is over")


@pytest.mark.parametrize("held", [False, True])
def test_a_promised_slot_is_closed(held: bool) -> None:
    """In hand or yet to come, there is nothing left to say."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=1)
    if held:
        assert host.slot() is None
        close_both(host.lane)
    else:
        close_both(host.lane)
        host.slot()
    assert host.to_slot == Close("the session is over")


def test_a_lane_that_is_over_closes_every_call() -> None:
    """Those in hand and those to come; only the first reason counts."""
    host = Host()
    host.input(b"rest")
    host.lane.end("first", broken=False)
    host.lane.end("second", broken=True)
    assert host.to_input == Close("first")
    assert host.input() == Close("first")
    assert host.slot() == Close("first")
    assert host.lane.chunks.receive_nowait() == b"rest"
    assert not host.lane.broken


def test_a_held_slot_is_closed_at_the_end() -> None:
    """No call is left without an answer."""
    host = Host()
    host.input()
    host.lane.end_turn(promised=1)
    host.slot()
    host.lane.end("gone", broken=True)
    assert host.to_slot == Close("gone")


def test_a_session_that_does_not_read_is_no_store_for_chunks() -> None:
    """It may answer some before it reads them, but not any number."""
    host = Host()
    for _ in range(MOST_CHUNKS):
        host.input()
        host.lane.end_turn()
    assert host.unread == MOST_CHUNKS
    with pytest.raises(LaneError, match="more than 1000 chunks"):
        host.input()
