"""Pages that show whether something between client and origin alters, holds or gathers bytes.

Each is a fixed answer or a short script for `origin.Origin`; `PAGES` maps paths to them. Knows
nothing of what a proxy may change.
"""

from __future__ import annotations

import gzip
import hashlib
import json

from tests.support.exchange import Exchange
from tests.support.llm_api import ZERO_CHUNK, chunk, message_events, send_stream
from tests.support.origin import Page

DATE = b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
EVENT_GAP_SECONDS = 0.12
"""Between the events of ``/sse``."""
CHUNK_GAP_SECONDS = 0.1
"""Between the chunks of ``/chunked``."""
LARGE_BODY = b"".join(b"%07d\n" % number for number in range(640 * 1024))
"""5 MiB in which every line is different."""
CHUNKS = (b"a", b"bc", b"d" * 5000, b"e" * 20_000, b"\r\n0\r\n\r\n", b"f")
"""What ``/chunked`` sends, each by itself; one looks like the end of a body and is not."""
GZIPPED = gzip.compress(b"squeezed " * 200, mtime=0)


def ok(body: bytes, *lines: bytes) -> bytes:
    """Return a whole 200 answer with a Content-Length."""
    head = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (DATE + head, len(body), body)


def fixed(*pieces: bytes) -> Page:
    """Return a page that reads the request and sends these pieces, each by a write of its own."""

    def page(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(*pieces)

    return page


def spaced(head: bytes, *chunks: bytes, end: bytes = ZERO_CHUNK) -> Page:
    """Return a page that sends chunks with pauses between."""

    def page(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(head)
        for data in chunks:
            exchange.pause(CHUNK_GAP_SECONDS)
            exchange.send(chunk(data))
        exchange.send(end)

    return page


def then_close(answer: bytes, *, orderly: bool = True, after_seconds: float = 0.0) -> Page:
    """Return a page that answers, then ends the connection."""

    def page(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(answer)
        exchange.pause(after_seconds)
        exchange.close() if orderly else exchange.cut()

    return page


def then_reset(answer: bytes) -> Page:
    """Return a page that sends something, then resets the connection."""

    def page(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(answer)
        exchange.pause(0.05)  # lets the bytes be read before RST makes the kernel drop them
        exchange.reset()

    return page


def count(exchange: Exchange) -> None:
    """Say which connection and which of its requests this was."""
    exchange.read_body()
    received = exchange.received
    exchange.send(ok(b"%d %d" % (received.connection, received.number)))


def digest(exchange: Exchange) -> None:
    """Say what the request's body was."""
    body = exchange.read_body()
    said = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    exchange.send(ok(json.dumps(said).encode(), b"Content-Type: application/json"))


def early(exchange: Exchange) -> None:
    """Answer before the body was read, then read it and go on."""
    exchange.send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 7\r\n\r\nno room")
    exchange.read_body(send_continue=False)


def refuse_expectation(exchange: Exchange) -> None:
    """Answer an expectation of 100 with a final status; the body must not come any more."""
    exchange.send(
        b"HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    exchange.close()


def early_then_close(exchange: Exchange) -> None:
    """Answer before the body was read, and end the connection; what comes is read away."""
    exchange.send(b"HTTP/1.1 413 Too Much\r\n" + DATE + b"\r\nno room")
    exchange.close()


def refuse_and_stay(exchange: Exchange) -> None:
    """Answer an expectation of 100 with a final status, and go on with the connection."""
    exchange.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
    exchange.read_body(send_continue=False)


def cut_after_upgrade(exchange: Exchange) -> None:
    """Switch protocols, speak, and end without TLS's good-bye."""
    exchange.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhalf"
    )
    exchange.cut()


def echo_after_upgrade(exchange: Exchange) -> None:
    """Switch protocols, speak first, then echo until the client ends its side."""
    exchange.open = False
    exchange.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nwelcome"
    )
    while data := exchange.wire.read_some():
        exchange.send(data)
    exchange.close()


def sse(exchange: Exchange) -> None:
    """Stream a message's events, well apart."""
    exchange.read_body()
    send_stream(exchange, message_events(), EVENT_GAP_SECONDS)


def silent(exchange: Exchange) -> None:
    """Never answer; wait until the client has left."""
    exchange.read_body()
    exchange.open = False
    exchange.wait_for_client_to_leave()


def stalled(exchange: Exchange) -> None:
    """Begin a stream, then say nothing until the client has left."""
    exchange.read_body()
    exchange.open = False
    exchange.send(CHUNKED, chunk(b"first"))
    exchange.wait_for_client_to_leave()


CHUNKED = b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n"
_NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n" + DATE
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n"
_TRAILERS = b"0\r\nX-Checksum: 1234\r\nx-Second: zwei\r\n\r\n"
_ODD = (
    b"HTTP/1.1 299 Quite Fine, Thanks\r\n"
    b"zeta: last letter first\r\ncontent-LENGTH: 3\r\nSet-Cookie: a=1; Path=/\r\n"
    b"X-MiXeD-cAsE: Yes\r\nset-cookie: b=2\r\nX-Empty: \r\nSET-COOKIE: a=1; Path=/\r\n"
    b"X-Latin: caf\xe9\r\nX_Under.score~: ok\r\nDATE: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"X-Inner: a  b\tc\r\nALPHA: 1\r\n\r\nodd"
)

PAGES: dict[str, Page] = {
    "/odd-headers": fixed(_ODD),
    "/no-reason": fixed(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
    "/split-head": fixed(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 2\r\n\r", b"\no", b"k"),
    "/chunked": spaced(CHUNKED, *CHUNKS),
    "/gzip": fixed(ok(GZIPPED, b"Content-Encoding: gzip", b"Vary: Accept-Encoding")),
    "/gzip-chunked": spaced(
        CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n", GZIPPED[:9], GZIPPED[9:]
    ),
    "/trailers": spaced(
        CHUNKED[:-2] + b"Trailer: X-Checksum, x-Second\r\n\r\n", b"data", end=_TRAILERS
    ),
    "/early-hints": fixed(_HINTS, b"HTTP/1.1 102 Processing\r\n\r\n", ok(b"done")),
    "/no-content": fixed(b"HTTP/1.1 204 No Content\r\n" + DATE + b"ETag: x\r\n\r\n"),
    "/not-modified": fixed(_NOT_MODIFIED + b'Content-Length: 55\r\nETag: "x"\r\n\r\n'),
    "/head": fixed(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 12345\r\n\r\n"),
    "/head-chunked": fixed(CHUNKED),
    "/empty": fixed(ok(b"")),
    "/until-close": then_close(b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\nuntil the end"),
    "/says-close": then_close(ok(b"bye", b"Connection: close")),
    "/http10": then_close(b"HTTP/1.0 200 OK\r\n" + DATE + b"\r\nold style"),
    "/http10-length": then_close(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"),
    "/large": fixed(ok(LARGE_BODY)),
    "/large-chunked": fixed(
        CHUNKED, *(chunk(LARGE_BODY[at : at + 70_000]) for at in range(0, len(LARGE_BODY), 70_000)),
        ZERO_CHUNK,
    ),
    "/digest": digest,
    "/count": count,
    "/early": early,
    "/early-then-close": early_then_close,
    "/refuse-and-stay": refuse_and_stay,
    "/upgrade-then-cut": cut_after_upgrade,
    "/until-close-cut": then_close(
        b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\nuntil the end", orderly=False
    ),
    "/refuse-expectation": refuse_expectation,
    "/upgrade": echo_after_upgrade,
    "/sse": sse,
    "/silent": silent,
    "/stalled": stalled,
    "/close-idle": then_close(ok(b"soon gone"), after_seconds=0.05),
    "/cut-length": then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
    "/cut-chunk": then_close(CHUNKED + b"64\r\nonly this"),
    "/cut-tls": then_close(CHUNKED + b"9\r\nonly this\r\n", orderly=False),
    "/reset": then_reset(CHUNKED + b"9\r\nonly this\r\n"),
}  # fmt: skip
