"""What holds for every message: cut anywhere, split anyhow, and as h11 reads and writes it.

h11 alone is the judge here: connections read most plain messages by a quicker way of their own,
and two parsers that differ are how requests are smuggled.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import h11
import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from faultinject.errors import ClientProtocolError, PeerError
from faultinject.http.h1.connection import ClientConnection, HttpConnection, UpstreamConnection
from faultinject.http.h1.incoming import MessageError
from faultinject.http.h1.machine import Machine
from faultinject.http.h1.roles import ClientMachine, ServerMachine
from faultinject.http.message import End, Headers, Part, RequestHead, ResponseHead
from tests.support.examples import examples
from tests.support.script import ScriptedPeer

HEAD_BYTES = 4096
ASK = RequestHead(b"GET", b"/", ((b"Host", b"h"),))
ASK_HEAD = RequestHead(b"HEAD", b"/", ((b"Host", b"h"),))

REQUESTS = {
    "plain": b"GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "keep-alive": b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\nb\r\n wide wor\r\n\r\n0\r\nT: 1\r\n\r\n",
    "old": b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    "expecting": b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "CONNECT": b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "two framings": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: h\nA: b\n\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
}
RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "keep-alive": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nT: 1\r\nU:\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
    b"HTTP/1.1 429 \r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
}
UNFRAMED = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nuntil the end"


@frozen
class Reading:
    """What a connection made of some bytes."""

    parts: tuple[Part, ...]
    """What came out; nothing if an error did, for how much comes before it is a matter of time."""
    whole: bool = False
    """Whether the message came to its end."""
    error: str = ""
    """The kind of the peer's error that ended the reading, if one did."""


def merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts with neighbouring pieces of the body as one."""
    result: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += part
        else:
            result.append(part)
    return tuple(result)


async def read(connection: HttpConnection, peer: ScriptedPeer, pieces: Iterable[bytes]) -> Reading:
    """Feed pieces and the end; read until the message's end, the connection's, or an error."""
    parts: list[Part] = []
    try:
        for piece in filter(None, pieces):
            peer.says(piece)
            await connection.read_more()
            parts += connection.buffered_parts()
            if parts and isinstance(parts[-1], End):
                return Reading(merged(parts), whole=True)
        peer.ends()
        while received := await connection.receive():
            parts += received
            if isinstance(parts[-1], End):
                return Reading(merged(parts), whole=True)
    except PeerError as error:
        return Reading((), error=getattr(error, "kind", "") or type(error).__name__)
    return Reading(merged(parts))


async def read_request(*pieces: bytes) -> Reading:
    """Read a request as our side that is asked does."""
    peer = ScriptedPeer()
    return await read(ClientConnection(peer.stream, head_bytes=HEAD_BYTES), peer, pieces)


async def read_response(*pieces: bytes, request: RequestHead = ASK) -> Reading:
    """Read a response as our side that asks does."""
    peer = ScriptedPeer()
    upstream = UpstreamConnection(peer.stream, head_bytes=HEAD_BYTES)
    await upstream.send(request, End())
    return await read(upstream, peer, pieces)


# Cut


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_that_is_cut_is_waited_for_or_its_client_is_gone(name: str) -> None:
    """At every byte: never an end too early, and never another error."""
    request = REQUESTS[name]
    assert (await read_request(request)).whole
    for cut in range(1, len(request)):
        reading = await read_request(request[:cut])
        assert (reading.whole, reading.error) == (False, "ClientGoneError"), request[:cut]
    assert await read_request() == Reading(())


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_response_that_is_cut_is_waited_for_or_its_upstream_is_gone(name: str) -> None:
    """At every byte, the first included: a request was waiting for it."""
    response = RESPONSES[name]
    assert (await read_response(response)).whole
    for cut in range(len(response)):
        reading = await read_response(response[:cut])
        assert (reading.whole, reading.error) == (False, "disconnected"), response[:cut]


async def test_a_response_without_framing_can_be_cut_within_its_head_only() -> None:
    """Behind it every end is a good one."""
    head_size = UNFRAMED.index(b"\r\n\r\n") + 4
    for cut in range(len(UNFRAMED) + 1):
        assert (await read_response(UNFRAMED[:cut])).whole is (cut >= head_size)


# Split


def cut_at(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return the data in pieces."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


@given(st.sampled_from(sorted(REQUESTS)), st.lists(st.integers(0, 999), max_size=6))
async def test_how_a_request_is_split_makes_no_difference(name: str, cuts: list[int]) -> None:
    """The same parts come out."""
    pieces = cut_at(REQUESTS[name], cuts)
    assert await read_request(*pieces) == await read_request(REQUESTS[name])


@given(st.sampled_from(sorted(RESPONSES)), st.lists(st.integers(0, 999), max_size=6))
async def test_how_a_response_is_split_makes_no_difference(name: str, cuts: list[int]) -> None:
    """The same parts come out."""
    pieces = cut_at(RESPONSES[name], cuts)
    assert await read_response(*pieces) == await read_response(RESPONSES[name])


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_empty_line_before_a_request_is_nothing(name: str) -> None:
    """RFC 9112 section 2.2; wherever it is split."""
    request = b"\r\n" + REQUESTS[name]
    for cut in range(len(request)):
        assert await read_request(request[:cut], request[cut:]) == await read_request(
            REQUESTS[name]
        )


@pytest.mark.parametrize("lines", [b"\r\n\r\n", b"\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n\n"])
async def test_anything_else_before_a_request_is_an_error(lines: bytes) -> None:
    """It need not be understood, and others may read it otherwise."""
    assert (await read_request(lines + REQUESTS["plain"])).error == "ClientProtocolError"


# Refused


def words_of_refusal(machine: Machine, pieces: Iterable[bytes]) -> str:
    """Return what is said of a message that comes in pieces; nothing if it is not refused."""
    try:
        for piece in pieces:
            machine.receive_data(piece)
            while (part := machine.next_part()) is not None:
                if isinstance(part, End):
                    return ""
    except MessageError as error:
        return f"{error.status} {error}"
    return ""


def asked() -> ClientMachine:
    """Return a side that waits for an answer."""
    machine = ClientMachine(HEAD_BYTES)
    machine.encode(ASK, End())
    return machine


BEFORE = (b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\r\n ", b"\r\n\n", b"\r\n\0", b"\xff")


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("requests", [True, False], ids=["request", "answer"])
def test_what_stands_before_a_message_is_refused_in_the_same_words(
    before: bytes, requests: bool
) -> None:
    """Wherever it is split, and byte for byte; all but the one empty line before a request."""
    data = before + (REQUESTS["plain"] if requests else RESPONSES["length"])
    ways = [[data[:cut], data[cut:]] for cut in range(1, len(data))]
    ways.append([bytes((byte,)) for byte in data])
    words = {
        words_of_refusal(ServerMachine(HEAD_BYTES) if requests else asked(), way) for way in ways
    }
    is_fine = before == b"" or (requests and before == b"\r\n")
    line = "request line" if requests else "status line"
    assert words == {"" if is_fine else f"400 the {line} is malformed"}


# Harmed

harm = st.tuples(st.integers(0, 999), st.integers(0, 3), st.binary(max_size=4))
cuts = st.lists(st.integers(0, 999), max_size=6)


def harmed(message: bytes, place: int, removed: int, put: bytes) -> bytes:
    """Return a message some of whose bytes were replaced."""
    start = place % (len(message) + 1)
    return message[:start] + put + message[start + removed :]


@given(st.sampled_from(sorted(REQUESTS.values())), harm)
@example(REQUESTS["length"], (70, 0, b"\r\n\r\n"))
@example(REQUESTS["length"], (26, 0, b"X: \x01\r\n"))
@example(REQUESTS["chunks"], (57, 0, b" \t"))
@example(REQUESTS["chunks"], (57, 2, b" "))
@example(REQUESTS["chunks"], (91, 0, b"\x01"))
@examples(200)
async def test_a_harmed_request_reads_as_h11_reads_it(
    request: bytes, harm: tuple[int, int, bytes]
) -> None:
    """The same parts or an error where h11 has one; and never another error than the client's."""
    data = harmed(request, *harm)
    assert await read_request(data) == h11_reading(h11.SERVER, data)


