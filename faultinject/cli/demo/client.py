"""The demonstration's client. Like any program, it asks an API over HTTPS through a proxy.

It trusts only the proxy's certificate authority.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import trio
from attrs import define, field, frozen

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import End, Headers, RequestHead, ResponseHead, find_header
from faultinject.settings import Limits
from faultinject.tls.handshake import default_context

_HEAD_BYTES = Limits().head_bytes


@frozen(eq=False, repr=False)
class ApiResponse:
    """The response to a request."""

    head: ResponseHead
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return self.head.status

    def header(self, name: bytes) -> str | None:
        """Return the value of a header; the name is in lower case."""
        value = find_header(self.head.headers, name)
        return None if value is None else value.decode("latin-1")


class Watcher(Protocol):
    """Gets the parts of a response as they arrive."""

    def head(self, head: ResponseHead) -> None:
        """Take the head."""
        ...

    def body(self, data: bytes) -> None:
        """Take the body's next bytes."""
        ...


@define(eq=False, repr=False)
class Client:
    """A connection to an API through a proxy."""

    api: Authority
    _connection: UpstreamConnection

    async def post(self, path: str, document: Any, watcher: Watcher) -> ApiResponse:
        """Send a request and return its response; the watcher sees it arrive.

        Raises `UpstreamError` if the response breaks off.
        """
        body = json.dumps(document).encode()
        headers = (
            (b"Host", self.api.host.encode()),
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(body)),
        )
        await self._connection.send(RequestHead(b"POST", path.encode(), headers), body, End())
        [head, *parts] = await _parts(self._connection)
        watcher.head(head)
        answer = ApiResponse(head, await self._body(parts, watcher))
        self._connection.next_cycle()
        return answer

    async def _body(self, parts: list[Any], watcher: Watcher) -> bytes:
        body = bytearray()
        while True:
            for part in parts:
                if isinstance(part, End):
                    return bytes(body)
                watcher.body(part)
                body += part
            parts = await _parts(self._connection)


async def _parts(connection: UpstreamConnection) -> list[Any]:
    """Return the next parts of a response; the first of all is the head."""
    return list(await connection.receive())


@asynccontextmanager
async def connected(
    proxy: Authority, ca_cert: Path | None, api: Authority
) -> AsyncIterator[Client]:
    """Connect to an API through a proxy: CONNECT, then TLS in the tunnel.

    Only ``ca_cert`` is trusted; None means the system's certificates. Raises `UpstreamError` if
    the proxy refuses, `trio.BrokenResourceError` if TLS fails.
    """
    context = default_context(ca_cert)
    context.set_alpn_protocols(["http/1.1"])
    async with await trio.open_tcp_stream(proxy.host, proxy.port) as tcp:
        await _open_tunnel(tcp, api)
        tls = trio.SSLStream(tcp, context, server_hostname=api.host, https_compatible=True)
        async with tls:
            await tls.do_handshake()
            yield Client(api, UpstreamConnection(tls, head_bytes=_HEAD_BYTES))


async def _open_tunnel(tcp: trio.SocketStream, api: Authority) -> None:
    target = str(api).encode()
    headers: Headers = ((b"Host", target),)
    connection = UpstreamConnection(tcp, head_bytes=_HEAD_BYTES)
    await connection.send(RequestHead(b"CONNECT", target, headers), End())
    [head, *_] = await _parts(connection)
    if head.status != 200:
        raise UpstreamError("connect", f"CONNECT was answered {head.status}")


@define(eq=False, repr=False)
class TextReader:
    """Reads the text of a streamed message, however its bytes are split."""

    _unread: bytearray = field(factory=bytearray)

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes, and yield the pieces of text that are complete now."""
        self._unread += data
        while (end := self._unread.find(b"\n\n")) >= 0:
            event = bytes(self._unread[:end])
            del self._unread[: end + 2]
            yield from _texts(event)


def _texts(event: bytes) -> Iterator[str]:
    for line in event.splitlines():
        if line.startswith(b"data: "):
            document = json.loads(line.removeprefix(b"data: "))
            if document["type"] == "content_block_delta":
                yield document["delta"]["text"]
