"""The load generator's client: CONNECT, TLS and HTTP/1.1 on a blocking socket.

Checks every answer.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from types import TracebackType
from typing import Self

from attrs import frozen

TIMEOUT_SECONDS = 20.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED, LAST_CHUNK = b"transfer-encoding: chunked", b"\r\n0\r\n\r\n"
BODY = json.dumps(
    {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "x" * 920}],
    }
).encode()
"""About 1 KB, like a short prompt."""


class WrongAnswerError(Exception):
    """A proxy did not answer as it should: the sample does not count."""


@frozen
class Address:
    """Where to go: through the proxy at a port, or straight to the origin if that is None."""

    proxy_port: int | None
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As CONNECT and Host want it."""
        return f"{self.host}:{self.port}"


LONG_BODY = BODY.replace(b"x" * 920, b"x" * 200_000)
"""About 200 KB, like a prompt with files."""


def headers(authority: str, body: bytes = BODY) -> dict[str, str]:
    """The 14 headers of a request, such as an SDK sends."""
    return {
        "Host": authority,
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "Bench/Python 1.0",
        "X-Stainless-Lang": "python",
        "X-Stainless-OS": "Linux",
        "X-Stainless-Arch": "x64",
        "X-Stainless-Runtime": "CPython",
        "X-Stainless-Retry-Count": "0",
        "X-Api-Key": "sk-bench-0000000000000000000000000000",
        "Anthropic-Version": "2023-06-01",
        "Content-Length": str(len(body)),
    }


def post(authority: str, body: bytes = BODY, path: str = "/v1/messages") -> bytes:
    """The request of W1, W2 and W4, head and body at once."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(authority, body).items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Tunnel:
    """A connection to the origin, with TLS if a context is given."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        port = address.proxy_port or address.port
        self.stream = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        try:
            self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.proxy_port:
                self._connect(address.authority)
            if tls:
                self.stream = tls.wrap_socket(self.stream, server_hostname=address.host)
        except BaseException:
            self.stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.close()

    def ask(self, request: bytes, *statuses: int) -> None:
        """Send a request and read its whole answer, which must have one of these statuses."""
        self.stream.sendall(request)
        head, rest = self._head()
        if head[9:12] not in [b"%d" % status for status in statuses]:
            raise WrongAnswerError(f"{head[:40]!r} where {statuses} was due")
        length = LENGTH.search(head)
        if length is None:
            raise WrongAnswerError("an answer without Content-Length")
        missing_bytes = int(length[1]) - len(rest)
        while missing_bytes > 0:
            missing_bytes -= len(self._receive())
        if missing_bytes:
            raise WrongAnswerError("more bytes than Content-Length says")

    def ask_for_stream(self, request: bytes) -> None:
        """Send a request and read its whole answer, which must be a 200 in chunks."""
        self.stream.sendall(request)
        head, received = self._head()
        if head[9:12] != b"200" or CHUNKED not in head.lower():
            raise WrongAnswerError(f"{head[:40]!r} where a stream was due")
        while not received.endswith(LAST_CHUNK):
            received = received[-len(LAST_CHUNK) :] + self._receive()

    def _connect(self, authority: str) -> None:
        self.stream.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head, rest = self._head()
        if head[9:12] != b"200" or rest:
            raise WrongAnswerError(f"CONNECT was answered by {head[:60]!r}")

    def _head(self) -> tuple[bytes, bytes]:
        received = self._receive()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        return received[: end + 2], received[end + 4 :]

    def _receive(self) -> bytes:
        if received := self.stream.recv(65536):
            return received
        raise WrongAnswerError("the connection ended where an answer was due")