@given(st.sampled_from(sorted([*RESPONSES.values(), UNFRAMED])), harm)
@example(RESPONSES["length"], (31, 0, b" \t "))
@example(RESPONSES["chunks"], (48, 0, b" ;a"))
@examples(200)
async def test_a_harmed_response_reads_as_h11_reads_it(
    response: bytes, harm: tuple[int, int, bytes]
) -> None:
    """The same parts or an error where h11 has one; and never another error than the upstream's."""
    data = harmed(response, *harm)
    assert await read_response(data) == h11_reading(h11.CLIENT, data)


@given(st.sampled_from(sorted(REQUESTS.values())), harm, cuts)
@examples(200)
def test_a_harmed_request_is_refused_in_the_same_words_however_it_is_split(
    request: bytes, harm: tuple[int, int, bytes], cuts: list[int]
) -> None:
    """Its client sees one 400 for one mistake."""
    data = harmed(request, *harm)
    said = [
        words_of_refusal(ServerMachine(HEAD_BYTES), pieces)
        for pieces in ([data], cut_at(data, cuts))
    ]
    assert said[0] == said[1]


@given(st.sampled_from(sorted([*RESPONSES.values(), UNFRAMED])), harm, cuts)
@examples(200)
def test_a_harmed_response_is_refused_in_the_same_words_however_it_is_split(
    response: bytes, harm: tuple[int, int, bytes], cuts: list[int]
) -> None:
    """And so is the log."""
    data = harmed(response, *harm)
    said = [words_of_refusal(asked(), pieces) for pieces in ([data], cut_at(data, cuts))]
    assert said[0] == said[1]


@given(st.binary(max_size=200))
async def test_garbage_is_never_more_than_a_peers_error(data: bytes) -> None:
    """In either role."""
    await read_request(data)
    await read_response(data)


ERRORS = {
    (h11.SERVER, False): "ClientProtocolError",
    (h11.SERVER, True): "ClientGoneError",
    (h11.CLIENT, False): "protocol",
    (h11.CLIENT, True): "disconnected",
}


def h11_reading(role: type[h11.SERVER] | type[h11.CLIENT], data: bytes) -> Reading:
    """Return what h11 by itself makes of some bytes and the end.

    It takes no empty line before a request, of which we let one pass, and does not mend what a
    proxy must: blanks before a chunk's extensions, and before the colon of an answer's fields.
    """
    data = re.sub(rb"^([0-9A-Fa-f]{1,20})[ \t]+(?=;.*\r\n)", rb"\1", data, flags=re.MULTILINE)
    if role is h11.SERVER:
        data = data.removeprefix(b"\r\n")
    else:
        head, blank, rest = data.partition(b"\r\n\r\n")
        data = re.sub(rb"^([\w-]+)[ \t]+:", rb"\1:", head, flags=re.MULTILINE) + blank + rest
    connection = h11.Connection(role, max_incomplete_event_size=HEAD_BYTES)
    if role is h11.CLIENT:
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
        connection.send(h11.EndOfMessage())
    parts: list[Part] = []
    for ended, piece in ((False, data), (True, b"")):
        if piece or ended:
            connection.receive_data(piece)
        try:
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.ConnectionClosed):
                    return Reading(merged(parts))
                parts.append(as_part(event, role))
                if isinstance(event, h11.EndOfMessage):
                    return Reading(merged(parts), whole=True)
        except (h11.RemoteProtocolError, ClientProtocolError):
            return Reading((), error=ERRORS[role, ended])
        if connection.their_state in (h11.MIGHT_SWITCH_PROTOCOL, h11.SWITCHED_PROTOCOL):
            return Reading(merged(parts))
    return Reading(merged(parts))


def as_part(event: object, role: type[h11.Sentinel]) -> Part:
    """Return an event as ours that a side of h11's has read."""
    match event:
        case h11.Request():
            if event.http_version[:2] != b"1.":
                raise ClientProtocolError("another version", 505)
            return RequestHead(event.method, event.target, checked(event), event.http_version)
        case h11.Response() | h11.InformationalResponse():
            return ResponseHead(event.status_code, event.reason, raw(event), event.http_version)
        case h11.Data():
            return bytes(event.data)
        case h11.EndOfMessage():
            return End(checked(event) if role is h11.SERVER else raw(event))
    raise AssertionError(event)


