"""Faults on real sockets, and on long streams: what only a kernel or a meter can tell."""

from __future__ import annotations

import contextlib
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from faultinject.net.memory_stream import memory_stream_pair
from faultinject.net.socket_stream import SocketStream
from faultinject.proxy.http_proxy import HttpProxy
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.dial import Origin
from tests.support.bench import TARGET, Bench, Script, open_bench, trusting_context
from tests.support.llm_api import chunk
from tests.support.peer import Peer
from tests.support.raw_client import Connected, RawClient
from tests.support.stream_api import ASK, EVENTS, HEAD, at_once

ABSOLUTE = ASK.replace(b"POST ", b"POST http://api.example.com")


@asynccontextmanager
async def listening(rule: dict[str, Any], upstream: Script = at_once) -> AsyncIterator[Connected]:
    """Serve a bench on a port; what is connected speaks through a tunnel, with TLS."""
    async with open_bench(upstream=upstream) as bench, trio.open_nursery() as nursery:
        bench.rules(rule)

        async def serve(accepted: trio.SocketStream) -> None:
            async with SocketStream(accepted) as stream:
                session = Session(bench.runtime, bench.runtime.next_session_id(), "client")
                await session.run(HttpProxy(stream, stream.acknowledge))

        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        yield Connected(port, None, f"{TARGET}:443")
        nursery.cancel_scope.cancel()


def ask(where: Connected) -> tuple[bytes, str]:
    """Ask plainly; return all that came, and how it ended."""
    with where.open() as client:
        client.send(ABSOLUTE)
        return client.read_end()


def ask_in_tls(where: Connected) -> tuple[bytes, str]:
    """Ask through a tunnel with TLS.

    On a bare socket: a reset that the `ssl` module meets in a read is told as an end.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting_context().wrap_bio(incoming, outgoing, server_hostname=TARGET)
    with Connected(where.port, None, where.authority, connect=True).open() as client:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send(outgoing.read())
                incoming.write(client.wire.read_some())
        tls.write(ASK)
        client.send(outgoing.read())
        data, end = client.read_end()
    incoming.write(data)
    return b"".join(iter(lambda: _decrypted(tls), b"")), end


def _decrypted(tls: ssl.SSLObject) -> bytes:
    with contextlib.suppress(ssl.SSLWantReadError):
        return tls.read()
    return b""


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("fault", "end", "events"),
    [
        ({"stream": {"after": {"count": 5}, "reset": True}}, "reset", 5),
        ({"stream": {"after": {"count": 5}, "cut": True}}, "closed", 5),
        ({"stream": {"after": {"count": 5}, "reset": True, "upstream": "skipped"}}, "reset", 5),
        ({"break": "reset"}, "reset", 0),
        ({"break": "close"}, "closed", 0),
        ({"break": {"how": "reset", "at": "request"}}, "reset", 0),
        ({"break": {"how": "close", "at": "request"}}, "closed", 0),
    ],
)
async def test_resets_are_resets(tls, fault, end, events):
    """A client on a bare socket gets ECONNRESET; a FIN is none."""
    async with listening({"fault": fault}) as where:
        data, seen = await trio.to_thread.run_sync(ask_in_tls if tls else ask, where)
    assert seen == end
    # To read what came before a reset is a race that the reset may win.
    assert data.count(b"\n\n") in ((events,) if end == "closed" else range(events + 1))


@pytest.mark.parametrize("at", ["connect", "handshake"])
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_before_there_is_a_request(at, how):
    """The same at the CONNECT, and at the handshake."""

    def speak(where: Connected) -> str:
        through = at == "handshake"
        with Connected(where.port, None, where.authority, connect=through).open() as client:
            said = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"
            client.send(said if at == "connect" else hello())
            return client.read_end()[1]

    async with listening({"fault": {"break": {"how": how, "at": at}}}) as where:
        end = await trio.to_thread.run_sync(speak, where)
    assert end == ("reset" if how == "reset" else "closed")


def hello() -> bytes:
    """Return a ClientHello."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=TARGET)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def test_a_stall_after_the_fifth_event_has_delivered_five():
    """They are read while it lasts."""

    def read_five(client: RawClient) -> bytes:
        client.send(ABSOLUTE)
        return client.wire.read_exactly(len(HEAD) + sum(len(chunk(event)) for event in EVENTS[:5]))

    rule = {"fault": {"stream": {"after": {"count": 5}, "stall": "forever"}}}
    async with listening(rule) as where:
        with where.open() as client:
            got = await trio.to_thread.run_sync(read_five, client)
            assert got == HEAD + b"".join(map(chunk, EVENTS[:5]))


