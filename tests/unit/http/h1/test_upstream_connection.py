"""The connection to an upstream, as transcripts: what is sent, what it answers, what comes out."""

from __future__ import annotations

import h11
import pytest

from faultinject.errors import UpstreamError
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from tests.support.script import ScriptedPeer

GET = RequestHead(b"GET", b"/", ((b"Host", b"h"),))
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def upstream_of(peer: ScriptedPeer) -> UpstreamConnection:
    return UpstreamConnection(peer.stream, head_bytes=1000)


async def asking(
    answer: bytes, request: RequestHead = GET
) -> tuple[UpstreamConnection, ScriptedPeer]:
    """Return a connection whose request was sent, and whose upstream has said something."""
    peer = ScriptedPeer(answer)
    upstream = upstream_of(peer)
    await upstream.send(request, End())
    return upstream, peer


async def read_all(upstream: UpstreamConnection) -> None:
    """Read an answer to its end."""
    while not isinstance((await upstream.receive())[-1], End):
        pass


# Requests


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            (RequestHead(b"PATCH", b"/a?b=%20", ((b"x-B", b"1"), (b"hOSt", b"h"))), End()),
            b"PATCH /a?b=%20 HTTP/1.1\r\nx-B: 1\r\nhOSt: h\r\n\r\n",
        ),
        (
            (RequestHead(b"POST", b"/", (*GET.headers, (b"Content-Length", b"2"))), b"hi", End()),
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            (
                RequestHead(b"POST", b"/", (*GET.headers, (b"Transfer-Encoding", b"chunked"))),
                b"hi",
                End(((b"X-Sum", b"1"),)),
            ),
            (
                b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
            ),
        ),
        ((RequestHead(b"GET", b"/", (), b"1.0"), End()), b"GET / HTTP/1.0\r\n\r\n"),
    ],
    ids=["no body", "length", "chunks", "HTTP/1.0 without Host"],
)
async def test_a_request_is_written_in_its_senders_own_way(
    parts: tuple[Part, ...], told: bytes
) -> None:
    """Head and framing are as they were given."""
    peer = ScriptedPeer()
    await upstream_of(peer).send(*parts)
    assert peer.told() == told


@pytest.mark.parametrize(
    "parts",
    [
        (RequestHead(b"GET", b"/a b", GET.headers), End()),
        (RequestHead(b"GET", b"/a\r\nA:b", GET.headers), End()),
        (RequestHead(b"GET", b"/", (*GET.headers, (b"A", b"b\r\nSmuggled: 1"))), End()),
        (GET, b"a body that was not announced", End()),
        (End(),),
    ],
)
async def test_what_is_no_request_does_not_leave(parts: tuple[Part, ...]) -> None:
    """It would be a defect of ours, and nothing of it is sent."""
    peer = ScriptedPeer()
    with pytest.raises(h11.LocalProtocolError):
        await upstream_of(peer).send(*parts)
    assert peer.told() == b""


async def test_a_second_request_does_not_leave_before_its_turn() -> None:
    """It would be a defect of ours; requests to upstreams are not pipelined."""
    upstream, peer = await asking(b"")
    peer.told()
    with pytest.raises(h11.LocalProtocolError):
        await upstream.send(GET, End())
    assert peer.told() == b""


# Responses


@pytest.mark.parametrize(
    ("answer", "parts", "stays"),
    [
        (SIZED, [ResponseHead(200, b"OK", ((b"Content-Length", b"2"),)), b"hi", End()], True),
        (
            b"HTTP/1.1 200\r\ncONTENT-length: 0\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n",
            [
                ResponseHead(
                    200,
                    b"",
                    ((b"cONTENT-length", b"0"), (b"Set-Cookie", b"a"), (b"set-cookie", b"b")),
                ),
                End(),
            ],
            True,
        ),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2;x=y\r\nhi\r\n0\r\nT: 1\r\n\r\n"
            ),
            [
                ResponseHead(200, b"OK", ((b"Transfer-Encoding", b"chunked"),)),
                b"hi",
                End(((b"T", b"1"),)),
            ],
            True,
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + SIZED,
            [
                ResponseHead(100, b"Continue", ()),
                ResponseHead(103, b"Early Hints", ((b"Link", b"<a>"),)),
                ResponseHead(200, b"OK", ((b"Content-Length", b"2"),)),
                b"hi",
                End(),
            ],
            True,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", [ResponseHead(204, b"No Content", ()), End()], True),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            [ResponseHead(304, b"Not Modified", ((b"Content-Length", b"7"),)), End()],
            True,
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            [
                ResponseHead(200, b"OK", ((b"Connection", b"close"), (b"Content-Length", b"0"))),
                End(),
            ],
            False,
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            [ResponseHead(200, b"OK", ((b"Content-Length", b"0"),), b"1.0"), End()],
            False,
        ),
    ],
    ids=["length", "case", "chunks", "interim", "204", "304", "closing", "HTTP/1.0"],
)
async def test_a_response_comes_in_parts(answer: bytes, parts: list[Part], stays: bool) -> None:
    """And the connection can be asked again if it says so."""
    upstream, _ = await asking(answer)
    assert await upstream.receive() == parts
    assert upstream.next_cycle() is stays
    assert upstream.idle is stays


