"""Plain messages: whole, in pieces, beside h11; what is hostile costs no more than its size."""

from __future__ import annotations

from collections.abc import Callable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.http.h1 import plain
from faultinject.http.h1.incoming import MessageError
from faultinject.http.h1.machine import Machine
from faultinject.http.h1.plain import PlainHead, read_request, read_response, write_response
from faultinject.http.h1.roles import ClientMachine, ServerMachine
from faultinject.http.message import (
    End,
    Headers,
    Part,
    RequestHead,
    ResponseHead,
    SpacedValue,
)
from tests.support.steps import CountedPattern

HEAD_BYTES = 4096
CHUNKED: Headers = ((b"Transfer-Encoding", b"chunked"),)
pieces_of_a_body = st.lists(st.binary(min_size=1, max_size=9), max_size=4)


def length_of(*pieces: bytes) -> Headers:
    """Return the header that says how long a body is."""
    return ((b"Content-Length", b"%d" % sum(map(len, pieces))),)


def post(*pieces: bytes) -> RequestHead:
    """Return the head of a request with this body."""
    return RequestHead(b"POST", b"/", ((b"Host", b"h"), *length_of(*pieces)))


def parts_in(machine: Machine, data: bytes = b"") -> list[Part]:
    """Return what a machine makes of some bytes; pieces of a body that come together are one."""
    if data:
        machine.receive_data(data)
    parts: list[Part] = []
    while (part := machine.next_part()) is not None:
        parts.append(part)
    return parts


def body_in(parts: list[Part]) -> bytes:
    """Return the body within parts."""
    return b"".join(part for part in parts if isinstance(part, bytes))


def asked(data: bytes = post().encode()) -> ServerMachine:
    """Return the side that is asked, which has read these bytes of a request."""
    machine = ServerMachine(HEAD_BYTES)
    parts_in(machine, data)
    return machine


# In pieces


@given(pieces_of_a_body, pieces_of_a_body, st.booleans())
def test_a_pair_passes_in_pieces(
    question: list[bytes], answer: list[bytes], in_chunks: bool
) -> None:
    """Each written by itself and read by itself, one pair after the other."""
    asks, is_asked = ClientMachine(HEAD_BYTES), ServerMachine(HEAD_BYTES)
    head = ResponseHead(200, b"OK", CHUNKED if in_chunks else length_of(*answer))
    for _ in range(2):
        asking: list[Part] = [post(*question), *question, End()]
        answering: list[Part] = [head, *answer, End()]
        heard = [part for each in asking for part in parts_in(is_asked, asks.encode(each))]
        assert heard == asking
        told = [part for each in answering for part in parts_in(asks, is_asked.encode(each))]
        assert told == answering
        assert asks.body_bytes_sent == is_asked.body_bytes_received == len(body_in(asking))
        assert is_asked.body_bytes_sent == asks.body_bytes_received == len(body_in(answering))
        assert asks.next_cycle()
        assert is_asked.next_cycle()


@given(pieces_of_a_body, pieces_of_a_body, st.booleans(), st.integers(0, 4))
def test_an_answer_may_come_before_the_requests_end(
    question: list[bytes], answer: list[bytes], in_chunks: bool, early: int
) -> None:
    """The rest of the request still passes, and the next pair after it."""
    asks, is_asked = ClientMachine(HEAD_BYTES), ServerMachine(HEAD_BYTES)
    asking: list[Part] = [post(*question), *question, End()]
    heard = [part for each in asking[: early + 1] for part in parts_in(is_asked, asks.encode(each))]
    head = ResponseHead(413, b"Too Large", CHUNKED if in_chunks else length_of(*answer))
    told = parts_in(asks, is_asked.encode(head, *answer, End()))
    assert (told[0], body_in(told), told[-1]) == (head, b"".join(answer), End())
    heard += [
        part for each in asking[early + 1 :] for part in parts_in(is_asked, asks.encode(each))
    ]
    assert heard == asking
    assert asks.body_bytes_sent == is_asked.body_bytes_received == len(body_in(asking))
    assert is_asked.request_ended
    assert is_asked.response_started
    assert asks.next_cycle()
    assert is_asked.next_cycle()
    assert parts_in(is_asked, asks.encode(post(), End())) == [post(), End()]