# Memory


async def _open_bounded(bench: Bench, nursery: trio.Nursery, script: Script) -> Peer:
    """Return a client between which and a scripted upstream nothing is gathered by the test."""

    async def dial(origin: Origin) -> trio.abc.Stream:
        ours, theirs = memory_stream_pair()

        async def run() -> None:
            async with theirs:
                await script(Peer(theirs))

        nursery.start_soon(run)
        return ours

    async def serve(stream: trio.abc.Stream) -> None:
        async with stream:
            await Session(bench.runtime, bench.runtime.next_session_id(), "client").run(
                HttpProxy(stream)
            )

    bench.runtime.dial = dial
    ours, theirs = memory_stream_pair()
    nursery.start_soon(serve, theirs)
    return Peer(ours)


MEGABYTES = 30


async def test_memory_stays_flat():
    """In a stream of ten times what may be held, whatever waits in it."""
    event = b'event: x\ndata: {"type": "x", "t": "%b"}\n\n' % (b"x" * 120_000)
    count = MEGABYTES * 1_000_000 // len(event)

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(HEAD)
        for _ in range(count):
            await upstream.send(chunk(event))
        await upstream.send(b"0\r\n\r\n")
        await upstream.rest()

    async with open_bench() as bench, trio.open_nursery() as nursery:
        waits = {"before": "message_stop", "end": True, "chunks": "merge"}
        bench.rules({"fault": {"stream": [waits, {"drop": 3}]}})
        client = await _open_bounded(bench, nursery, script)
        tracemalloc.start()
        try:
            await client.send(ABSOLUTE)
            total, tail = 0, b""
            while not tail.endswith(b"\r\n0\r\n\r\n"):
                data = await client.stream.receive_some()
                total, tail = total + len(data), (tail + bytes(data))[-7:]
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert total >= (count - 3) * len(event)
        assert peak_bytes < 3_000_000
        await client.close()
        nursery.cancel_scope.cancel()


STALLED = 200


async def test_stalled_streams_gather_nothing(uncollected, autojump_clock):
    """Hundreds of them, each with 500 kB that the upstream would like to send then."""
    first, rest = HEAD + b"".join(map(chunk, EVENTS[:2])), chunk(EVENTS[2]) + chunk(b"x" * 500_000)

    stalled = trio.Event()

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(first)
        await stalled.wait()
        await upstream.send(rest)
        await upstream.rest()

    async with open_bench() as bench, trio.open_nursery() as nursery:
        bench.rules({"fault": {"stream": {"after": {"count": 2}, "stall": "forever"}}})

        async def begin() -> None:
            client = await _open_bounded(bench, nursery, script)
            await client.send(ABSOLUTE)
            got = b""
            while got != first:
                got += await client.stream.receive_some()

        async with trio.open_nursery() as beginning:
            for _ in range(STALLED):
                beginning.start_soon(begin)
        tracemalloc.start()
        try:
            stalled.set()
            await trio.testing.wait_all_tasks_blocked()
            held_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held_bytes / STALLED < 100_000  # the upstream's own pipe is full; no second one is
        nursery.cancel_scope.cancel()
