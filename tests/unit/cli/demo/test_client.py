"""The demonstration's client: how it reads a stream, and what it makes of proxies that fail it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from faultinject.authority import Authority
from faultinject.cli.demo import setup as stage_module
from faultinject.cli.demo.client import TextReader, connected
from faultinject.cli.demo.setup import API, TEXT, open_setup
from faultinject.errors import UpstreamError
from faultinject.http.message import ResponseHead
from tests.support.peer import Peer

STREAM = (
    b'event: message_start\ndata: {"type":"message_start"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"one"}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":" 2"} }\n\n'
)


class Watched:
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.heads: list[ResponseHead] = []
        self.data: list[bytes] = []

    def head(self, head: ResponseHead) -> None:
        """See the head."""
        self.heads.append(head)

    def body(self, data: bytes) -> None:
        """See the body's next bytes."""
        self.data.append(data)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_texts_of_a_stream(size: int) -> None:
    """The texts come out in order, however the stream is cut."""
    reader, texts = TextReader(), list[str]()
    for start in range(0, len(STREAM), size):
        texts += reader.feed(STREAM[start : start + size])
    assert texts == ["one", " 2"]


def test_a_text_is_out_as_soon_as_it_is_complete() -> None:
    """A text does not wait for the event after it."""
    reader = TextReader()
    end_of_first = STREAM.index(b"event: ping")
    assert list(reader.feed(STREAM[: end_of_first - 1])) == []
    assert list(reader.feed(STREAM[end_of_first - 1 : end_of_first])) == ["one"]


async def test_requests_on_one_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a whole setup: an injected answer, then a streamed one, seen as it comes."""
    monkeypatch.setattr(stage_module, "GAP_SECONDS", 0.005)
    async with (
        open_setup(tmp_path, 529, (True, False)) as setup,
        connected(setup.proxy_address, setup.proxy.ca_cert, API) as client,
    ):
        failed = await client.post("/v1/messages", {}, Watched())
        assert failed.status == 529
        assert failed.header(b"x-faultinject") == "options"
        assert failed.header(b"no-such-header") is None
        watched = Watched()
        streamed = await client.post("/v1/messages", {"stream": True}, watched)
        assert [head.status for head in watched.heads] == [200]
        assert b"".join(watched.data) == streamed.body
        assert len(watched.data) > 3
        assert "".join(TextReader().feed(streamed.body)) == TEXT


@asynccontextmanager
async def odd_proxy(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Authority]:
    """Run something that is no good as a proxy."""

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            peer = Peer(stream)
            await peer.read_message()
            await serve(peer)

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield Authority("127.0.0.1", listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def _fail(proxy: Authority, ca_cert: Path) -> None:
    async with connected(proxy, ca_cert, API):
        pytest.fail("there is nothing to be connected to")


async def test_a_proxy_that_declines(tmp_path: Path) -> None:
    """An answer to CONNECT that is no 200 is an error that says so."""
    async with open_setup(tmp_path, 429, ()) as setup:

        async def serve(client: Peer) -> None:
            await client.send(b"HTTP/1.1 407 Go Away\r\nContent-Length: 0\r\n\r\n")

        async with odd_proxy(serve) as proxy:
            with pytest.raises(UpstreamError, match=re.escape("CONNECT was answered 407")):
                await _fail(proxy, setup.proxy.ca_cert)


async def test_a_proxy_that_leaves(tmp_path: Path) -> None:
    """So is the end of the connection."""
    async with open_setup(tmp_path, 429, ()) as setup:

        async def serve(client: Peer) -> None:
            await client.close()

        async with odd_proxy(serve) as proxy:
            with pytest.raises(UpstreamError, match="ended"):
                await _fail(proxy, setup.proxy.ca_cert)


async def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    """The client verifies: with the API's own authority the proxy's certificate is refused."""
    async with open_setup(tmp_path, 429, ()) as setup:
        with pytest.raises(trio.BrokenResourceError):
            await _fail(setup.proxy_address, tmp_path / "api" / "fault-ca.crt")