def test_trailers_pass_behind_chunks_alone() -> None:
    """They have no place elsewhere."""
    end = End(((b"A", b"1"),))
    machine = asked()
    assert machine.encode(ResponseHead(200, b"OK", CHUNKED), b"a").endswith(b"\r\n\r\n1\r\na\r\n")
    assert machine.encode(end) == b"0\r\nA: 1\r\n\r\n"
    assert asked().encode(ResponseHead(200, b"OK", length_of(b"a")), b"a", end).endswith(b"\n\r\na")


# What must not leave


@pytest.mark.parametrize(
    "parts", [(b"ab", b"c"), (b"a", End()), (End(),), (b"abc", End()), (b"ab", End(), b"c")]
)
def test_a_body_that_is_not_as_long_as_its_head_says_does_not_leave(
    parts: tuple[Part, ...],
) -> None:
    """Nor with its head: what follows would be taken for another message."""
    head = ResponseHead(200, b"OK", length_of(b"ab"))
    machine = asked()
    machine.encode(head)
    with pytest.raises(h11.LocalProtocolError):
        machine.encode(*parts)
    with pytest.raises(h11.LocalProtocolError):
        asked().encode(head, *parts)
    client = ClientMachine(HEAD_BYTES)
    client.encode(post(b"ab"))
    with pytest.raises(h11.LocalProtocolError):
        client.encode(*parts)
    with pytest.raises(h11.LocalProtocolError):
        ClientMachine(HEAD_BYTES).encode(post(b"ab"), *parts)


def test_a_line_in_a_trailer_does_not_leave() -> None:
    """Whoever reads it would take it for another field."""
    machine = asked()
    machine.encode(ResponseHead(200, b"OK", CHUNKED), b"a")
    with pytest.raises(h11.LocalProtocolError):
        machine.encode(End(((b"A", b"1\r\nB: 2"),)))


# The ends


def test_a_peer_that_ends_within_a_plain_body_has_not_sent_it() -> None:
    """However much of it has come."""
    machine = asked(post(b"abc").encode() + b"ab")
    assert machine.within_message
    machine.receive_data(b"")
    with pytest.raises(MessageError):
        machine.next_part()
    assert not machine.request_ended


def test_what_follows_an_answer_unasked_is_no_answer() -> None:
    """It is not read, and the connection is not asked again."""
    machine = ClientMachine(HEAD_BYTES)
    machine.encode(post(), End())
    head = ResponseHead(200, b"OK", length_of())
    assert parts_in(machine, head.encode() + b"HTTP/1.1 200 OK\r\n\r\n") == [head, End()]
    assert machine.has_unread
    assert machine.next_cycle()
    assert not machine.idle


def test_a_request_under_way_is_not_over() -> None:
    """Until its end was written."""
    machine = ClientMachine(HEAD_BYTES)
    assert machine.cycle_ended
    machine.encode(post(b"ab"), b"ab")
    assert not machine.cycle_ended
    assert not machine.idle
    machine.encode(End())
    assert machine.cycle_ended


# What is hostile


@pytest.mark.parametrize(
    ("read", "name", "start"),
    [
        (read_request, "_REQUEST", b"GET / HTTP/1.1\r\nHost: a\r\n"),
        (read_response, "_RESPONSE", b"HTTP/1.1 200 OK\r\n"),
    ],
)
def test_a_field_of_blanks_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[bytes, int], PlainHead[RequestHead] | PlainHead[ResponseHead] | None],
    name: str,
    start: bytes,
) -> None:
    """What spoils a field at its end does not make each of its blanks a new beginning."""
    pattern = CountedPattern(getattr(plain, name))
    monkeypatch.setattr(plain, name, pattern)
    for blanks in (0, 20, 100):
        pattern.steps = 0
        spoilt = start + b"A:" + b" " * blanks + b"\x01\r\n\r\n"
        assert read(spoilt, 1000) is None
        assert 0 < pattern.steps <= 2 * len(spoilt)


