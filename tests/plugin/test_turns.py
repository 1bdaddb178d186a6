"""Output in turns: what may go, and what goes ahead."""

from __future__ import annotations

import pytest

from faultinject.plugin.duplex.turns import RecordError, Turns


def test_only_finished_turns_are_ready() -> None:
    """What was written counts once its turn is over."""
    turns = Turns()
    turns.write(b"one")
    turns.finish()
    turns.write(b"two")
    assert (turns.ready, len(turns)) == (3, 6)
    assert turns.take(2) == b"on"
    assert (turns.ready, len(turns)) == (1, 4)


def test_a_byte_ahead_is_left_out_of_the_record() -> None:
    """What went ahead is not said twice, however the record is written."""
    turns = Turns()
    assert turns.take_ahead() + turns.take_ahead() == b"\x17\x03"
    turns.write(b"\x17")
    turns.write(b"\x03\x03\x00\x05hello")
    turns.write(b"\x17")
    turns.finish()
    assert turns.take(turns.ready) == b"\x03\x00\x05hello\x17"


def test_the_turn_in_hand_goes_ahead_first() -> None:
    """If something was written already, its first byte is the one."""
    turns = Turns()
    turns.write(b"abc")
    assert turns.take_ahead() == b"a"
    assert (turns.ready, len(turns)) == (0, 2)


def test_at_most_three_bytes_go_ahead() -> None:
    """Beyond the record's common beginning nothing is known."""
    turns = Turns()
    assert b"".join(turns.take_ahead() for _ in range(3)) == b"\x17\x03\x03"
    with pytest.raises(RecordError, match="more slots were promised"):
        turns.take_ahead()


@pytest.mark.parametrize("data", [b"\x15\x03\x03", b"HTTP"])
def test_what_follows_must_be_the_record(data: bytes) -> None:
    """Anything else would be garbage to the peer."""
    turns = Turns()
    turns.take_ahead()
    with pytest.raises(RecordError, match="another kind followed"):
        turns.write(data)
