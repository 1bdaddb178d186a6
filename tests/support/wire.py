"""Bytes of HTTP/1.1 read from a blocking socket, exactly and with their times.

Both the scripted origin and the raw client read through this. It is deliberately no HTTP library:
what it hands out is what was on the wire, and it accepts nothing it does not understand. Knows
nothing of TLS, of who is the client, or of what a message means.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

READ_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"


class Wire:
    """A socket with a buffer in front of it; ``consumed`` keeps every byte that was handed out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.consumed = bytearray()
        self.read_at = 0.0
        """When the newest bytes came in (`time.monotonic`)."""
        self._buffer = bytearray()

    def _fill(self) -> bool:
        data = self.sock.recv(READ_BYTES)
        self.read_at = time.monotonic()
        self._buffer += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.consumed += data
        return data

    def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and including a mark; what there is (or nothing) at the end."""
        start = 0
        while (found := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark))
            if not self._fill():
                return self._take(len(self._buffer))
        return self._take(found + len(mark))

    def read_head(self) -> bytes:
        """Return a head with its empty line, or nothing if the peer ended before its first byte."""
        head = self.read_until(HEAD_END)
        if head and not head.endswith(HEAD_END):
            raise EOFError(f"the peer ended within a head: {head[:200]!r}")
        return head

    def read_pieces(self, count: int) -> Iterator[bytes]:
        """Yield ``count`` bytes as they come in; raises `EOFError` if the peer ends before."""
        while count:
            if not self._buffer and not self._fill():
                raise EOFError(f"the peer ended {count} bytes too early")
            piece = self._take(min(count, len(self._buffer)))
            count -= len(piece)
            yield piece

    def read_exactly(self, count: int) -> bytes:
        """Return ``count`` bytes; raises `EOFError` if the peer ends before."""
        return b"".join(self.read_pieces(count))

    def read_chunk_pieces(self) -> Iterator[bytes]:
        """Yield the data of a chunk (RFC 9112 section 7.1) as it comes in; nothing of the last."""
        line = self.read_until(b"\r\n")
        if not line.endswith(b"\r\n"):
            raise EOFError("the peer ended before a chunk")
        size = int(line.split(b";")[0], 16)
        yield from self.read_pieces(size)
        if size and self.read_exactly(2) != b"\r\n":
            raise ValueError("a chunk is longer than it says")

    def read_chunk(self) -> bytes:
        """Return the data of one chunk, which is empty for the last."""
        return b"".join(self.read_chunk_pieces())

    def read_trailers(self) -> bytes:
        """Return the lines after the last chunk, without the empty one."""
        lines = []
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            if not line:
                raise EOFError("the peer ended within the trailers")
            lines.append(line)
        return b"".join(lines)

    def read_some(self) -> bytes:
        """Return what is there or comes in next; nothing at the end."""
        if not self._buffer:
            self._fill()
        return self._take(len(self._buffer))


def parse_headers(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return names (in their case) and values (without outer blanks) of a head, in order."""
    lines = head.removesuffix(HEAD_END).split(b"\r\n")[1:]
    pairs = (line.partition(b":") for line in lines)
    return [(name, value.strip(b" \t")) for name, _, value in pairs]


def header(head: bytes, name: bytes) -> bytes | None:
    """Return the value of the first header of that (lower-case) name."""
    return next((value for key, value in parse_headers(head) if key.lower() == name), None)


def header_words(head: bytes, name: bytes) -> set[bytes]:
    """Return the comma-separated words of the headers of that name, in lower case."""
    values = (value for key, value in parse_headers(head) if key.lower() == name)
    return {word.strip().lower() for value in values for word in value.split(b",")}
