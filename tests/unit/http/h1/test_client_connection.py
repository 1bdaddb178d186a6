"""The connection to a client, as transcripts: what arrives, what must come out."""

from __future__ import annotations

from typing import Any

import h11
import pytest
import trio

from faultinject.errors import ClientGoneError, ClientProtocolError
from faultinject.http.h1.connection import ClientConnection
from faultinject.http.message import CONTINUE, End, Part, RequestHead, ResponseHead
from faultinject.net.memory_stream import memory_stream_pair
from tests.support.script import ScriptedPeer

OK = ResponseHead(200, b"OK", ((b"Content-Length", b"0"),))
CHUNKED_OK = ResponseHead(200, b"OK", ((b"Transfer-Encoding", b"chunked"),))
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def client_of(peer: ScriptedPeer, head_bytes: int = 1000) -> ClientConnection:
    return ClientConnection(peer.stream, head_bytes=head_bytes)


async def asked(request: bytes) -> tuple[ClientConnection, ScriptedPeer]:
    """Return a connection whose client has sent a whole request that was read."""
    peer = ScriptedPeer(request)
    client = client_of(peer)
    assert await client.receive_request()
    client.buffered_parts()
    return client, peer


async def read_all(client: ClientConnection) -> None:
    """Read a request to its end."""
    assert await client.receive_request()
    while not isinstance((await client.receive())[-1], End):
        pass


# Requests


async def test_a_request_head_keeps_order_case_and_blanks_within_values() -> None:
    """It comes out as it was sent, and would be sent on as the same bytes."""
    sent = (
        b"POST /v1/messages?x=%41 HTTP/1.1\r\nhOST: h\r\nX-B:  two  words \r\nX-a: 1\r\n"
        b"x-b: 3\r\nContent-Length: 0\r\n\r\n"
    )
    head = await client_of(ScriptedPeer(sent)).receive_request()
    assert head == RequestHead(
        b"POST",
        b"/v1/messages?x=%41",
        (
            (b"hOST", b"h"),
            (b"X-B", b"two  words"),
            (b"X-a", b"1"),
            (b"x-b", b"3"),
            (b"Content-Length", b"0"),
        ),
    )
    assert head.encode() == sent


