"""Every framing: no byte is lost, and how a stream is cut makes no difference to its events."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.framing import Framing, StreamEvent, aws_event_stream, ndjson
from faultinject.providers.framing.aws_event_stream import AWS_EVENT_STREAM, AwsEventDecoder
from faultinject.providers.framing.json_array import JSON_ARRAY, JsonArrayDecoder
from faultinject.providers.framing.ndjson import NDJSON, NdjsonDecoder
from faultinject.providers.framing.sse import SSE, encode

EVERY = [SSE, NDJSON, JSON_ARRAY, AWS_EVENT_STREAM]
every_framing = pytest.mark.parametrize("framing", EVERY, ids=lambda framing: framing.name)
OBJECTS = st.dictionaries(st.text(max_size=4), st.text() | st.lists(st.integers()), max_size=3)


def compact(document: Any) -> bytes:
    """Return JSON in one line."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def written(framing: Framing, documents: list[Any]) -> bytes:
    """Return a stream of documents."""
    values = [compact(document) for document in documents]
    if framing is SSE:
        return b"".join([encode("x", value) for value in values])
    if framing is NDJSON:
        return b"".join([ndjson.encode(value) for value in values])
    if framing is JSON_ARRAY:
        return b"[" + b"\r\n,\r\n".join(values) + b"\r\n]\r\n"
    headers = ((":event-type", "x"), (":content-type", "application/json"))
    return b"".join([aws_event_stream.encode(headers, value) for value in values])


def ended(framing: Framing, *pieces: bytes) -> list[StreamEvent]:
    """Return all pieces of a stream that ends."""
    decoder = framing.decoder()
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.end()]


def cut(stream: bytes, data: st.DataObject) -> list[bytes]:
    """Return a stream in pieces."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@every_framing
@given(documents=st.lists(OBJECTS, max_size=5), data=st.data())
def test_events_are_what_was_written(
    framing: Framing, documents: list[Any], data: st.DataObject
) -> None:
    """However the stream is cut."""
    stream = written(framing, documents)
    pieces = ended(framing, *cut(stream, data))
    assert b"".join([piece.raw for piece in pieces]) == stream
    read = [json.loads(piece.data) for piece in pieces if piece.is_event]
    assert read == [json.loads(compact(document)) for document in documents]


@every_framing
@given(stream=st.binary(max_size=60) | st.text('[]{}\\"\n, x').map(str.encode), data=st.data())
def test_no_byte_is_lost(framing: Framing, stream: bytes, data: st.DataObject) -> None:
    """Whatever comes, what was handed on and what is pending is what came."""
    decoder, fed, out = framing.decoder(), b"", b""
    for piece in cut(stream, data):
        fed += piece
        out += b"".join([each.raw for each in decoder.feed(piece)])
        assert out + decoder.pending == fed
    assert out + b"".join([each.raw for each in decoder.end()]) == stream


@every_framing
@given(stream=st.text('[]{}\\"\n, x').map(str.encode), data=st.data())
def test_cuts_make_no_difference(framing: Framing, stream: bytes, data: st.DataObject) -> None:
    """The same events come, if the framing was not given up."""
    decoder = framing.decoder()
    whole = [*decoder.feed(stream), *decoder.end()]
    if _still_waits(framing, stream):
        assert ended(framing, *cut(stream, data)) == whole


def _still_waits(framing: Framing, stream: bytes) -> bool:
    """Return True if an event may still come behind a stream."""
    decoder = framing.decoder()
    decoder.feed(stream)
    decoder.feed(b"{")
    return decoder.pending != b""


@every_framing
@given(text=st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])))
def test_data_can_be_changed_in_its_place(framing: Framing, text: str) -> None:
    """Its spans are where the data is, and a changed event is an event again."""
    first = ended(framing, written(framing, [{"text": text}]))[0]
    spans = framing.data_spans(first.raw)
    assert b"".join([first.raw[a:b] for a, b in spans]).strip() == first.data
    changed = bytearray(first.raw)
    changed[first.raw.index(b":", spans[0][0])] = ord("~")
    [event] = ended(framing, framing.sealed(bytes(changed)))
    assert event.is_event
    assert event.data == first.data.replace(b":", b"~")


# Limits


@pytest.mark.parametrize("decoder", [NdjsonDecoder(10), JsonArrayDecoder(10)])
def test_an_event_that_is_too_long(decoder: NdjsonDecoder | JsonArrayDecoder) -> None:
    """It passes, and nothing behind it is an event."""
    assert [each.is_event for each in decoder.feed(b'{"a":1}\n')] == [True]
    decoder.feed(b'\n{"long":')
    assert [each.raw for each in decoder.feed(b'"12345"}\n{}\n')][-1].endswith(b"{}\n")
    assert [(each.raw, each.is_event) for each in decoder.feed(b"{}\n")] == [(b"{}\n", False)]
    assert decoder.end() == []


@pytest.mark.parametrize("decoder", [NdjsonDecoder(10), JsonArrayDecoder(10)])
def test_a_long_event_in_one_piece(decoder: NdjsonDecoder | JsonArrayDecoder) -> None:
    """The same, if it comes at once."""
    pieces = decoder.feed(b'{"a":"123456789"}\n{}\n')
    assert [(each.raw, each.is_event) for each in pieces] == [(b'{"a":"123456789"}\n{}\n', False)]
    assert [each.is_event for each in decoder.feed(b"{}\n")] == [False]


def test_an_array_may_be_read_from_its_middle() -> None:
    """As a fault does that begins at a point within a stream."""
    pieces = ended(JSON_ARRAY, b',{"a":[1]},{"b":2}]')
    assert [(each.data, each.is_event) for each in pieces] == [
        (b'{"a":[1]}', True),
        (b'{"b":2}', True),
        (b"]", False),
    ]


def test_half_an_array_is_no_event() -> None:
    """What has no end is passed on at the stream's end."""
    pieces = ended(JSON_ARRAY, b'[{"a":1},{"b"')
    assert [(each.raw, each.is_event) for each in pieces] == [
        (b'[{"a":1}', True),
        (b',{"b"', False),
    ]


