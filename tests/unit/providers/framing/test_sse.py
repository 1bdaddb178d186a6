"""Server-sent events: what is an event, and that no byte is lost, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.framing import StreamEvent
from faultinject.providers.framing.decoder import EVENT_BYTES
from faultinject.providers.framing.sse import SseDecoder, comment, encode


def ended(*pieces: bytes) -> list[StreamEvent]:
    """Return all pieces of a stream that ends, without its limit."""
    decoder = SseDecoder()
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.end()]


def decoded(*pieces: bytes, event_bytes: int = EVENT_BYTES) -> tuple[list[StreamEvent], bytes]:
    """Return all pieces of a stream, and what is pending at its end."""
    decoder = SseDecoder(event_bytes)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events, decoder.pending


def said(stream: bytes) -> list[tuple[str | None, bytes]]:
    """Return names and data of a stream's events."""
    events, _ = decoded(stream)
    return [(event.name, event.data) for event in events if event.is_event]


# What is an event


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_line_ends(end: bytes) -> None:
    """All three ends of lines, in one stream and between its events."""
    stream = end.join([b"event: a", b"data: 1", b"", b": c", b"data:2", b"data: 3", b"", b"", b""])
    assert said(stream + b"data: x") == [("a", b"1"), (None, b"2\n3")]


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (b"data: x", (None, b"x")),
        (b"data:  x ", (None, b" x ")),
        (b"data", (None, b"")),
        (b"data:", (None, b"")),
        (b"data: a: b", (None, b"a: b")),
        (b"data: 1\ndata:\ndata: 3", (None, b"1\n\n3")),
        (b"event: a\nevent: b\ndata: x", ("b", b"x")),
        (b"event: a", ("a", b"")),
        ("event: é\ndata: ✓".encode(), ("é", "✓".encode())),
        (b"event: \xff\ndata: \xff", ("�", b"\xff")),
        (b"id: 5\nretry: 10\nother: y\ndata: x", (None, b"x")),
        (b": comment\ndata: x", (None, b"x")),
        (b" data: y\nDATA: z\ndata: x", (None, b"x")),
        (b"\xef\xbb\xbfdata: x", (None, b"x")),
    ],
)
def test_fields(block: bytes, event: tuple[str | None, bytes]) -> None:
    """Fields are read as the specification says."""
    assert said(block + b"\n\n") == [event]


@pytest.mark.parametrize("block", [b": ping\n\n", b"\n", b"id: 1\n\n", b"retry: 5\r\n\r\n"])
def test_what_is_no_event(block: bytes) -> None:
    """Comments, blank lines, and fields without data are pieces that are passed on."""
    events, pending = decoded(block + b"data: x\n\n")
    assert [event.is_event for event in events] == [False, True]
    assert events[0].raw == block
    assert pending == b""


def test_a_byte_order_mark_within_the_stream() -> None:
    """Only the first one of a stream is none of its text."""
    mark = b"\xef\xbb\xbfdata: x\n\n"
    assert said(mark + mark) == [(None, b"x")]


def test_an_event_without_its_blank_line() -> None:
    """It is pending, and an event if the stream ends there."""
    decoder = SseDecoder()
    assert [event.data for event in decoder.feed(b"data: 1\n\ndata: 2\n")] == [b"1"]
    assert decoder.pending == b"data: 2\n"
    assert decoder.end() == [StreamEvent(b"data: 2\n", None, b"2", missing_end=b"\n")]
    assert decoder.pending == b""


@pytest.mark.parametrize(
    ("left", "event"),
    [
        (b"data: x", (None, b"x")),
        (b"data: x\r", (None, b"x")),
        (b"data: x\r\n", (None, b"x")),
        (b"data: x\r\n\r", (None, b"x")),
        (b"data", (None, b"")),
        (b"event: a", ("a", b"")),
        (b"event: a\rdata: x\rdata: y", ("a", b"x\ny")),
        (b"\xef\xbb\xbfdata: x", (None, b"x")),
        (b"dat", None),
        (b": comment", None),
        (b"id: 1\n", None),
        (b"\r", None),
    ],
)
def test_what_is_left_at_the_end(left: bytes, event: tuple[str | None, bytes] | None) -> None:
    """It is one piece, and an event if it says anything; with what it lacks it is a whole one."""
    decoder = SseDecoder()
    assert decoder.feed(left) == []
    [last] = decoder.end()
    assert last.raw == left
    assert ((last.name, last.data) if last.is_event else None) == event
    assert said(left + last.missing_end) == ([event] if event else [])


@pytest.mark.parametrize("stream", [b"", b"data: 1\n\n", b"data: 1\r\r", b": c\n\n", b"\n"])
def test_nothing_is_left_of_a_whole_stream(stream: bytes) -> None:
    """Its end says nothing new."""
    decoder = SseDecoder()
    decoder.feed(stream)
    assert decoder.end() == []


