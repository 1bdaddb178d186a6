"""A client of bare sockets that keeps every byte and when it came.

It speaks to an origin directly or through a proxy's CONNECT, so that the two can be compared.
Blocking, with a bound on every wait.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from attrs import define, field, frozen

from tests.support.wire import Wire, header, header_words

ANSWER_SECONDS = 60.0
"""How long any read may take."""


@frozen
class Connected:
    """How to reach something: where to connect, by way of CONNECT or not, whom to trust."""

    port: int
    ca_file: Path | None
    """None stands for no TLS."""
    authority: str = "api.anthropic.com:443"
    connect: bool = False
    connect_headers: bytes = b""

    def open(self) -> RawClient:
        """Connect; the client is a context manager."""
        sock = socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS)
        try:
            return RawClient(self._prepared(sock))
        except BaseException:
            sock.close()
            raise

    def _prepared(self, sock: socket.socket) -> socket.socket:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.connect:
            self._connect(sock)
        if self.ca_file is None:
            return sock
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.set_alpn_protocols(["http/1.1"])
        name = self.authority.rpartition(":")[0]
        return context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)

    def _connect(self, sock: socket.socket) -> None:
        name = self.authority.encode()
        sock.sendall(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (name, name))
        sock.sendall(self.connect_headers + b"\r\n")
        head = Wire(sock).read_head()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"CONNECT was answered {head!r}")


@define
class Answer:
    """What came for one request. Times are `time.monotonic`."""

    interim: list[bytes] = field(factory=list)
    """The heads of 1xx answers."""
    head: bytes = b""
    body: bytes = b""
    trailers: bytes = b""
    raw: bytes = b""
    """All bytes of it, in order."""
    arrivals: list[tuple[int, float]] = field(factory=list)
    """Up to which byte the body had come, and when."""
    end: str = "complete"
    """How it ended: ``complete``, ``closed`` (close_notify or plain FIN), ``cut`` (FIN without
    close_notify), ``reset``."""

    def time_of(self, offset: int) -> float:
        """Return when the body's byte of that offset was there."""
        return next(when for end, when in self.arrivals if end > offset)

    def content(self) -> tuple[object, ...]:
        """Return what a client can tell apart but for times and the sizes of chunks."""
        return (*self.interim, self.head, self.body, self.trailers, self.end)


class RawClient:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.wire = Wire(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_details: object) -> None:
        self.sock.close()

    @property
    def tls(self) -> ssl.SSLSocket:
        """The socket, for what TLS says of the peer."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    @property
    def certificate(self) -> Mapping[str, object]:
        """The peer's certificate, as Python reads it."""
        return self.tls.getpeercert() or {}

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each by a write of its own."""
        for piece in pieces:
            self.sock.sendall(piece)

    def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(request)
        return self.read_answer(method=request.split(b" ", 1)[0])

    def read_answer(self, method: bytes = b"GET") -> Answer:
        """Read the answer to a request of that method, however it ends."""
        answer, mark = Answer(), len(self.wire.consumed)
        try:
            self._read(answer, method)
        except (EOFError, OSError) as error:
            answer.end = _ending(error)
        answer.raw = bytes(self.wire.consumed[mark:])
        return answer

    def _read(self, answer: Answer, method: bytes) -> None:
        while _is_interim(head := self.wire.read_head()):
            answer.interim.append(head)
        if not head:
            raise EOFError
        answer.head = head
        self._read_body(answer, method, int(head.split(b" ")[1]))

    def _read_body(self, answer: Answer, method: bytes, status: int) -> None:
        length = header(answer.head, b"content-length")
        if method == b"HEAD" or status in (101, 204, 304):
            return
        if b"chunked" in header_words(answer.head, b"transfer-encoding"):
            while self._read_chunk(answer):
                pass
            answer.trailers = self.wire.read_trailers()
        elif length is not None:
            for data in self.wire.read_pieces(int(length)):
                self._keep(answer, data)
        else:
            while data := self.wire.read_some():
                self._keep(answer, data)
            answer.end = "closed"

    def _read_chunk(self, answer: Answer) -> bool:
        before = len(answer.body)
        for data in self.wire.read_chunk_pieces():
            self._keep(answer, data)
        return len(answer.body) > before

    def _keep(self, answer: Answer, data: bytes) -> None:
        answer.body += data
        answer.arrivals.append((len(answer.body), self.wire.read_at))

    def read_end(self) -> tuple[bytes, str]:
        """Return what else comes, and how the connection ends."""
        data = bytearray()
        try:
            while piece := self.wire.read_some():
                data += piece
        except OSError as error:
            return bytes(data), _ending(error)
        return bytes(data), "closed"


def _is_interim(head: bytes) -> bool:
    status = head.split(b" ", 2)[1:2]
    return bool(status) and status[0].startswith(b"1") and status[0] != b"101"


def _ending(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        raise error
    if isinstance(error, ConnectionResetError):
        return "reset"
    return "closed" if isinstance(error, EOFError) else "cut"
