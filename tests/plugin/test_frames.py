"""The allowance of frames, by frames alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.plugin.bridge.port import (
    FRAMES_A_SECOND,
    MOST_FRAMES,
    PREFACE_BYTES,
    WORTHWHILE_BYTES,
    FrameAllowance,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PING = b"\0\0\x08\x06\0\0\0\0\0abcdefgh"


def frame(kind: int, body: bytes = b"", stream_id: int = 0) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, 0)) + stream_id.to_bytes(4, "big") + body


def allowance(open_streams: tuple[int, ...] = ()) -> FrameAllowance:
    one = FrameAllowance(open_streams.__contains__, 0.0)
    assert len(PREFACE) == PREFACE_BYTES
    assert one.spend(PREFACE)
    return one


@pytest.mark.parametrize(
    "costs",
    [
        PING,
        frame(0x4),
        frame(0x2, b"\0" * 5, 1),
        frame(0x8, b"\0\0\0\1"),
        frame(0x3, b"\0" * 4, 3),
        frame(0x42, b"x" * 3000),
        frame(0x0, b"", 1),
        frame(0x0, b"x" * (WORTHWHILE_BYTES - 1), 1),
        frame(0x1, b"head", 1),
    ],
    ids=[
        "PING", "SETTINGS", "PRIORITY", "WINDOW_UPDATE", "RST_STREAM", "unknown", "no DATA",
        "little DATA", "HEADERS",
    ],
)  # fmt: skip
def test_frames_that_cost(costs):
    """As many as are allowed, and not one more."""
    one = allowance()
    assert one.spend(costs * MOST_FRAMES)
    assert not one.spend(costs)


@pytest.mark.parametrize("free", [frame(0x0, b"x" * WORTHWHILE_BYTES, 1), frame(0x3, b"\0" * 4, 1)])
def test_frames_that_do_not_cost(free):
    """DATA that is worth its frame, and the end of a call that is open."""
    one = allowance(open_streams=(1,))
    assert one.spend(free * (2 * MOST_FRAMES))
    assert one.spend(PING * MOST_FRAMES)


def test_what_adds_to_it():
    """Calls and time, but not the time in which nothing was read; never above its most."""
    one = allowance()
    one.earn(5 * MOST_FRAMES)
    assert one.spend(PING * MOST_FRAMES)
    one.earn(3)
    one.wait(1.0, useful=True)
    one.wait(5.0, useful=False)
    assert one.spend(PING * int(3 + FRAMES_A_SECOND))
    assert not one.spend(PING)


@given(st.lists(st.integers(1, 30), min_size=1), st.integers(MOST_FRAMES - 2, MOST_FRAMES + 2))
def test_in_whatever_pieces_they_come(sizes, count):
    """It is the same."""
    data, one, at = PREFACE + PING * count, FrameAllowance(lambda _: False, 0.0), 0
    allowed = True
    while at < len(data):
        for size in sizes:
            allowed = one.spend(data[at : at + size]) and allowed
            at += size
    assert allowed is (count <= MOST_FRAMES)