# When an event is there


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"], ids=["LF", "CRLF", "CR"])
def test_an_event_is_there_with_its_last_byte(end: bytes) -> None:
    """Not one byte earlier, and not later, so that a stream keeps its times."""
    decoder = SseDecoder()
    raw = b"event: a\ndata: 1".replace(b"\n", end[: len(end) // 2]) + end
    for number in range(len(raw) - 1):
        assert decoder.feed(raw[number : number + 1]) == []
        assert decoder.pending == raw[: number + 1]
    assert decoder.feed(raw[-1:]) == [StreamEvent(raw, "a", b"1")]
    assert decoder.pending == b""


def test_half_a_crlf_is_held() -> None:
    """Its LF belongs to the event that it ends, and does not stand before the next."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: 1\r\n\r") == []
    assert [event.raw for event in decoder.feed(b"\ndata: 2")] == [b"data: 1\r\n\r\n"]


# Whatever the cuts

LINES = st.sampled_from(
    [b"", b"", b"data: {}", b"data", b"event: ping", b": c", b"id: 1", b"x", "data: é✓😀".encode()]
) | st.binary(max_size=6)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=12).map(b"".join),
).map(b"".join) | st.binary(max_size=40)


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    """Draw a stream in pieces, some of them empty."""
    stream = draw(STREAMS)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(cut_streams())
def test_cuts_change_nothing(pieces: list[bytes]) -> None:
    """A stream in pieces is the same events as the whole, and the same bytes come out again."""
    stream = b"".join(pieces)
    whole, cut = decoded(stream), decoded(*pieces)
    assert cut == whole
    assert b"".join(event.raw for event in cut[0]) + cut[1] == stream
    assert decoded(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    assert ended(*pieces) == ended(stream)
    assert b"".join(event.raw for event in ended(*pieces)) == stream


def reference(stream: bytes) -> list[tuple[str | None, bytes]]:
    """Read a stream as the specification words it, line by line, whole."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[tuple[str | None, bytes]] = []
    name: bytes | None = None
    data: list[bytes] = []
    for line in text.split(b"\n")[:-1]:
        if line == b"":
            if name is not None or data:
                events.append((name.decode(errors="replace") if name is not None else None,
                               b"\n".join(data)))  # fmt: skip
            name, data = None, []
        key, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if key == b"data":
            data.append(value)
        if key == b"event":
            name = value
    return events


@given(STREAMS)
def test_events_are_those_of_the_specification(stream: bytes) -> None:
    """Another reader, that knows the whole stream, finds the same events."""
    # A CR at the very end is no end of line yet: the byte after it says which one it is.
    more = stream + b"\n\nx"
    assert said(more) == reference(more)
    found = [(event.name, event.data) for event in ended(stream) if event.is_event]
    assert found == reference(stream + b"\n\n")


@given(
    st.none() | st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1),
    st.binary(),
    st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]),
)
def test_encoding_and_decoding(name: str | None, data: bytes, separator: bytes) -> None:
    """What was encoded is one event that says the same; ends of lines become LF."""
    raw = encode(name, data, separator)
    [event] = decoded(raw)[0]
    assert event.raw == raw
    # The decoder takes one space away, which the encoder put there.
    assert event.name == name
    assert event.data == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def test_encoded_events() -> None:
    """As APIs write them."""
    assert encode("ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert encode(None, b"1\n2", b"\r\n\r\n") == b"data: 1\r\ndata: 2\r\n\r\n"
    assert comment("hm") == b": hm\n\n"


# The limit


def test_an_event_as_large_as_the_limit() -> None:
    """It is an event."""
    events, pending = decoded(b"data: 1\n", b"\n", event_bytes=9)
    assert [event.data for event in events] == [b"1"]
    assert pending == b""


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: 1\n\ndata: 12\n\ndata: 3\n\n"],
        [b"data: 1\n\ndata: 12\n", b"\n", b"data: 3\n\n"],
        [b"data: 1\n\n", b"data: 12", b"\n", b"\ndata: 3\n\n"],
    ],
)
def test_beyond_the_limit(pieces: list[bytes]) -> None:
    """The decoder gives up: no more events, nothing pending, and every byte is handed on."""
    decoder = SseDecoder(event_bytes=9)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert [event.data for event in events if event.is_event] == [b"1"]
    assert b"".join(event.raw for event in events) == b"".join(pieces)
    assert decoder.pending == b""
    assert decoder.feed(b"data: 4\n\n") == [StreamEvent(b"data: 4\n\n", is_event=False)]
    assert decoder.feed(b"") == []
    assert decoder.end() == []


@given(cut_streams(), st.integers(1, 30))
def test_the_limit_and_cuts(pieces: list[bytes], event_bytes: int) -> None:
    """Cuts do not change what is an event before the limit, and no byte is ever lost."""
    stream = b"".join(pieces)
    cut, pending = decoded(*pieces, event_bytes=event_bytes)
    whole, _ = decoded(stream, event_bytes=event_bytes)
    assert [event for event in cut if event.is_event] == [e for e in whole if e.is_event]
    assert b"".join(event.raw for event in cut) + pending == stream
    assert len(pending) <= event_bytes


def test_a_long_line_is_searched_once() -> None:
    """A megabyte that comes byte by byte costs no more for coming so."""
    decoder = SseDecoder()
    for _ in range(20_000):
        decoder.feed(b"x" * 50)
    assert len(decoder.pending) == 1_000_000