# Beside h11


def test_nothing_follows_a_message_that_was_refused() -> None:
    """What stands behind it must not be read as a new message: asked again, it fails again."""
    machine = ServerMachine(HEAD_BYTES)
    long = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * HEAD_BYTES
    machine.receive_data(long + b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(MessageError) as first:
        machine.next_part()
    with pytest.raises(MessageError) as again:
        machine.next_part()
    assert again.value is first.value


def test_no_pair_follows_one_that_is_not_over() -> None:
    """Neither while the request goes on, nor before the answer has ended."""
    machine = ServerMachine(HEAD_BYTES)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert len(parts_in(machine, head)) == 1
    assert not machine.next_cycle()
    assert parts_in(machine, b"0\r\n\r\n")[-1] == End()
    assert not machine.next_cycle()
    machine.encode(ResponseHead(200, b"OK", length_of()), End())
    assert machine.next_cycle()


def test_no_pair_follows_one_that_was_not_taken_to_its_end() -> None:
    """The rest of a plain request that came whole is part of the pair."""
    machine = ServerMachine(HEAD_BYTES)
    machine.receive_data(post(b"body").encode() + b"body")
    for part in (post(b"body"), b"body"):
        assert machine.next_part() == part
        assert not machine.next_cycle()
    assert machine.next_part() == End()


@pytest.mark.parametrize(
    "lines",
    [
        b"User-Agent: a: b\r\n",
        b"A:1\r\n",
        b"A:  1\r\n",
        b"A: 1 \r\n",
        b"A: \t1\r\n",
        b"A:\r\n",
        b"Accept: a\r\nAccept: b\r\n",
    ],
)
def test_a_head_is_written_as_it_came(lines: bytes) -> None:
    """However its fields are written, and if a field is there twice."""
    data = b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n"
    read = read_request(data, HEAD_BYTES)
    assert read is not None
    name, _, value = lines.partition(b"\r\n")[0].partition(b":")
    assert read.head.headers[1] == (name, value.strip())
    assert read.head.find(name.lower()) == value.strip()
    assert read.head.encode() == data
    assert RequestHead(b"GET", b"/", read.head.headers).encode() == data


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Connection"])
def test_what_frames_it_is_there_once(name: bytes) -> None:
    """Else h11 decides."""
    value = {b"Host": b"h", b"Content-Length": b"0", b"Connection": b"keep-alive"}[name]
    lines = b"".join(b"%s: %s\r\n" % each for each in {b"Host": b"h", name: value}.items())
    assert read_request(b"GET / HTTP/1.1\r\n" + lines + b"\r\n", HEAD_BYTES) is not None
    lines += b"%s: %s\r\n" % (name, value)
    assert read_request(b"GET / HTTP/1.1\r\n" + lines + b"\r\n", HEAD_BYTES) is None


def test_spaces_of_a_response_are_not_taken_from_another() -> None:
    """Though the heads are equal to all who read them, each is written as it came."""
    written = []
    for rest in (b" b", b"  b ", b" b"):
        headers = ((b"A", SpacedValue.of(b"b", rest)), *length_of(b"body"))
        result = write_response(ResponseHead(200, b"OK", headers))
        assert result is not None
        written.append(result)
    end = b"\r\nContent-Length: 4\r\n\r\n"
    assert written == [
        (b"HTTP/1.1 200 OK\r\nA:" + rest + end, 4) for rest in (b" b", b"  b ", b" b")
    ]
