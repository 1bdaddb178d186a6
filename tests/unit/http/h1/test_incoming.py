"""What h11 is given to read: bounded by one rule, mended where a proxy must, and as it was sent."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from faultinject.errors import ClientProtocolError, UpstreamError
from faultinject.http.h1 import incoming, plain
from faultinject.http.h1.connection import ClientConnection, UpstreamConnection
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from tests.support.script import ScriptedPeer
from tests.support.steps import CountedPattern

LIMIT = 1000
ASK = RequestHead(b"GET", b"/", ((b"Host", b"h"),))
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


async def request_parts(*pieces: bytes) -> list[Part]:
    """Return the parts of a request that comes in pieces."""
    peer = ScriptedPeer(pieces[0])
    client = ClientConnection(peer.stream, head_bytes=LIMIT)
    await client.read_more()
    for piece in pieces[1:]:
        head = client.buffered_request()
        assert head is None, "it came before its end"
        peer.says(piece)
        await client.read_more()
    parts = client.buffered_parts()
    while not isinstance(parts[-1], End):
        parts += await client.receive()
    return parts


async def response_parts(*pieces: bytes) -> list[Part]:
    """Return the parts of an answer that comes in pieces."""
    peer = ScriptedPeer()
    upstream = UpstreamConnection(peer.stream, head_bytes=LIMIT)
    await upstream.send(ASK, End())
    parts: list[Part] = []
    for piece in pieces:
        peer.says(piece)
        await upstream.read_more()
        parts += upstream.buffered_parts()
    while not (parts and isinstance(parts[-1], End)):
        parts += await upstream.receive()
    return parts


# One limit


def padded(start: bytes, size: int, end: bytes = b"\r\n\r\n") -> bytes:
    """Return a head of that size."""
    return start + b"A: " + b"a" * (size - len(start) - 3 - len(end)) + end


@pytest.mark.parametrize("extra", [b"", b"B: \xff\r\n"], ids=["plain", "by h11"])
@pytest.mark.parametrize("pieces", [1, 2, 5])
async def test_a_head_may_be_just_as_long_as_the_limit(extra: bytes, pieces: int) -> None:
    """In one piece or in many, and however it is read."""
    head = padded(b"GET / HTTP/1.1\r\nHost: h\r\n" + extra, LIMIT)
    cuts = range(0, LIMIT, LIMIT // pieces)
    assert len(await request_parts(*(head[at : at + LIMIT // pieces] for at in cuts))) == 2
    answer = padded(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + extra, LIMIT)
    assert len(await response_parts(*(answer[at : at + LIMIT // pieces] for at in cuts))) == 2


@pytest.mark.parametrize("extra", [b"", b"B: \xff\r\n"], ids=["plain", "by h11"])
@pytest.mark.parametrize("pieces", [1, 2, 5])
async def test_a_head_above_the_limit_is_refused(extra: bytes, pieces: int) -> None:
    """By one byte: a client gets 431, and an answer becomes a 502."""
    head = padded(b"GET / HTTP/1.1\r\nHost: h\r\n" + extra, LIMIT + 1)
    cuts = range(0, LIMIT + 1, LIMIT // pieces + 1)
    with pytest.raises(ClientProtocolError, match="longer than 1000 bytes") as caught:
        await request_parts(*(head[at : at + LIMIT // pieces + 1] for at in cuts))
    assert caught.value.status == 431
    answer = padded(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + extra, LIMIT + 1)
    with pytest.raises(UpstreamError, match="longer than 1000 bytes") as failed:
        await response_parts(*(answer[at : at + LIMIT // pieces + 1] for at in cuts))
    assert failed.value.status == 502


@pytest.mark.parametrize(
    "rest", [padded(b"0\r\n", 1100), padded(b"0\r\n", 1100, b""), b"1;" + b"a" * 1000, b"1" * 1001]
)
async def test_trailers_and_a_chunks_line_are_held_to_the_same_limit(rest: bytes) -> None:
    """Whole or not."""
    with pytest.raises(ClientProtocolError) as caught:
        await request_parts(b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + rest)
    assert caught.value.status == 431
    with pytest.raises(UpstreamError, match="longer than"):
        await response_parts(b"HTTP/1.1 200 OK\r\n" + CHUNKED + rest)


class Searched:
    """Stands for a pattern, and counts the bytes that it is given to look at."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self.bytes = 0

    def search(self, data: bytearray, start: int) -> Any:
        """Search from there on."""
        self.bytes += len(data) - start
        return self._pattern.search(data, start)

    def match(self, data: bytearray) -> Any:
        """Match at the start."""
        self.bytes += len(data)
        return self._pattern.match(data)


