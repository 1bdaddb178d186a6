"""A client or upstream of a few lines: reads HTTP messages off a Trio stream exactly, sends bytes.

It is deliberately no HTTP library: what it hands out is what was on the wire.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from typing import Any

import trio
from attrs import frozen

from tests.support.wire import header, header_words, parse_headers


class Cut(Exception):
    """The other side ended the connection within a message; ``args[0]`` is what had come."""


@frozen
class Message:
    """A request or response as it came."""

    head: bytes
    body: bytes = b""
    raw_body: bytes = b""
    """With its chunks and trailers."""

    @property
    def line(self) -> bytes:
        """The request or status line."""
        return self.head.partition(b"\r\n")[0]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.line.split(b" ")[1])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers in order."""
        return parse_headers(self.head)

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header by its lower-case name."""
        return header(self.head, name)

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Peer:
    """One side of a connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = bytearray()

    # Sending

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each by a write of its own."""
        for piece in pieces:
            await self.stream.send_all(piece)

    async def half_close(self) -> None:
        """Say that nothing more will be sent."""
        assert isinstance(self.stream, trio.abc.HalfCloseableStream)
        await self.stream.send_eof()

    async def close(self) -> None:
        """End the connection in good order."""
        await self.stream.aclose()

    async def cut(self) -> None:
        """End the connection at once, without TLS's good-bye."""
        await trio.aclose_forcefully(self.stream)

    async def start_tls(
        self, context: ssl.SSLContext, name: str | None = None, **more: Any
    ) -> trio.SSLStream[trio.abc.Stream]:
        """Shake hands as a client; from here on everything is said in TLS."""
        stream = trio.SSLStream(self.stream, context, server_hostname=name, **more)
        await stream.do_handshake()
        self.stream = stream
        return stream

    async def fail_tls(self, context: ssl.SSLContext, name: str) -> ssl.SSLError:
        """Shake hands, which must fail; send the alert, as browsers do, and return the reason."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname=name)
        while True:
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                await self.send(outgoing.read())
                incoming.write(await self.receive())
            except ssl.SSLError as error:
                await self.send(outgoing.read())
                return error
            else:
                raise AssertionError("the handshake succeeded")

    # Receiving

    async def receive(self) -> bytes:
        """Return what is there or comes next; nothing at the end."""
        if not self._buffer:
            self._buffer += await self.stream.receive_some()
        return self._take(len(self._buffer))

    async def rest(self) -> bytes:
        """Return everything up to the end of the connection, which must be a clean one."""
        while data := await self.stream.receive_some():
            self._buffer += data
        return self._take(len(self._buffer))

    async def end(self) -> bytes:
        """Return everything up to the end of the connection, however that comes."""
        with contextlib.suppress(trio.BrokenResourceError):
            return await self.rest()
        return self._take(len(self._buffer))

    async def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and including a mark; nothing at the end before a first byte."""
        while (found := self._buffer.find(mark)) < 0:
            if not await self._fill():
                return b""
        return self._take(found + len(mark))

    async def read_exactly(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        while len(self._buffer) < count:
            if not await self._fill():
                break
        return self._take(count)

    async def read_message(self, *, method: bytes = b"GET") -> Message | None:
        """Return the next message, or None if the connection ends instead of one.

        ``method`` is of the request that a response answers.
        """
        head = await self.read_until(b"\r\n\r\n")
        if not head:
            return None
        if b"chunked" in header_words(head, b"transfer-encoding"):
            return Message(head, *await self._chunks())
        body = await self._plain_body(head, method)
        return Message(head, body, body)

    async def answer(self, *, method: bytes = b"GET") -> Message:
        """Return the next response; the connection must not end instead."""
        message = await self.read_message(method=method)
        if message is None:
            raise Cut(b"")
        return message

    async def ask(self, request: bytes) -> Message:
        """Send a request and return its answer."""
        await self.send(request)
        return await self.answer(method=request.split(b" ")[0])

    async def _plain_body(self, head: bytes, method: bytes) -> bytes:
        if (length := header(head, b"content-length")) is not None and method != b"HEAD":
            return await self.read_exactly(int(length))
        response = head.startswith(b"HTTP/")
        if not response or method in (b"HEAD", b"CONNECT"):
            return b""
        status = int(head.split(b" ")[1])
        return b"" if status < 200 or status in (204, 304) else await self.rest()

    async def _chunks(self) -> tuple[bytes, bytes]:
        body, raw = b"", b""
        while True:
            line = await self.read_until(b"\r\n")
            raw += line
            if not (size := _chunk_size(line)):
                break
            chunk = await self.read_exactly(size + 2)
            body, raw = body + chunk[:-2], raw + chunk
        while (line := await self.read_until(b"\r\n")) != b"\r\n":
            if not line:
                raise Cut(raw)
            raw += line
        return body, raw + line

    async def _fill(self) -> bool:
        data = await self.stream.receive_some()
        self._buffer += data
        if not data and self._buffer:
            raise Cut(self._take(len(self._buffer)))
        return bool(data)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise Cut(line) from None