async def test_a_response_without_framing_ends_with_its_connection() -> None:
    """Not before; and what had come was handed out as it came."""
    upstream, peer = await asking(b"HTTP/1.1 200 OK\r\n\r\nuntil")
    assert await upstream.receive() == [ResponseHead(200, b"OK", ()), b"until"]
    peer.says(b" the end")
    assert await upstream.receive() == [b" the end"]
    peer.ends()
    assert await upstream.receive() == [End()]
    upstream.next_cycle()
    assert not upstream.idle
    assert await upstream.receive() == []


async def test_an_answer_to_head_has_no_body() -> None:
    """Whatever its head says."""
    upstream, _ = await asking(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", RequestHead(b"HEAD", b"/", GET.headers)
    )
    assert await upstream.receive() == [
        ResponseHead(200, b"OK", ((b"Content-Length", b"9"),)),
        End(),
    ]
    assert upstream.next_cycle()


async def test_after_a_101_the_rest_is_another_protocols() -> None:
    """Its first bytes may come with the head."""
    request = RequestHead(
        b"GET", b"/", (*GET.headers, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    )
    upstream, _ = await asking(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nframe", request
    )
    assert await upstream.receive() == [
        ResponseHead(101, b"Switching", ((b"Upgrade", b"websocket"),))
    ]
    assert upstream.unread == b"frame"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 Early\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1000,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_what_is_no_response_is_a_protocol_error(answer: bytes) -> None:
    """Which becomes our 502."""
    upstream, _ = await asking(answer)
    with pytest.raises(UpstreamError, match=r"the answer is not HTTP/1\.1: ") as caught:
        await read_all(upstream)
    assert (caught.value.kind, caught.value.status) == ("protocol", 502)


@pytest.mark.parametrize("said", [b"H", SIZED[:20], SIZED[:-1]])
async def test_an_upstream_that_ends_within_its_answer_is_disconnected(said: bytes) -> None:
    """Which is told from the end of a body that ends by closing."""
    upstream, peer = await asking(said)
    peer.ends()
    with pytest.raises(UpstreamError, match="ended within a message") as caught:
        await read_all(upstream)
    assert caught.value.kind == "disconnected"


async def test_an_upstream_that_ends_instead_of_an_answer_says_nothing() -> None:
    """Whoever asked decides whether to ask again elsewhere."""
    upstream, peer = await asking(b"")
    peer.ends()
    with pytest.raises(UpstreamError) as caught:
        await upstream.receive()
    assert caught.value.kind == "disconnected"


async def test_a_broken_connection_is_disconnected() -> None:
    """While reading as while writing, with the operating system's reason."""
    upstream, peer = await asking(b"")
    peer.breaks("Connection reset by peer")
    for attempt in (upstream.receive(), upstream.send_raw(b"x")):
        with pytest.raises(UpstreamError, match="Connection reset by peer") as caught:
            await attempt
        assert caught.value.kind == "disconnected"


# Between two requests


async def test_a_connection_is_idle_between_two_requests_only() -> None:
    """From its opening to the next request's head, and again when the answer is whole."""
    peer = ScriptedPeer()
    upstream = upstream_of(peer)
    assert upstream.idle
    await upstream.send(GET)
    assert not upstream.idle
    await upstream.send(End())
    peer.says(SIZED)
    await upstream.receive()
    assert not upstream.idle
    assert upstream.next_cycle()
    assert upstream.idle


async def test_an_idle_connection_that_ends_is_no_more_alive() -> None:
    """That is how most of them end."""
    peer = ScriptedPeer()
    upstream = upstream_of(peer)
    peer.ends()
    await upstream.wait_until_not_idle()
    assert not upstream.idle


async def test_an_idle_connection_that_says_something_is_not_idle() -> None:
    """A 408, say, as some origins send before they close: it answers nothing."""
    peer = ScriptedPeer(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    upstream = upstream_of(peer)
    await upstream.wait_until_not_idle()
    assert not upstream.idle
    assert await upstream.receive() == [ResponseHead(408, b"Request Timeout", ())]


async def test_an_idle_connection_that_breaks_is_no_more_alive() -> None:
    """Nobody asked, so nobody is told."""
    peer = ScriptedPeer()
    upstream = upstream_of(peer)
    peer.breaks()
    await upstream.wait_until_not_idle()
    assert not upstream.idle