async def test_a_head_that_drips_costs_no_more_than_it_is_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not looked through anew for each of its pieces."""
    searched = Searched(incoming._END)
    monkeypatch.setattr(incoming, "_END", searched)
    read = Searched(plain._REQUEST)
    monkeypatch.setattr(plain, "_REQUEST", read)
    peer = ScriptedPeer()
    client = ClientConnection(peer.stream, head_bytes=10_000_000)
    peer.says(start := b"GET / HTTP/1.1\r\nHost: h\r\nA: ")
    for _ in range(200):
        peer.says(b"a" * 1000)
        await client.read_more()
        assert client.buffered_request() is None
    size = len(start) + 200 * 1000
    assert size <= searched.bytes <= size + 200 * 2  # an end may be two bytes in
    assert read.bytes < 2000  # the first piece shows that this is not how to read it


# Mended


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t  "])
async def test_blanks_before_a_colon_are_removed_from_an_answer(blank: bytes) -> None:
    """RFC 9112 section 5.1; in a head and in trailers, whatever the field is."""
    head, body, end = await response_parts(
        b"HTTP/1.1 200 O : K\r\nX-Frame%b: deny : x\r\nTransfer-Encoding%b: chunked\r\n\r\n"
        b"2\r\nA \r\n0\r\nX-Sum%b: 1\r\n\r\n" % (blank, blank, blank)
    )
    fields = ((b"X-Frame", b"deny : x"), (b"Transfer-Encoding", b"chunked"))
    assert head == ResponseHead(200, b"O : K", fields)
    assert (body, end) == (b"A ", End(((b"X-Sum", b"1"),)))


@pytest.mark.parametrize("blanks", [1, 20, 100])
async def test_many_blanks_before_no_colon_cost_no_more_than_they_are_long(
    monkeypatch: pytest.MonkeyPatch, blanks: int
) -> None:
    """None of them is a new beginning."""
    pattern = CountedPattern(incoming._SPACE_BEFORE_COLON)
    monkeypatch.setattr(incoming, "_SPACE_BEFORE_COLON", pattern)
    peer = ScriptedPeer()
    upstream = UpstreamConnection(peer.stream, head_bytes=1_000)
    await upstream.send(ASK, End())
    head = b"HTTP/1.1 200 OK\r\nB : b\r\nA" + b" " * blanks + b"x\r\n\r\n"
    peer.says(head)
    with pytest.raises(UpstreamError, match="a header field is malformed"):
        await upstream.receive()
    assert 0 < pattern.steps <= 2 * len(head)


@pytest.mark.parametrize(
    "line", [b"2 \r\n", b"2 ;a\r\n", b"2\t; a=b \r\n", b"0002 ;;\r\n", b"2;\r\n"]
)
async def test_blanks_in_a_chunks_line_are_read(line: bytes) -> None:
    """RFC 9112 section 7.1.1."""
    rest = CHUNKED + line + b"hi\r\n0 \r\n\r\n"
    assert (await request_parts(b"POST / HTTP/1.1\r\nHost: h\r\n" + rest))[1:] == [b"hi", End()]
    assert (await response_parts(b"HTTP/1.1 200 OK\r\n" + rest))[1:] == [b"hi", End()]


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\nhi\r\n",
        b" 2\r\nhi\r\n",
        b"\r\n",
        b";a\r\n",
        b"2 2\r\n",
        b"0x2\r\n",
        b"+2\r\n",
        b"2\r\nhi!\r\n",
        b"2\r\nhi\n",
        b"2;" + b" " * 900 + b"\n",
        b"f" * 21 + b"\r\n",
    ],
)
async def test_what_is_no_chunk_gets_an_answer(chunks: bytes) -> None:
    """What follows is not taken for another line."""
    rest = CHUNKED + chunks + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    peer = ScriptedPeer(b"POST / HTTP/1.1\r\nHost: h\r\n" + rest)
    client = ClientConnection(peer.stream, head_bytes=LIMIT)
    assert await client.receive_request() is not None

    async def read_on() -> None:
        while True:
            assert await client.receive() == [b"hi"]

    for _ in range(2):
        with pytest.raises(ClientProtocolError, match="chunk") as caught:
            await read_on()
        assert caught.value.status == 400
    assert not client.request_ended
    assert not client.next_cycle()


# Control characters


@pytest.mark.parametrize("number", [*range(9), 0x0B, 0x0C, 0x0D, *range(0x0E, 0x20), 0x7F])
async def test_a_control_character_in_a_request_is_refused(number: int) -> None:
    """RFC 9110 section 5.5."""
    for place in (b"A: b%cc\r\n", b"A: %c\r\n", b"A%c: b\r\n"):
        with pytest.raises(ClientProtocolError, match="control character") as caught:
            await request_parts(b"GET / HTTP/1.1\r\nHost: h\r\n" + place % number + b"\r\n")
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("number", "passes"), [(0, False), (0x0B, False), (0x0D, False), (1, True)]
)
async def test_of_an_answers_only_the_harmful_are_refused(number: int, passes: bool) -> None:
    """The others pass, as they do without a proxy."""
    answer = b"HTTP/1.1 200 OK\r\nA: b%cc\r\nContent-Length: 0\r\n\r\n" % number
    if passes:
        head = (await response_parts(answer))[0]
        assert isinstance(head, ResponseHead)
        assert head.headers[0] == (b"A", b"b%cc" % number)
    else:
        with pytest.raises(UpstreamError, match="control character"):
            await response_parts(answer)


# As it was sent


@pytest.mark.parametrize("odd", [b"", b"X-Odd: \xff\r\n"], ids=["plain", "by h11"])
@pytest.mark.parametrize("line", [b"A:b", b"A:  b ", b"A:\tb", b"A:", b"A: ", b"A:   ", b"A: b\t"])
async def test_blanks_around_a_value_stay(line: bytes, odd: bytes) -> None:
    """And the value is the same without them to all who look at it."""
    fields = line + b"\r\nContent-Length:0\r\n" + odd + b"\r\n"
    head = (await request_parts(b"GET / HTTP/1.1\r\nHost: h\r\n" + fields))[0]
    assert isinstance(head, RequestHead)
    assert head.headers[1] == (b"A", line[2:].strip())
    assert head.encode() == b"GET / HTTP/1.1\r\nHost: h\r\n" + fields
    answer = (await response_parts(b"HTTP/1.1 200 OK\r\n" + fields))[0]
    assert isinstance(answer, ResponseHead)
    assert answer.encode() == b"HTTP/1.1 200 OK\r\n" + fields


async def test_answers_that_differ_in_blanks_alone_are_each_sent_as_they_came() -> None:
    """What is made of one is not kept for the other."""
    for fields in (b"A: b\r\nContent-Length: 0\r\n\r\n", b"A:b\r\nContent-Length: 0\r\n\r\n") * 2:
        parts = await response_parts(b"HTTP/1.1 200 OK\r\n" + fields)
        peer = ScriptedPeer(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client = ClientConnection(peer.stream, head_bytes=LIMIT)
        await client.receive_request()
        client.buffered_parts()
        await client.send(*parts)
        assert peer.told() == b"HTTP/1.1 200 OK\r\n" + fields


async def test_trailers_and_the_case_of_chunked_stay() -> None:
    """h11 itself writes the one in small letters."""
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding:Chunked\r\n\r\n"
    head, end = await response_parts(said + b"0\r\nX-Sum:1 \r\n\r\n")
    assert isinstance(head, ResponseHead)
    assert head.encode() == said
    peer = ScriptedPeer()
    upstream = UpstreamConnection(peer.stream, head_bytes=LIMIT)
    await upstream.send(RequestHead(b"GET", b"/", ((b"Host", b"h"), *head.headers)), end)
    assert peer.told().endswith(b"0\r\nX-Sum:1 \r\n\r\n")


async def test_folded_lines_and_equal_lengths_become_one() -> None:
    """There is no one line for each then, and the usual space stands in all of them."""
    fields = b"A:b\r\n c\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"
    head = (await request_parts(b"GET / HTTP/1.1\r\nHost: h\r\n" + fields))[0]
    assert isinstance(head, RequestHead)
    assert head.headers[1:] == ((b"A", b"b c"), (b"Content-Length", b"0"))
    listed = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n"
    head = (await request_parts(listed))[0]
    assert isinstance(head, RequestHead)
    assert head.encode() == listed.replace(b"0, 0", b"0")


async def test_a_next_request_waits_though_its_client_has_ended() -> None:
    """It is no part of the one in hand, and is served in its turn."""
    peer = ScriptedPeer(b"POST /1 HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"0\r\n\r\n")
    client = ClientConnection(peer.stream, head_bytes=LIMIT)
    assert await client.receive_request() is not None
    assert await client.receive() == [End()]
    peer.says(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert await client.read_more()
    assert client.buffered_parts() == []
    peer.ends()
    assert not await client.read_more()
    assert client.buffered_parts() == []
    await client.send(ResponseHead(200, b"OK", ((b"Content-Length", b"0"),)), End())
    assert client.next_cycle()
    head = await client.receive_request()
    assert head is not None
    assert head.target == b"/2"


async def test_trailers_may_end_in_a_bare_line_feed() -> None:
    """As the lines of a head may (RFC 9112 section 2.2)."""
    rest = CHUNKED + b"0\r\n\n"
    assert (await response_parts(b"HTTP/1.1 200 OK\r\n" + rest))[1:] == [End()]


async def test_each_line_has_its_own_time(autojump_clock: MockClock) -> None:
    """Though the wait for one was broken off, and its end was read in another way."""
    peer = ScriptedPeer(b"POST / HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"1")
    client = ClientConnection(peer.stream, head_bytes=LIMIT, head_seconds=30)
    assert await client.receive_request() is not None
    with trio.move_on_after(20):
        await client.receive()
    peer.says(b"\r\na\r\n")
    assert await client.read_more()
    assert client.buffered_parts() == [b"a"]
    peer.says(b"1")
    with trio.move_on_after(25) as waited:
        await client.receive()
    assert waited.cancelled_caught
    with pytest.raises(ClientProtocolError, match="within 30 s"):
        await client.receive()
    assert trio.current_time() == 50
