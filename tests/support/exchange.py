"""A request as the scripted origin received it, and the means to answer it byte by byte."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from contextlib import suppress

from attrs import define, field

from tests.support.wire import Wire, header, header_words


@define(eq=False)
class Received:
    """A request as it came in. Times are `time.monotonic`."""

    connection: int
    """Counts the origin's connections from 1."""
    number: int
    """Counts the requests of the connection from 1."""
    head: bytes
    arrived: float
    body: bytes = b""
    raw_body: bytes = b""
    """The body with its framing."""
    trailers: bytes = b""
    sent_at: list[float] = field(factory=list)
    """When each `Exchange.send` began."""
    left: threading.Event = field(factory=threading.Event)
    """Set once the page is done or the client was seen to be gone."""
    client_gone: float | None = None
    """When sending or reading failed for want of a client."""

    @property
    def method(self) -> str:
        """The method."""
        return self.head.split(b" ", 1)[0].decode("ascii")

    @property
    def target(self) -> str:
        """The request target as sent."""
        return self.head.split(b" ", 2)[1].decode("ascii")

    @property
    def path(self) -> str:
        """The target's path, without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return a header's first value."""
        value = header(self.head, name.lower().encode())
        return None if value is None else value.decode("latin-1")


class Exchange:
    """A request and the means to answer it, as a page gets it."""

    def __init__(self, received: Received, wire: Wire, stopping: threading.Event) -> None:
        self.received = received
        self.wire = wire
        self.open = True
        """Whether the connection serves another request afterwards."""
        self._stopping = stopping
        self._body_read = False

    def read_body(self, *, send_continue: bool = True) -> bytes:
        """Read the request's body once, after the 100 that its client may wait for."""
        if not self._body_read:
            self._body_read = True
            if send_continue and b"100-continue" in header_words(self.received.head, b"expect"):
                self.wire.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._take_body()
        return self.received.body

    def _take_body(self) -> None:
        mark, head, wire = len(self.wire.consumed), self.received.head, self.wire
        if b"chunked" in header_words(head, b"transfer-encoding"):
            self.received.body = b"".join(iter(wire.read_chunk, b""))
            self.received.trailers = wire.read_trailers()
        else:
            self.received.body = wire.read_exactly(int(header(head, b"content-length") or 0))
        self.received.raw_body = bytes(wire.consumed[mark:])

    def send(self, *pieces: bytes) -> None:
        """Send bytes as they are, each piece by a write of its own."""
        for piece in pieces:
            self.received.sent_at.append(time.monotonic())
            self.wire.sock.sendall(piece)

    def pause(self, seconds: float) -> None:
        """Wait, as a page that is spaced in time does; the origin's end cuts it short."""
        self._stopping.wait(seconds)

    def wait_for_client_to_leave(self) -> None:
        """Read until the client ends its side, however it does."""
        while self.wire.read_some():
            pass

    def close(self) -> None:
        """End the connection in good order: close_notify (if TLS), FIN, then the client's end.

        A client that was faster is fine: its own end can still be read.
        """
        self.open = False
        with suppress(OSError):
            send_close_notify(self.wire.sock)
            self.wire.sock.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End the connection with FIN alone, without TLS's close_notify."""
        self.open = False
        self.wire.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        self.open = False
        linger = struct.pack("ii", 1, 0)
        self.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.wire.sock.close()


def send_close_notify(sock: socket.socket) -> None:
    """Send TLS's close_notify without waiting for the peer's; nothing without TLS."""
    if isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        try:
            sock.unwrap()
        except ssl.SSLWantReadError:
            pass  # sent; the peer's own may come or not
        finally:
            sock.setblocking(True)
