"""The last event of a stream is found however the stream is cut."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.framing import Framing, StreamEvent
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM
from faultinject.providers.framing.aws_event_stream import encode as frame
from faultinject.providers.framing.ndjson import NDJSON
from faultinject.providers.framing.sse import SSE

LINES = st.sampled_from([b"data: [DONE]", b"event: message_stop", b"data: {}", b": ping", b"", b""])
JSON_LINES = st.sampled_from([b'{"done":true}', b"{}", b"x", b" ", b"", b""])
FRAMES = st.sampled_from([frame(((":event-type", "a"),), b"{}"), frame((), b"x" * 500)])


def last_of(framing: Framing, *pieces: bytes) -> StreamEvent | None:
    """Return what is known of the last event of a stream."""
    assert framing.tail is not None
    tail = framing.tail()
    for piece in pieces:
        tail.observe(piece)
    return tail.last


@pytest.mark.parametrize(
    ("pieces", "last"),
    [
        ([], None),
        ([b"\n"], None),
        ([b": ping\n\n"], None),
        ([b"data: 1\n\n", b"data: 2\n\n"], (None, b"2")),
        ([b"data: 1\n\ndata: 2\n\n"], (None, b"2")),
        ([b"data: 1\r\n\r\ndata: 2\r\n\r\n"], (None, b"2")),
        ([b"data: 1\r\n\r", b"\n"], (None, b"1")),
        ([b"data: 1\n", b"\n"], (None, b"1")),
        ([b"da", b"ta: 1", b"\n\n"], (None, b"1")),
        ([b"data: 1", b"\n\ndata: 2\n\n"], (None, b"2")),
        ([b"Xdata: 1\n\n"], None),
        ([b"event: a\n", b"data: 1\n\n", b"\n"], ("a", b"1")),
        ([b"data: 1\n\n", b"data: 2\n"], None),
        ([b"data: 1\n\n", b"d"], None),
        ([b"data: 1\n\nevent: a\ndata: " + b"x" * 9_000, b"x" * 9_000], None),
    ],
)
def test_the_last_event(pieces: list[bytes], last: tuple[str | None, bytes] | None) -> None:
    """None while its blank line has not come."""
    event = last_of(SSE, *pieces)
    assert (event and (event.name, event.data)) == last


def test_of_a_long_event_the_beginning_is_kept() -> None:
    """Its name is there, however much follows."""
    much = b"x" * 9_000
    last = last_of(SSE, b"data: 1\n\nevent: a\ndata: " + much, much, much + b"\n\n")
    assert last is not None
    assert len(last.raw) == 16 * 1024
    assert last.name == "a"
    line = last_of(NDJSON, b"1\n" + much, much, much + b"\n")
    assert line is not None
    assert len(line.data) == 16 * 1024


def test_line_ends_that_end_no_event_are_kept_in_part() -> None:
    """However many there are; an event that follows them is known all the same."""
    assert SSE.tail is not None
    tail, ends = SSE.tail(), b"\r" * 100
    tail.observe(b"data: 1")
    tracemalloc.start()
    try:
        for _ in range(500):
            tail.observe(ends)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
    assert tail.last is None
    for piece in (b"\n\n", b"\r\n" * 100 + b"\r", b"\ndata: 2\n\n"):
        tail.observe(piece)
    assert said(tail.last) == (None, b"2")


def test_a_frame_that_is_not_kept_whole_is_not_known() -> None:
    """Its checksum could not be looked at; the next one is known again."""
    long = frame(((":event-type", "a"),), b"x" * 20_000)
    assert last_of(AWS_EVENT_STREAM, long) is None
    assert last_of(AWS_EVENT_STREAM, long[:10_000], long[10_000:]) is None
    assert last_of(AWS_EVENT_STREAM, long, frame((), b"{}")) is not None
    assert last_of(AWS_EVENT_STREAM, b"no frame begins so", frame((), b"{}")) is None


def test_what_is_no_part_of_the_last_event() -> None:
    """Blank lines before it, and the white space of JSON around it; no other byte."""
    event = last_of(SSE, b"\ndata: 1\n\n")
    assert event is not None
    assert event.raw == b"data: 1"
    assert said(last_of(NDJSON, b" 1\x0c \t\r\n")) == (None, b"1\x0c")


def cut(stream: bytes, data: st.DataObject) -> list[bytes]:
    """Return a stream in pieces."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def found_by_decoder(framing: Framing, stream: bytes) -> StreamEvent | None:
    """Return the last event of a stream; None if what came last has not ended, or is none."""
    decoder = framing.decoder()
    pieces = [each for each in decoder.feed(stream) if each.raw.strip(b" \r\n")]
    if decoder.pending.strip(b" \r\n") or not pieces or not pieces[-1].is_event:
        return None
    return pieces[-1]


def said(event: StreamEvent | None) -> tuple[str | None, bytes] | None:
    """Return name and data of an event."""
    return None if event is None else (event.name, event.data)


@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_any_cut_of_lines_gives_the_same(
    lines: list[bytes], line_end: bytes, data: st.DataObject
) -> None:
    """And that is what a decoder of the whole stream finds last."""
    stream = b"".join(line + line_end for line in lines)
    last = last_of(SSE, *cut(stream, data))
    assert said(last) == said(found_by_decoder(SSE, stream))


@given(st.lists(JSON_LINES, max_size=8), st.sampled_from([b"\n", b"\r\n"]), st.data())
def test_any_cut_of_values_gives_the_same(
    lines: list[bytes], line_end: bytes, data: st.DataObject
) -> None:
    """The last line that is not blank."""
    stream = line_end.join(lines)
    last = last_of(NDJSON, *cut(stream, data))
    assert said(last) == said(found_by_decoder(NDJSON, stream))


@given(st.lists(FRAMES, max_size=4), st.integers(0, 40), st.data())
def test_any_cut_of_frames_gives_the_same(
    frames: list[bytes], missing: int, data: st.DataObject
) -> None:
    """The last frame, if it has come whole."""
    stream = b"".join(frames)
    stream = stream[: len(stream) - missing]
    last = last_of(AWS_EVENT_STREAM, *cut(stream, data))
    assert said(last) == said(found_by_decoder(AWS_EVENT_STREAM, stream))
