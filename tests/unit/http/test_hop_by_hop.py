"""What of a message ends at the proxy, and that nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.http.h1.framing import UPGRADE_TO_HTTP
from faultinject.http.headers import (
    HopByHopFilter,
    asks_for_websocket,
    wrong_switch,
)
from faultinject.http.message import End, Headers, RequestHead, ResponseHead


def headers_of(*lines: bytes) -> Headers:
    """Return header lines as names and values."""
    return tuple(
        (name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)
    )


def passed(*lines: bytes) -> Headers:
    """Return the headers that go on, in a request and in a response alike."""
    headers = headers_of(*lines)
    request = HopByHopFilter().filter(RequestHead(b"GET", b"/", headers))
    response = HopByHopFilter().filter(ResponseHead(200, b"OK", headers))
    assert request.headers == response.headers
    return request.headers


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Host: h", b"aCCept: a", b"Accept: b", b"X-A: "],
        [b"Connection: keep-alive"],
        [b"cONNECTION: Close"],
        [b"Connection: keep-alive,close"],
        [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x"],
        [b"upgrade: WebSocket", b"Connection: keep-alive, Upgrade"],
        [b"TE: trailers", b"Connection: TE"],
        [b"Proxy-Authenticate: Basic"],
        [b"Trailer: X-Sum", b"Transfer-Encoding: chunked"],
    ],
)
def test_what_may_pass_passes_as_it_is(lines: list[bytes]) -> None:
    """To the byte, in its place."""
    assert passed(*lines) == headers_of(*lines)


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([b"Connection: X-Secret", b"X-Secret: 1", b"X-Other: 2"], [b"X-Other: 2"]),
        ([b"Connection: close, x-SECRET", b"X-Secret: 1"], [b"Connection: close"]),
        ([b"Connection: a", b"A: 1", b"connection: b,close", b"B: 2"], [b"connection: close"]),
        ([b"Connection: nothing-there", b"A: 1"], [b"A: 1"]),
        ([b"Connection: close", b"Close: 1", b"A: 1"], [b"Connection: close", b"A: 1"]),
        ([b"Connection: close,", b"A: 1"], [b"Connection: close", b"A: 1"]),
        ([b"Connection: ,", b"A: 1"], [b"A: 1"]),
        ([b"Keep-Alive: timeout=5", b"A: 1"], [b"A: 1"]),
        ([b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"], [b"Connection: Keep-Alive"]),
        ([b"Proxy-Connection: keep-alive", b"A: 1"], [b"A: 1"]),
        ([b"Upgrade: h2c", b"A: 1"], [b"A: 1"]),
        ([b"Connection: Upgrade", b"Upgrade: TLS/1.2"], []),
        (
            [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM"],
            [],
        ),
        ([b"HTTP2-Settings: AAM"], []),
        (
            [b"Connection: Upgrade", b"Upgrade: h2c, websocket"],
            [b"Connection: Upgrade", b"Upgrade: websocket"],
        ),
        ([b"TE: gzip", b"Connection: TE"], []),
        ([b"TE: gzip, trailers", b"Connection: TE"], [b"TE: trailers", b"Connection: TE"]),
        ([b"TE: trailers"], [b"TE: trailers", b"Connection: TE"]),
        (
            [b"Connection: close", b"TE: trailers"],
            [b"Connection: close", b"TE: trailers", b"Connection: TE"],
        ),
    ],
)
def test_what_is_for_the_next_hop_ends_here(lines: list[bytes], left: list[bytes]) -> None:
    """RFC 9110 sections 7.6.1, 7.8 and 10.1.4."""
    assert passed(*lines) == headers_of(*left)


@pytest.mark.parametrize(
    "line",
    [b"Host: h", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Expect: 100-continue"],
)
def test_what_frames_or_routes_a_message_cannot_be_named_away(line: bytes) -> None:
    """The next hop would read another message than we did."""
    name = line.partition(b":")[0]
    assert passed(b"Connection: " + name, line) == headers_of(line)


def test_an_answer_may_want_plain_http() -> None:
    """As a 426 to a WebSocket does; a request for it would be one for another server's protocol."""
    headers = headers_of(b"Upgrade: HTTP/1.1, h2c", b"Connection: Upgrade")
    response = HopByHopFilter().filter(ResponseHead(426, b"Upgrade Required", headers))
    assert response.headers == UPGRADE_TO_HTTP
    assert HopByHopFilter().filter(RequestHead(b"GET", b"/", headers)).headers == ()


@pytest.mark.parametrize(
    ("lines", "asks"),
    [
        ([b"Upgrade: WebSocket", b"Connection: Upgrade"], True),
        ([b"Upgrade: h2c, websocket"], True),
        ([b"Upgrade: h2c"], False),
        ([b"X-Upgrade: websocket"], False),
    ],
)
def test_who_asks_for_a_websocket(lines: list[bytes], asks: bool) -> None:
    """By the protocol's name alone."""
    assert asks_for_websocket(RequestHead(b"GET", b"/", headers_of(*lines))) is asks