def test_a_line_without_its_end_is_an_event() -> None:
    """Readers take it for one; its end is missing."""
    [event] = ended(NDJSON, b'{"done":true}')
    assert (event.is_event, event.missing_end) == (True, b"\n")


# AWS

EXCEPTION = bytes.fromhex(
    "0000008e00000061514180540f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074"
    "696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74"
    "797065070009657863657074696f6e7b226d657373616765223a22546f6f206d616e7920746f6b656e73227dc81b1e"
    "c1"
)
"""A whole frame as Amazon Bedrock sends it, 142 bytes."""


def test_a_frame_as_bedrock_sends_it() -> None:
    """It is read, and written to the byte."""
    [event] = ended(AWS_EVENT_STREAM, EXCEPTION)
    assert (event.name, event.json) == ("throttlingException", {"message": "Too many tokens"})
    headers = (
        (":exception-type", "throttlingException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    )
    assert aws_event_stream.encode(headers, event.data) == EXCEPTION


def test_an_error_frame_has_no_type() -> None:
    """One that is not modelled is called so."""
    frame = aws_event_stream.encode(((":message-type", "error"), (":error-code", "x")), b"")
    assert [event.name for event in ended(AWS_EVENT_STREAM, frame)] == ["error"]


@pytest.mark.parametrize(
    "headers",
    [
        b"\x01a\x00",  # true
        b"\x01a\x04abcd",
        b"\x01a\x06\x00\x01x",
        b"\x01a\x09" + b"u" * 16,
        b"",
    ],
)
def test_headers_that_are_no_texts_are_passed_over(headers: bytes) -> None:
    """Their sizes are known by their types."""
    assert aws_event_stream.header_texts(headers + b"\x01t\x07\x00\x01x") == {"t": "x"}


@pytest.mark.parametrize(
    "headers", [b"\x05a", b"\x01a", b"\x01a\x20x", b"\x01a\x07\x00\x09x", b"\x01a\x08x"]
)
def test_headers_that_cannot_be_read(headers: bytes) -> None:
    """Then there are none, and a frame with them is no event."""
    assert aws_event_stream.header_texts(headers) is None


def test_a_wrong_checksum_is_no_event() -> None:
    """At a frame's end only this frame is lost; what follows is known."""
    wrong = aws_event_stream.with_wrong_checksum(EXCEPTION)
    pieces = ended(AWS_EVENT_STREAM, wrong, EXCEPTION)
    assert [(each.raw, each.is_event) for each in pieces] == [(wrong, False), (EXCEPTION, True)]


@pytest.mark.parametrize(
    "prelude",
    [
        b"no frame at all",
        b"\xff" * 12,
        EXCEPTION[:8] + b"\0\0\0\0",
        aws_event_stream.prelude(aws_event_stream.MOST_BYTES + 1, 0),
        aws_event_stream.prelude(15, 0),
        aws_event_stream.prelude(100, 90),
        aws_event_stream.prelude(500_000, 200_000),
    ],
)
def test_what_begins_no_frame_is_passed_on(prelude: bytes) -> None:
    """At once, for it is not known where a frame would begin; nothing is waited for."""
    decoder = AwsEventDecoder()
    assert b"".join([each.raw for each in decoder.feed(prelude)]) == prelude
    assert [each.is_event for each in decoder.feed(EXCEPTION)] == [False]
    assert decoder.end() == []


def test_the_longest_frame_is_waited_for() -> None:
    """What clients take is no reason to give up."""
    decoder = AwsEventDecoder()
    assert decoder.feed(aws_event_stream.prelude(aws_event_stream.MOST_BYTES, 131_072)) == []
    assert decoder.pending


@pytest.mark.parametrize(
    ("header", "shown"), [(("n" * 256, "x"), "n" * 40), (("n", "x" * 65_536), "n")]
)
def test_headers_too_long_to_be_written(header: tuple[str, str], shown: str) -> None:
    """Their lengths have one and two bytes."""
    with pytest.raises(ValueError, match=f"^the header b'{shown}' of an event is too long$"):
        aws_event_stream.encode((header,), b"")
    longest = [(name[:255], text[:65_535]) for name, text in [header]]
    assert aws_event_stream.encode(longest, b"")


# Bad input


def of_botocore(*pieces: bytes) -> list[bytes]:
    """Return the payloads that Amazon's own reader gets, until it raises."""
    reader, found = EventStreamBuffer(), []
    for piece in pieces:
        reader.add_data(piece)
        try:
            found += [message.payload for message in reader]
        except (ParserError, IndexError, UnicodeDecodeError, struct.error):
            break
    return found


@given(documents=st.lists(OBJECTS, max_size=4), data=st.data())
def test_frames_are_those_of_amazons_reader(documents: list[Any], data: st.DataObject) -> None:
    """Right ones in any pieces; and if bytes are changed or missing, those before them."""
    stream = written(AWS_EVENT_STREAM, documents)
    pieces = cut(stream, data)
    read = [piece.data for piece in ended(AWS_EVENT_STREAM, *pieces) if piece.is_event]
    assert of_botocore(*pieces) == read == [compact(document) for document in documents]
    if not stream:
        return
    spoiled = bytearray(stream)
    at = data.draw(st.integers(0, len(stream) - 1))
    spoiled[at] ^= data.draw(st.integers(1, 255))
    good = of_botocore(bytes(spoiled))
    read = [piece.data for piece in ended(AWS_EVENT_STREAM, bytes(spoiled)) if piece.is_event]
    assert read[: len(good)] == good
    assert all(payload in map(compact, documents) for payload in read)


@given(
    total=st.integers(0, 2**32 - 1),
    headers=st.integers(0, 2**32 - 1),
    rest=st.binary(max_size=40),
    data=st.data(),
)
def test_any_lengths(total: int, headers: int, rest: bytes, data: st.DataObject) -> None:
    """However long a frame claims to be, no byte is lost, and no impossible frame is waited for."""
    stream = aws_event_stream.prelude(total, headers) + rest
    decoder = AwsEventDecoder()
    out = b"".join(each.raw for piece in cut(stream, data) for each in decoder.feed(piece))
    assert out + decoder.pending == stream
    waits = decoder.pending and len(stream) < total
    assert not waits or total <= aws_event_stream.MOST_BYTES


def test_a_frame_above_the_limit_is_not_kept() -> None:
    """One byte more than clients take, and it passes as it comes."""
    decoder, piece = AwsEventDecoder(), bytes(64 * 1024)
    decoder.feed(aws_event_stream.prelude(aws_event_stream.MOST_BYTES + 1, 0))
    for _ in range(16):
        assert [each.raw for each in decoder.feed(piece)] == [piece]
        assert decoder.pending == b""


@pytest.mark.parametrize("element", [b'{"a":[1,2,{"b":"]"}]},', b"[],", b'"x",', b"1,"])
def test_an_array_without_end_takes_no_room(element: bytes) -> None:
    """Its elements pass, whatever they are; what is kept is less than an event may have."""
    decoder = JsonArrayDecoder(1000)
    passed = sum(len(each.raw) for each in decoder.feed(b"["))
    for _ in range(300):
        passed += sum(len(each.raw) for each in decoder.feed(element * 3))
        assert len(decoder.pending) <= 1000
    assert passed + len(decoder.pending) == 1 + len(element) * 900


@pytest.mark.parametrize("begin", [b'{"a":"', b"{" * 3, b"[" * 3, b'{"a":' * 3])
def test_an_element_without_end_is_not_waited_for(begin: bytes) -> None:
    """Nor is a text in it, or brackets in brackets."""
    decoder = JsonArrayDecoder(1000)
    decoder.feed(b"[")
    for _ in range(1000):
        decoder.feed(begin)
        assert len(decoder.pending) <= 1000 + len(begin)
    assert decoder.pending == b""
