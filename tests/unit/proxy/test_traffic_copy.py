"""What is copied of an exchange, and how much of it."""

from __future__ import annotations

import tracemalloc

import pytest

from faultinject.http.message import End, Part, ResponseHead
from faultinject.proxy import traffic_copy
from faultinject.proxy.traffic_copy import ANSWER_BYTES, CopyRoom, TrafficCopy
from tests.support.steps import CountedPattern
from tests.unit.proxy.support import StoppedRun

STREAM = ResponseHead(200, b"OK", ((b"Content-Type", b"text/event-stream"),))
PLAIN = ResponseHead(200, b"OK", ((b"Content-Type", b"application/json"),))
LAST = b"event: message_stop\ndata: {}\n\n"


def test_copies_share_their_room() -> None:
    """What has none is not kept, and not taken for what was sent; later ones have room again."""
    room = CopyRoom(10)
    first, second = (TrafficCopy(StoppedRun(room), 0.0) for _ in range(2))
    first.received([b"12345"])
    second.received([b"12345", b"6", b"7"])
    assert (first.held_bytes, second.held_bytes, room.left_bytes) == (5, 0, 5)
    for copy in (first, second):
        copy.received([End()])
    assert first.whole_body == b"12345"
    assert second.whole_body is None
    second.sent([PLAIN, b"123456", b"7", End()])
    assert second.answer_so_far is second.whole_answer is None
    first.close()
    assert room.left_bytes == 10
    third = TrafficCopy(StoppedRun(room), 0.0)
    third.received([b"1234567890", End()])
    assert third.whole_body == b"1234567890"


def test_the_copy_of_a_body_takes_no_more_room_than_the_body() -> None:
    """However many pieces it comes in."""
    parts = [b"%02d" % (number % 100) for number in range(100_000)]
    copy = TrafficCopy(StoppedRun(), 0.0)
    tracemalloc.start()
    try:
        copy.received(parts)
        copy.sent(parts)
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held_bytes < 600_000
    assert copy.whole_body is None
    assert copy.whole_answer is None
    copy.received([End()])
    copy.sent([End()])
    assert copy.whole_body == copy.whole_answer == b"".join(parts)


def test_what_is_not_asked_any_more_is_forgotten() -> None:
    """However it was sent: else bodies would lie in the memory for which no room is counted."""
    for sent in ([(STREAM, LAST, End())], [(STREAM,), (LAST,), (End(),)]):
        run = StoppedRun()
        copy = TrafficCopy(run, 0.0)
        copy.received([b"12345", End()])
        for parts in sent:
            copy.sent(parts)
        copy.close()
        assert (copy.body, copy.whole_body, copy.head, copy.tail) == (None,) * 4
        assert (copy.answer_so_far, copy.held_bytes) == (None, 0)
        assert run.copy_room.left_bytes == CopyRoom().left_bytes


def test_times_are_those_of_the_run() -> None:
    """They count from its beginning, and are none as long as nothing has passed."""
    for sent in ([(PLAIN, b"{}", End())], [(PLAIN,), (b"{}", End())]):
        run = StoppedRun()
        copy = TrafficCopy(run, 0.0)
        assert (copy.heard_seconds, copy.head_seconds, copy.spoke_seconds) == (0.0, None, 0.0)
        run.now_seconds = 1.0
        copy.received([b"12345", End()])
        for parts in sent:
            run.now_seconds += 1.0
            copy.sent(parts)
        assert (copy.heard_seconds, copy.head_seconds) == (1.0, 2.0)
        assert copy.spoke_seconds == 1.0 + len(sent)


@pytest.mark.parametrize(
    "sent",
    [
        [(STREAM, LAST, End())],
        [(STREAM,), (LAST[:9],), (LAST[9:], End())],
        [(STREAM, b": " + bytes(ANSWER_BYTES) + b"\n\n" + LAST, End())],
    ],
    ids=["at once", "in pieces", "at once, and long"],
)
def test_the_last_event_of_a_stream(sent: list[tuple[Part, ...]]) -> None:
    """Is known however it was sent, and however long the stream was."""
    copy = TrafficCopy(StoppedRun(), 0.0)
    for parts in sent:
        copy.sent(parts)
    assert copy.tail is not None
    assert copy.tail.last is not None
    assert copy.tail.last.name == "message_stop"


@pytest.mark.parametrize("body", [b"{}", bytes(ANSWER_BYTES + 1), b""])
def test_what_is_no_stream_has_no_last_event(body: bytes) -> None:
    """Whether it is kept or not."""
    copy = TrafficCopy(StoppedRun(), 0.0)
    assert copy.tail is None
    copy.sent((PLAIN, body, End()))
    assert copy.tail is None
    assert copy.whole_answer == (None if len(body) > ANSWER_BYTES else body)


@pytest.mark.parametrize("blank", [b"\n", b"\r", b"\r\n", b":\n", b"event: ping\ndata: {}\n"])
def test_blank_lines_hold_nothing_up(monkeypatch: pytest.MonkeyPatch, blank: bytes) -> None:
    """Some APIs send them while a model thinks. They say nothing, but what follows them does."""
    pattern = CountedPattern(traffic_copy._PINGS)
    monkeypatch.setattr(traffic_copy, "_PINGS", pattern)
    run = StoppedRun()
    copy = TrafficCopy(run, 0.0)
    copy.sent((STREAM,))
    run.now_seconds = 1.0
    blanks = blank * 7  # to try all ways takes 2 ** 7 steps, and 2 ** 200 for the longest part
    copy.sent((blanks,))
    assert copy.spoke_seconds == 0.0
    copy.sent((blanks + b"data: 1",))
    assert copy.spoke_seconds == 1.0
    assert 0 < pattern.steps <= 10 * len(blanks)