def checked(event: h11.Request | h11.EndOfMessage) -> Headers:
    """Return the fields as they were sent; a control character in one is refused."""
    if any(CONTROL.search(value) for _, value in raw(event)):
        raise ClientProtocolError("a control character")
    return raw(event)


CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def raw(
    event: h11.Request | h11.Response | h11.InformationalResponse | h11.EndOfMessage,
) -> Headers:
    """Return the headers as they were sent."""
    return tuple(event.headers.raw_items())


# Written by h11, passed on by us, read by h11

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DECISIVE = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"}
names = (
    st.text(TOKEN, min_size=1, max_size=12)
    .filter(lambda name: name.lower() not in DECISIVE)
    .map(str.encode)
)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_characters="\x7f\x85\xa0")
    | st.just("\t"),
    max_size=20,
).map(lambda text: text.strip(" \t").encode("latin-1"))
header_lists = st.lists(st.tuples(names, values), max_size=6)
bodies = st.lists(st.binary(min_size=1, max_size=60), max_size=4)
framings = st.sampled_from(["length", "chunks"])
targets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20).map(
    lambda text: b"/" + text.encode()
)


@frozen
class Sent:
    """A message as it was sent, and what of it must arrive."""

    head: tuple[object, ...]
    headers: Headers
    body: bytes
    trailers: Headers


def framed(headers: Headers, framing: str, body: list[bytes], trailers: Headers) -> Headers:
    """Return the headers with the one that says where the body ends, in the middle of them."""
    if framing == "length":
        extra = (b"Content-LENGTH", b"%d" % sum(map(len, body)))
    else:
        extra = (b"transfer-Encoding", b"chunked")
    half = len(headers) // 2
    return (*headers[:half], extra, *headers[half:])


def written(
    connection: h11.Connection, head: h11.Request | h11.Response, body: list[bytes], end: Headers
) -> bytes:
    """Return a message as h11 writes it."""
    events: list[h11.Event] = [head, *(h11.Data(data=data) for data in body)]
    return b"".join(
        connection.send(event) or b"" for event in [*events, h11.EndOfMessage(headers=list(end))]
    )


def heard(connection: h11.Connection, data: bytes) -> Reading:
    """Return what h11 reads from some bytes that are one message."""
    connection.receive_data(data)
    parts: list[Part] = []
    while not (parts and isinstance(parts[-1], End)):
        event = connection.next_event()
        assert event not in (h11.NEED_DATA, h11.PAUSED), (data, parts)
        parts.append(as_part(event, connection.our_role))
    return Reading(merged(parts), whole=True)


def body_of(parts: tuple[Part, ...]) -> bytes:
    """Return the body within the parts of a message."""
    return b"".join(part for part in parts if isinstance(part, bytes))


@given(
    method=st.text(TOKEN, min_size=1, max_size=8).filter(lambda word: word != "CONNECT"),
    target=targets,
    headers=header_lists,
    framing=framings,
    body=bodies,
    trailers=header_lists,
    cuts=st.lists(st.integers(0, 999), max_size=3),
)
async def test_a_request_passes_as_it_is(
    method: str,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    framing: str,
    body: list[bytes],
    trailers: list[tuple[bytes, bytes]],
    cuts: list[int],
) -> None:
    """From an h11 client through both our connections to an h11 server: head, body, trailers."""
    end = tuple(trailers) if framing == "chunks" else ()
    fields = framed(((b"hOst", b"h"), *headers), framing, body, end)
    event = h11.Request(method=method, target=target, headers=list(fields))
    data = written(h11.Connection(h11.CLIENT), event, body, end)

    got = await read_request(*cut_at(data, cuts))
    head = RequestHead(method.encode(), target, got.parts[0].headers)  # type: ignore[union-attr]
    assert got.parts[0] == head
    assert sorted(head.headers) == sorted(fields)  # h11 itself puts Host first
    assert (body_of(got.parts), got.parts[-1]) == (b"".join(body), End(end))

    peer = ScriptedPeer()
    await UpstreamConnection(peer.stream, head_bytes=HEAD_BYTES).send(*got.parts)
    told = peer.told()
    assert told.startswith(head.encode())
    assert heard(h11.Connection(h11.SERVER), told) == got