def test_a_length_beside_chunks_is_removed_though_connection_names_the_chunks() -> None:
    """Chunks win, whatever else the head says."""
    both = (b"Connection: transfer-encoding", b"Content-Length: 3", b"Transfer-Encoding: chunked")
    assert passed(*both) == headers_of(both[2])


@pytest.mark.parametrize(
    "name",
    [
        b"Connection",
        b"Keep-Alive",
        b"TE",
        b"Upgrade",
        b"Content-Length",
        b"transfer-encoding",
        b"HOST",
        b"Trailer",
        b"Authorization",
        b"Set-Cookie",
        b"Content-Encoding",
        b"X-Faultinject",
        b"x-faultinject-error",
    ],
)
def test_a_trailer_neither_frames_nor_routes_nor_ends_anything(name: bytes) -> None:
    """RFC 9110 section 6.5.1. What is ours is not said by others."""
    end = End(((b"X-Sum", b"1"), (name, b"close"), (b"x-Other", b"2")))
    assert HopByHopFilter().filter(end) == End(((b"X-Sum", b"1"), (b"x-Other", b"2")))


def test_connection_names_trailers_too() -> None:
    """Those of the message that it is in, not those of the next."""
    passage = HopByHopFilter()
    passage.filter(ResponseHead(200, b"OK", headers_of(b"Connection: X-Sum")))
    end = End(headers_of(b"X-Sum: 1", b"X-Other: 2"))
    assert passage.filter(end) == End(headers_of(b"X-Other: 2"))
    passage.filter(ResponseHead(200, b"OK", ()))
    assert passage.filter(end) == end


@pytest.mark.parametrize(
    ("version", "sent"), [(b"1.0", b"1.0"), (b"1.1", b"1.1"), (b"1.2", b"1.1")]
)
def test_no_version_above_ours_is_passed_on(version: bytes, sent: bytes) -> None:
    """RFC 9110 section 6.2. One below tells the origin what the client can read."""
    assert HopByHopFilter().filter(RequestHead(b"GET", b"/", (), version)).http_version == sent
    assert HopByHopFilter().filter(ResponseHead(200, b"OK", (), version)).http_version == sent


def test_a_body_passes() -> None:
    """The very same bytes."""
    assert HopByHopFilter().filter(b"body") == b"body"


names = st.sampled_from([b"Connection", b"TE", b"Upgrade", b"Keep-Alive", b"X-A", b"X-B", b"Host"])
words = st.sampled_from(
    [
        b"close",
        b"keep-alive",
        b"upgrade",
        b"te",
        b"x-a",
        b"host",
        b"websocket",
        b"h2c",
        b"trailers",
        b"",
    ]
)
values = st.lists(words, max_size=4).map(b" ,".join)


@given(st.lists(st.tuples(names, values), max_size=8).map(tuple))
def test_what_has_passed_passes_again_as_it_is(headers: Headers) -> None:
    """A second proxy behind this one finds nothing to remove."""
    once = HopByHopFilter().filter(RequestHead(b"GET", b"/", headers))
    again = HopByHopFilter().filter(once)
    assert again == once
    lowered = [name.lower() for name, _ in once.headers]
    assert b"keep-alive" not in lowered
    assert lowered.count(b"host") == [name for name, _ in headers].count(b"Host")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ([b"Upgrade: websocket"], None),
        ([b"upgrade: WebSocket", b"Connection: Upgrade"], None),
        ([b"Upgrade: websocket,"], None),
        ([b"Upgrade: h2c"], "h2c"),
        ([b"Upgrade: websocket, h2c"], "h2c"),
        ([b"Upgrade: websocket", b"Upgrade: TLS/1.2"], "tls/1.2"),
        ([b"Upgrade: websocket/14"], "websocket/14"),
        ([b"Upgrade: " + b"a" * 1000], "a" * 100),
        ([b"Upgrade: ,"], "no protocol"),
        ([b"Upgrade: \xff"], r"\xff"),
        ([b"Connection: Upgrade"], "no protocol"),
    ],
)
def test_a_switch_is_to_what_was_asked_for(answer: list[bytes], wrong: str | None) -> None:
    """And it says to what (RFC 9110 section 7.8)."""
    request = RequestHead(b"GET", b"/", headers_of(b"Host: h", b"Upgrade: websocket"))
    said = wrong_switch(request, ResponseHead(101, b"", headers_of(*answer)))
    assert said == (None if wrong is None else f"it switches to {wrong}, which nobody asked for")
    assert wrong_switch(request, ResponseHead(426, b"", headers_of(*answer))) is None