@pytest.mark.parametrize(
    ("request_bytes", "parts"),
    [
        (GET, [End()]),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", [b"hello", End()]),
        (
            (
                b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 1\r\nx-b: 2\r\n\r\n"
            ),
            [b"hello", b" world", End(((b"X-Sum", b"1"), (b"x-b", b"2")))],
        ),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello",
            [b"hello", End()],
        ),
        (
            (
                b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n"
                b"\r\n1\r\na\r\n0\r\n\r\n"
            ),
            [b"a", End()],
        ),
        (b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", [b"hi", End()]),
    ],
    ids=["no body", "length", "chunks", "the same length thrice", "both framings", "HTTP/1.0"],
)
async def test_a_request_body_comes_in_parts(request_bytes: bytes, parts: list[Part]) -> None:
    """Chunks lose their wrapping, trailers are at the end, and the bytes are counted."""
    client = client_of(ScriptedPeer(request_bytes))
    await client.receive_request()
    assert not client.request_ended
    assert await client.receive() == parts
    assert client.request_ended
    assert client.body_bytes_received == sum(len(part) for part in parts if isinstance(part, bytes))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 1000, 431),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x00", 400),
        (b"\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused(request_bytes: bytes, status: int) -> None:
    """With the status that says why; and it can still be answered."""
    peer = ScriptedPeer(request_bytes)
    client = client_of(peer)
    with pytest.raises(ClientProtocolError) as caught:
        await client.receive_request()
    assert caught.value.status == status
    assert str(caught.value)
    assert not client.response_started
    await client.send(ResponseHead(status, b"No", ((b"Connection", b"close"),)), b"why", End())
    assert peer.told() == b"HTTP/1.1 %d No\r\nConnection: close\r\n\r\nwhy" % status
    assert not client.next_cycle()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key : secret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: 'secret\x00\r\n\r\n",
        b"GET /?key='secret' HTTP/1.1\x00\r\nHost: h\r\n\r\n",
    ],
)
async def test_what_is_wrong_is_said_without_what_was_sent(request_bytes: bytes) -> None:
    """A line that cannot be read may hold a key, and the words end up in the log."""
    with pytest.raises(
        ClientProtocolError,
        match=r"^(a header field is malformed|the head has a control character)$",
    ):
        await client_of(ScriptedPeer(request_bytes)).receive_request()


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
    ids=["head", "trailers"],
)
async def test_a_field_of_blanks_is_not_left_to_h11(
    monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    """What spoils a field at its end makes each of its blanks a new beginning there.

    That takes seconds. So it has to be refused before.
    """
    given = bytearray()
    receive_data = h11.Connection.receive_data

    def note(self: h11.Connection, data: Any) -> None:
        given.extend(data)
        receive_data(self, data)

    monkeypatch.setattr(h11.Connection, "receive_data", note)
    client = client_of(ScriptedPeer(start + b"A:" + b" " * 30_000 + b"\x00\r\n\r\n"), 64 * 1024)
    with pytest.raises(ClientProtocolError, match="a control character"):
        await read_all(client)
    assert b"A:" not in given
    assert (b"POST" in given) == (b"POST" in start)


async def test_a_broken_chunk_is_refused_where_it_is() -> None:
    """The body before it was good."""
    client = client_of(
        ScriptedPeer(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    )
    peer_says = client.stream.receive_stream.put_data  # type: ignore[attr-defined]
    await client.receive_request()
    assert client.buffered_parts() == [b"a"]
    peer_says(b"xyz\r\n")
    with pytest.raises(ClientProtocolError, match="the line before a chunk is malformed") as caught:
        await client.receive()
    assert caught.value.status == 400


async def test_trailers_are_held_to_the_heads_limit() -> None:
    """A stranger could else fill the memory with them."""
    client = client_of(
        ScriptedPeer(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"a" * 999
        )
    )
    await client.receive_request()
    with pytest.raises(ClientProtocolError) as caught:
        client.buffered_parts()
    assert caught.value.status == 431


async def test_a_head_may_come_byte_by_byte() -> None:
    """Each further wait for the rest of it is told; a wait before its first byte is not."""
    peer, waits = ScriptedPeer(), []
    client = ClientConnection(
        peer.stream, head_bytes=1000, on_partial_read=lambda: waits.append(len(client.unread))
    )
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def say() -> None:
            for byte in b"GET / HTTP/1.0\r\n\r\n":
                await trio.testing.wait_all_tasks_blocked()
                peer.says(bytes([byte]))

        assert await client.receive_request() == RequestHead(b"GET", b"/", (), b"1.0")
    assert waits == list(range(1, 18))


async def test_waiting_within_a_body_is_told_too() -> None:
    """A client with Nagle's algorithm on may hold it back until the head is acknowledged."""
    waits: list[None] = []
    peer = ScriptedPeer(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
    client = ClientConnection(
        peer.stream, head_bytes=1000, on_partial_read=lambda: waits.append(None)
    )
    await client.receive_request()
    assert waits == []
    peer.says(b"hi")
    assert await client.receive() == [b"hi", End()]
    assert waits == [None]


async def test_a_cancelled_receive_loses_nothing() -> None:
    """Half a head that has come is there when the next one waits."""
    peer = ScriptedPeer(GET[:9])
    client = client_of(peer)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def cancel() -> None:
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

            await client.receive_request()
    assert scope.cancelled_caught
    peer.says(GET[9:])
    assert await client.receive_request() == RequestHead(b"GET", b"/", ((b"Host", b"h"),))


# The client's end


async def test_a_client_that_ends_between_requests_is_done() -> None:
    """That is no error; and it stays that way."""
    peer = ScriptedPeer()
    peer.ends()
    client = client_of(peer)
    assert await client.receive_request() is None
    assert await client.receive_request() is None
    assert await client.receive() == []
    assert not await client.read_more()


@pytest.mark.parametrize(
    "request_bytes", [b"G", GET[:-1], b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh"]
)
async def test_a_client_that_ends_within_a_request_is_gone(request_bytes: bytes) -> None:
    """However much of it there was."""
    peer = ScriptedPeer(request_bytes)
    peer.ends()
    client = client_of(peer)
    with pytest.raises(ClientGoneError, match="ended within a message"):
        await read_all(client)


async def test_a_last_request_before_the_end_is_still_read() -> None:
    """The end is told when nothing is left, not when it came."""
    peer = ScriptedPeer(GET)
    peer.ends()
    client = client_of(peer)
    assert await client.read_more()
    assert not await client.read_more()
    assert await client.receive_request()
    assert client.buffered_parts() == [End()]
    await client.send(OK, End())
    assert client.next_cycle()
    assert await client.receive_request() is None


async def test_requests_before_the_end_are_all_answered() -> None:
    """A client may half-close behind pipelined requests."""
    peer = ScriptedPeer(GET * 3)
    peer.ends()
    client = client_of(peer)
    for _ in range(3):
        assert await client.receive_request()
        assert await client.receive() == [End()]
        await client.send(OK, End())
        assert client.next_cycle()
    assert await client.receive_request() is None
    assert peer.told() == OK.encode() * 3


async def test_a_connection_that_breaks_while_reading_is_gone() -> None:
    """The reason is the operating system's."""
    peer = ScriptedPeer()
    peer.breaks("Connection reset by peer")
    with pytest.raises(ClientGoneError, match="Connection reset by peer"):
        await client_of(peer).receive_request()


async def test_a_connection_that_breaks_while_writing_is_gone() -> None:
    """A stream that gives no reason gets a plain one."""
    client, peer = await asked(GET)

    async def fail() -> None:
        raise trio.BrokenResourceError

    peer.stream.send_stream.send_all_hook = fail
    with pytest.raises(ClientGoneError, match="the connection broke"):
        await client.send(OK, End())
    peer.stream.send_stream.wait_send_all_might_not_block_hook = fail
    with pytest.raises(ClientGoneError, match="the connection broke"):
        await client.wait_for_room()


# Responses


@pytest.mark.parametrize(
    ("parts", "told", "goes_on"),
    [
        (
            (ResponseHead(200, b"Fine", ((b"cONTENT-lENGTH", b"2"), (b"b", b"1"))), b"hi", End()),
            b"HTTP/1.1 200 Fine\r\ncONTENT-lENGTH: 2\r\nb: 1\r\n\r\nhi",
            True,
        ),
        (
            (CHUNKED_OK, b"hello", b"", b"x" * 17, End()),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n",
            True,
        ),
        (
            (CHUNKED_OK, b"a", End(((b"X-Sum", b"1"), (b"b", b"")))),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\nX-Sum: 1\r\nb: \r\n\r\n"
            ),
            True,
        ),
        (
            (ResponseHead(200, b"OK", ()), b"until", b" the end", End()),
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
            False,
        ),
        (
            (ResponseHead(200, b"OK", ((b"Content-Length", b"1"),), b"1.0"), b"a", End()),
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
            False,
        ),
        (
            (ResponseHead(200, b"OK", ((b"Connection", b"close"), *OK.headers)), End()),
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            False,
        ),
        ((ResponseHead(204, b"", ()), End()), b"HTTP/1.1 204 \r\n\r\n", True),
        (
            (ResponseHead(304, b"Not Modified", ((b"Content-Length", b"9"),)), End()),
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            True,
        ),
        (
            (ResponseHead(304, b"Not Modified", CHUNKED_OK.headers), End()),
            b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            True,
        ),
        (
            (CONTINUE, ResponseHead(103, b"Early Hints", ((b"Link", b"<a>"),)), OK, End()),
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
            + OK.encode(),
            True,
        ),
    ],
    ids=[
        "length",
        "chunks",
        "trailers",
        "ended by closing",
        "from HTTP/1.0",
        "closing",
        "204",
        "304 with a length",
        "304 with chunks",
        "interim",
    ],
)
async def test_a_response_is_written_in_its_senders_own_way(
    parts: tuple[Part, ...], told: bytes, goes_on: bool
) -> None:
    """Head and framing are as they were given; the connection lives on if they allow it."""
    client, peer = await asked(GET)
    await client.send(*parts)
    assert peer.told() == told
    assert client.body_bytes_sent == sum(len(part) for part in parts if isinstance(part, bytes))
    assert client.next_cycle() is goes_on


async def test_a_second_answer_does_not_leave() -> None:
    """It would be taken for the next request's."""
    client, peer = await asked(GET)
    await client.send(OK, End())
    peer.told()
    with pytest.raises(h11.LocalProtocolError):
        await client.send(OK, End())
    assert peer.told() == b""


async def test_a_client_can_be_turned_away_before_it_has_asked() -> None:
    """Whatever it would have asked."""
    peer = ScriptedPeer()
    busy = ResponseHead(503, b"Busy", (*OK.headers, (b"Connection", b"close")))
    client = client_of(peer)
    await client.send(busy, End())
    assert peer.told() == busy.encode()
    assert not client.next_cycle()


@pytest.mark.parametrize("framing", [*OK.headers, *CHUNKED_OK.headers, (b"Content-Length", b"9")])
async def test_an_answer_to_head_has_the_head_alone(framing: tuple[bytes, bytes]) -> None:
    """Whatever it says of the body that a GET would get."""
    client, peer = await asked(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    head = ResponseHead(200, b"OK", (framing,))
    await client.send(head, End())
    assert peer.told() == head.encode()
    assert client.next_cycle()


async def test_an_answer_to_head_needs_no_framing() -> None:
    """Nothing follows it, so that the connection need not end."""
    client, peer = await asked(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    await client.send(ResponseHead(200, b"OK", ()), End())
    assert peer.told() == b"HTTP/1.1 200 OK\r\n\r\n"
    assert client.next_cycle()


async def test_an_answer_to_head_cannot_have_a_body() -> None:
    """A client would take it for the next answer."""
    client, peer = await asked(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises(h11.LocalProtocolError):
        await client.send(ResponseHead(200, b"OK", ((b"Content-Length", b"2"),)), b"hi", End())
    assert peer.told() == b""


async def test_an_http_1_0_client_gets_neither_chunks_nor_interim_heads() -> None:
    """It knows neither: the body ends with the connection, without trailers."""
    client, peer = await asked(b"GET / HTTP/1.0\r\n\r\n")
    head = ResponseHead(
        200, b"OK", ((b"A", b"1"), *CHUNKED_OK.headers, (b"connection", b"keep-alive"))
    )
    await client.send(CONTINUE, head, b"one", b"two", End(((b"X-Sum", b"1"),)))
    assert peer.told() == b"HTTP/1.1 200 OK\r\nA: 1\r\nConnection: close\r\n\r\nonetwo"
    assert not client.next_cycle()


async def test_an_http_1_0_client_that_hears_of_nothing_else_is_told_nothing() -> None:
    """Not even an empty write."""
    client, peer = await asked(b"GET / HTTP/1.0\r\n\r\n")
    peer.stream.send_stream.send_all_hook = pytest.fail  # type: ignore[assignment]
    await client.send(CONTINUE)
    assert not client.response_started


async def test_an_http_1_0_client_may_have_a_length() -> None:
    """But the connection ends: whether it would keep it open is not asked."""
    client, peer = await asked(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    await client.send(OK, End())
    assert peer.told() == OK.encode()
    assert not client.next_cycle()


@pytest.mark.parametrize(
    "parts",
    [
        (OK, b"too much"),
        (OK, b"too much", End()),
        (OK, OK, End()),
        (ResponseHead(200, b"OK", (*OK.headers, (b"A", b"b\r\nSmuggled: 1"))), End()),
        (ResponseHead(200, b"OK", (*OK.headers, (b"A", b"b\nSmuggled: 1"))), End()),
        (End(),),
        (ResponseHead(200, b"OK", ((b"Content-Length", b"5"),)), b"two", End()),
        (b"body first",),
        (OK, End(), OK),
        (ResponseHead(200, b"OK", ((b"A", b"b\r\nSmuggled: 1"),)),),
        (ResponseHead(200, b"OK", ((b"A b", b"c"),)),),
        (ResponseHead(101, b"Switching Protocols", ()),),
    ],
)
async def test_what_is_no_response_does_not_leave(parts: tuple[Part, ...]) -> None:
    """It would be a defect of ours, and nothing of it is sent."""
    client, peer = await asked(GET)
    with pytest.raises(h11.LocalProtocolError):
        await client.send(*parts)
    assert peer.told() == b""


async def test_an_answer_may_overtake_the_reading_of_its_request() -> None:
    """But the next request is not looked for before this one was read to its end."""
    ask = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
    peer = ScriptedPeer(ask)
    client = client_of(peer)
    await client.receive_request()
    assert not client.request_ended
    await client.send(OK, End())
    assert peer.told() == OK.encode()
    assert not client.next_cycle()
    assert client.buffered_parts() == [b"hi", End()]
    assert client.request_ended
    assert client.next_cycle()
    peer.says(ask)
    assert isinstance(await client.receive_request(), RequestHead)


async def test_a_response_that_is_sent_in_pieces_is_one() -> None:
    """The framing is remembered between writes."""
    client, peer = await asked(GET)
    assert not client.response_started
    await client.send(CHUNKED_OK)
    assert client.response_started
    await client.send(b"a")
    await client.send(End())
    assert peer.told() == CHUNKED_OK.encode() + b"1\r\na\r\n0\r\n\r\n"


async def test_the_framing_of_one_response_does_not_mark_the_next() -> None:
    """Chunks, then a length, then chunks, on one connection."""
    client, peer = await asked(GET)
    sized = ResponseHead(200, b"OK", ((b"Content-Length", b"1"),))
    for head, told in [
        (CHUNKED_OK, b"1\r\na\r\n0\r\n\r\n"),
        (sized, b"a"),
        (CHUNKED_OK, b"1\r\na\r\n0\r\n\r\n"),
    ]:
        await client.send(head, b"a", End())
        assert peer.told() == head.encode() + told
        assert client.next_cycle()
        assert client.body_bytes_sent == 0
        peer.says(GET)
        await client.receive_request()
        client.buffered_parts()


# One after another, and something else


async def test_pipelined_requests_wait_for_their_turn() -> None:
    """The next one is read when the one before has been answered, not earlier."""
    first, second = GET, b"POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na"
    peer = ScriptedPeer(first + second + GET)
    client = client_of(peer)
    for target, body, unread in [(b"/", [], second + GET), (b"/2", [b"a"], GET), (b"/", [], b"")]:
        head = await client.receive_request()
        assert head is not None
        assert head.target == target
        assert await client.receive() == [*body, End()]
        assert client.unread == unread
        assert client.buffered_request() is None
        assert not client.next_cycle()
        await client.send(OK, End())
        assert client.next_cycle()
    assert client.buffered_request() is None


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "first", [b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", CHUNKED]
)
@pytest.mark.parametrize("early", [0, 1, 2, 3, 100])
async def test_an_empty_line_behind_a_body_is_no_request(first: bytes, early: int) -> None:
    """Some clients send one (RFC 9112 section 2.2); it may come with the body, or later."""
    behind = b"\r\n" + GET
    peer = ScriptedPeer(first + behind[:early])
    client = client_of(peer)
    await read_all(client)
    await client.send(OK, End())
    assert client.next_cycle()
    if early < 100:
        assert client.buffered_request() is None
        assert client.unread == (b"" if early in (0, 2) else behind[:early].removeprefix(b"\r\n"))
        peer.says(behind[early:])
    assert await client.receive_request() == RequestHead(b"GET", b"/", ((b"Host", b"h"),))
    assert [End()] == client.buffered_parts()
    await client.send(OK, End())
    assert client.next_cycle()
    peer.ends()
    assert await client.receive_request() is None


async def test_no_request_is_taken_after_one_with_two_framings() -> None:
    """What others might read as its body could be a hidden request (RFC 9112 section 6.1)."""
    client, _ = await asked(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + GET
    )
    await client.send(OK, End())
    assert not client.next_cycle()


async def test_no_request_is_taken_after_connection_close() -> None:
    """The client has said that there will be none."""
    client, _ = await asked(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET)
    await client.send(OK, End())
    assert not client.next_cycle()


async def test_a_client_may_wait_for_a_100() -> None:
    """Until it gets one, or its body comes anyway (RFC 9110 section 10.1.1)."""
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    for settle in ("send", "arrive"):
        peer = ScriptedPeer(head)
        client = client_of(peer)
        await client.receive_request()
        assert client.waits_for_continue
        if settle == "send":
            await client.send(CONTINUE)
            assert peer.told() == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert not client.waits_for_continue
        peer.says(b"hi")
        assert await client.receive() == [b"hi", End()]
        assert not client.waits_for_continue
        await client.send(OK, End())
        assert client.next_cycle()


async def test_after_a_final_answer_nobody_waits_for_a_100() -> None:
    """The body may still come; if it does, the next request has nothing to do with that."""
    peer = ScriptedPeer(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    client = client_of(peer)
    await client.receive_request()
    await client.send(OK, End())
    assert not client.waits_for_continue
    assert not client.request_ended
    assert not client.next_cycle()
    peer.says(b"hi" + b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert await client.receive() == [b"hi", End()]
    assert client.next_cycle()
    await client.receive_request()
    assert not client.waits_for_continue


@pytest.mark.parametrize(
    ("head", "last"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (GET, False),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
    ],
)
async def test_a_client_may_announce_its_last_request(head: bytes, last: bool) -> None:
    """By its own words, or by its age."""
    client, _ = await asked(head)
    assert client.is_last_request is last


async def test_most_clients_do_not_wait_for_a_100() -> None:
    """And those of HTTP/1.0 cannot."""
    for version, more in [(b"1.1", b""), (b"1.0", b"Expect: 100-continue\r\n")]:
        client, _ = await asked(b"GET / HTTP/%b\r\nHost: h\r\n%b\r\n" % (version, more))
        assert not client.waits_for_continue


async def test_what_follows_a_connect_is_left_for_the_tunnel() -> None:
    """It may be sent with the request, before any answer."""
    peer = ScriptedPeer(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n\x16\x03\x01")
    client = client_of(peer)
    head = await client.receive_request()
    assert head is not None
    assert (head.method, head.target) == (b"CONNECT", b"h:443")
    assert client.unread == b"\x16\x03\x01"
    await client.send_raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert peer.told() == b"HTTP/1.1 200 Connection established\r\n\r\n"


async def test_a_connect_can_be_refused() -> None:
    """As any request."""
    client, peer = await asked(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
    refusal = ResponseHead(502, b"Bad Gateway", (*OK.headers, (b"Connection", b"close")))
    await client.send(refusal, End())
    assert peer.told() == refusal.encode()
    assert not client.next_cycle()


async def test_after_an_upgrade_both_speak_another_protocol() -> None:
    """The 101 ends HTTP here; what came behind the request is the other protocol's."""
    client, peer = await asked(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe"
    )
    head = ResponseHead(101, b"Switching Protocols", ((b"Upgrade", b"websocket"),))
    await client.send(head)
    assert peer.told() == head.encode()
    assert client.unread == b"frame"
    assert not client.next_cycle()


async def test_an_upgrade_that_is_declined_is_a_plain_request() -> None:
    """The connection goes on with HTTP."""
    client, peer = await asked(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.request_ended
    await client.send(OK, End())
    assert client.next_cycle()
    peer.says(GET)
    assert await client.receive_request()


async def test_a_stream_that_can_be_half_closed_is_known() -> None:
    """TLS cannot be."""

    class Whole(trio.abc.Stream):  # fmt: skip
        async def send_all(self, data: object) -> None: ...
        async def wait_send_all_might_not_block(self) -> None: ...
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            return b""

        async def aclose(self) -> None: ...

    assert client_of(ScriptedPeer()).half_closeable
    assert not ClientConnection(Whole(), head_bytes=1).half_closeable


async def test_the_last_answer_of_a_connection_says_so() -> None:
    """Its final head, not an interim one before it; and only if it is told to be the last."""
    for closes in (True, False):
        near, far = memory_stream_pair()
        client = ClientConnection(near, head_bytes=1000)
        await far.send_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await client.receive_request() is not None
        await client.receive()
        client.closes = closes
        await client.send(ResponseHead(103, b"Early Hints", ()))
        length = ((b"Content-Length", b"0"),)
        await client.send(ResponseHead(200, b"OK", length), End())
        interim, final, _ = bytes(await far.receive_some()).split(b"\r\n\r\n")
        assert b"Connection" not in interim
        assert final.endswith(b"\r\nConnection: close") is closes
        assert client.next_cycle() is not closes