@given(
    status=st.integers(200, 599),
    reason=values,
    headers=header_lists,
    framing=framings,
    body=bodies,
    trailers=header_lists,
    method=st.sampled_from([b"GET", b"HEAD"]),
    cuts=st.lists(st.integers(0, 999), max_size=3),
)
async def test_a_response_passes_as_it_is(
    status: int,
    reason: bytes,
    headers: list[tuple[bytes, bytes]],
    framing: str,
    body: list[bytes],
    trailers: list[tuple[bytes, bytes]],
    method: bytes,
    cuts: list[int],
) -> None:
    """From an h11 server through both our connections to an h11 client: head, body, trailers."""
    bodyless = method == b"HEAD" or status in (204, 304)
    body = [] if bodyless else body
    end = tuple(trailers) if framing == "chunks" and not bodyless else ()
    fields = framed(tuple(headers), framing, body, end)
    event = h11.Response(status_code=status, reason=reason, headers=list(fields))
    data = written(h11_asked(h11.SERVER, method), event, body, end)

    request = ASK_HEAD if method == b"HEAD" else ASK
    got = await read_response(*cut_at(data, cuts), request=request)
    head = got.parts[0]
    assert isinstance(head, ResponseHead)
    assert (head.status, head.reason) == (status, reason)
    assert (body_of(got.parts), got.parts[-1]) == (b"".join(body), End(end))

    peer = ScriptedPeer(request.encode())
    client = ClientConnection(peer.stream, head_bytes=HEAD_BYTES)
    assert await client.receive_request() == request
    client.buffered_parts()
    await client.send(*got.parts)
    told = peer.told()
    assert told.startswith(head.encode())
    assert heard(h11_asked(h11.CLIENT, method), told) == got
    assert client.next_cycle()


def h11_asked(role: type[h11.SERVER] | type[h11.CLIENT], method: bytes) -> h11.Connection:
    """Return a connection of h11's on which a request was sent or received."""
    asking, asked = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    request = h11.Request(method=method, target="/", headers=[("Host", "h")])
    asked.receive_data((asking.send(request) or b"") + (asking.send(h11.EndOfMessage()) or b""))
    while asked.next_event() not in (h11.NEED_DATA, h11.PAUSED):
        pass
    return asking if role is h11.CLIENT else asked


@given(st.lists(st.tuples(bodies, framings, st.booleans()), min_size=1, max_size=5))
async def test_many_exchanges_on_one_connection_leave_nothing_behind(
    exchanges: list[tuple[list[bytes], str, bool]],
) -> None:
    """Whether they are plain or not, whole or in pieces, and pipelined or in turn."""
    peer = ScriptedPeer()
    client = ClientConnection(peer.stream, head_bytes=HEAD_BYTES)
    requests = [
        (framed(((b"Host", b"h"),), framing, body, ()), body, framing, early)
        for body, framing, early in exchanges
    ]
    for index, (fields, body, framing, early) in enumerate(requests):
        target = b"/%d" % index
        event = h11.Request(method="POST", target=target, headers=list(fields))
        peer.says(written(h11.Connection(h11.CLIENT), event, body, ()))
        if early:
            await client.read_more()
        head = await client.receive_request()
        assert head is not None
        assert head.target == target
        parts: list[Part] = []
        while not (parts and isinstance(parts[-1], End)):
            parts += await client.receive()
        assert body_of(tuple(parts)) == b"".join(body)
        answer = ResponseHead(200, b"OK", framed((), framing, body, ()))
        await client.send(answer, *body, End())
        reader = h11_asked(h11.CLIENT, b"GET")
        assert body_of(heard(reader, peer.told()).parts) == b"".join(body)
        assert client.next_cycle()
        assert client.unread == b""
