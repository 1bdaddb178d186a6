"""TLS that ends without close_notify ends so for the other side, too (RFC 9112 section 9.8)."""

from __future__ import annotations

import pytest
import trio

from faultinject.net.streams import Layered
from faultinject.proxy.upstream.dial import Origin
from tests.support.bench import TARGET, Bench, answers, get, open_bench, post
from tests.support.peer import Peer


class Cut(Layered):
    """A stream as of TLS that ends without its last word; it knows whether ours was said."""

    truncated = True

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self.told_end = False

    async def end_sending(self) -> None:
        self.told_end = True
        await trio.lowlevel.checkpoint()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.transport.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.transport.aclose()


def cut_upstreams(bench: Bench) -> list[Cut]:
    """Have upstreams of a bench cut; return those that were dialled, as they are."""
    dialled: list[Cut] = []

    async def dial(origin: Origin) -> trio.abc.Stream:
        dialled.append(Cut(await bench.dialer.dial(origin)))
        return dialled[-1]

    bench.runtime.dial = dial
    return dialled


@pytest.mark.parametrize("uploading", [False, True])
async def test_a_truncated_answer_ends_without_a_good_bye(autojump_clock, uploading):
    """It may have been cut by an attacker (RFC 9112 section 9.8); the client shall see that."""

    async def cut(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")

    async with open_bench(upstream=cut) as bench:
        cut_upstreams(bench)
        client = await bench.tls()
        await client.send(post("/", b"x" * 9)[: -5 if uploading else None])
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        assert await client.end() == b"HTTP/1.1 200 OK\r\n\r\nhalf"
        exchange = await bench.exchange()
        assert exchange.outcome == "upstream-error"
        assert "close_notify" in str(exchange.error)


async def test_an_answer_of_known_length_needs_no_good_bye(autojump_clock):
    """It is whole whatever ends its connection."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    async with open_bench(upstream=answers(said)) as bench:
        cut_upstreams(bench)
        client = await bench.tls()
        await client.send(get("/"))
        assert await client.rest() == said
        assert (await bench.exchange()).outcome == "forwarded"


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UPGRADE = get("/", TARGET, b"Connection: Upgrade", b"Upgrade: websocket")


async def test_a_truncated_upgrade_ends_without_a_good_bye(autojump_clock):
    """For the client, and for the upstream that ended so."""
    async with open_bench(upstream=answers(UPGRADED + b"half")) as bench:
        dialled = cut_upstreams(bench)
        client = await bench.tls()
        await client.send(UPGRADE)
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        assert await client.end() == UPGRADED + b"half"
        await bench.ended()
        assert bench.outcomes == ["upgraded"]
        assert [stream.told_end for stream in dialled] == [False]


@pytest.mark.parametrize("orderly", [True, False])
async def test_how_a_client_ends_an_upgrade_is_passed_on(autojump_clock, orderly):
    """Its good-bye is, and the lack of one is."""

    async def upgrades(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(UPGRADED)
        await upstream.rest()

    async with open_bench(upstream=upgrades) as bench:
        dialled = cut_upstreams(bench)
        client = await bench.tls()
        assert (await client.ask(UPGRADE)).status == 101
        await (client.close() if orderly else client.cut())
        await bench.ended()
        assert [stream.told_end for stream in dialled] == [orderly]


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9\r\n123456789\r\n"
)


async def test_a_fault_that_cuts_an_early_answer_ends_the_upload(autojump_clock):
    """The client sees the cut at once, though it has not sent all."""

    async def early(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(STREAM)
        await upstream.rest()

    async with open_bench(upstream=early) as bench:
        bench.rules({"fault": {"stream": {"after": {"bytes": 3}, "cut": True}}})
        client = await bench.tls()
        await client.send(post("/v1/messages", b"x" * 99)[:-50])
        assert (await client.end()).endswith(b"\r\n\r\n3\r\n123\r\n")
        assert trio.current_time() < 1
        assert bench.outcomes == ["harmed"]
