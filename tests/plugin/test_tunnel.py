"""Tunnels with real TLS on both sides behind the simulated host."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from faultinject.events import HandshakeFailed, RelayEnded
from tests.support.bench import RSA_ONLY, TARGET, get, ok, post, rsa_leaves, trusting_context
from tests.support.fault_world import answers_all, world
from tests.support.peer import Peer
from tests.support.tls_peers import client_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("upstream", VERSIONS)
@pytest.mark.parametrize("client", VERSIONS)
@pytest.mark.parametrize("raw", [False, True])
async def test_injected_and_forwarded_requests_on_one_tunnel(
    client: ssl.TLSVersion, upstream: ssl.TLSVersion, raw: bool, autojump_clock: trio.abc.Clock
) -> None:
    """First, later, and many in a row, on TLS 1.2 and 1.3 on either side."""
    async with world(version=upstream, raw=raw) as here:
        peer = await here.tls(version=client)
        for number in range(12):
            injected = number % 3 == 1 or 5 < number < 9
            here.bench.inject(1.0 if injected else 0.0)
            answer = await peer.ask(get(f"/{number}"))
            assert answer.status == (429 if injected else 200), number
            assert injected or answer.body == b"GET /%d HTTP/1.1 0" % number
        assert not here.pair.over.is_set()


async def test_a_client_that_knows_rsa_only(autojump_clock: trio.abc.Clock) -> None:
    """It is shown an RSA certificate."""
    async with world() as here:
        here.bench.runtime.leaves = rsa_leaves()
        peer = await here.tls(**RSA_ONLY)
        for _ in range(2):
            assert (await peer.ask(get("/"))).status == 200


async def test_the_first_request_is_injected(autojump_clock: trio.abc.Clock) -> None:
    """Nothing but the carrier reaches the upstream."""
    seen: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            seen.append(request.head)
            await upstream.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n")

    async with world(probability=1.0, script=remembers) as here:
        peer = await here.tls()
        assert (await peer.ask(post("/v1/messages", b"secret" * 100_000))).status == 429
    assert seen == [b"HEAD / HTTP/1.1\r\nHost: %b\r\n\r\n" % TARGET.encode()]


async def test_large_bodies_both_ways(autojump_clock: trio.abc.Clock) -> None:
    """1 MB up is counted by the upstream, 1.5 MB down arrive unchanged."""
    body = bytes(range(256)) * 6_000

    async def large(upstream: Peer) -> None:
        while request := await upstream.read_message():
            answer = ok(b"%d " % len(request.body) + body)
            head = request.line.startswith(b"HEAD")  # the carrier of a long upload
            await upstream.send(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head else answer)

    async with world(script=large) as here:
        peer = await here.tls()
        answer = await peer.ask(post("/", b"u" * 1_000_000))
        assert answer.body == b"1000000 " + body


async def test_a_stream_keeps_its_spacing(autojump_clock: trio.abc.Clock) -> None:
    """Each event arrives when it was sent."""

    async def sse(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            await trio.sleep(1)
            await upstream.send(b"9\r\ndata: %d\n\n\r\n" % number)
        await upstream.send(b"0\r\n\r\n")

    async with world(script=sse) as here:
        peer = await here.tls()
        started = trio.current_time()
        await peer.send(get("/"))
        for number in range(5):
            await peer.read_until(b"data: %d\n\n" % number)
            assert trio.current_time() - started == pytest.approx(number + 1, abs=0.1)


async def test_a_host_that_is_no_target_is_relayed(autojump_clock: trio.abc.Clock) -> None:
    """Its own TLS, end to end, unchanged."""
    async with world(plain_upstream=True) as here:
        hello = client_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        other = hello.wrap_bio(incoming, outgoing, server_hostname="other.example.com")
        with pytest.raises(ssl.SSLWantReadError):
            other.do_handshake()
        sent = outgoing.read()
        await here.host.client.send_all(sent)
        assert await here.host.upstream.receive_bytes(len(sent)) == sent
        await here.host.upstream.send_all(b"whatever" * 1000)
        assert await here.host.client.receive_bytes(8000) == b"whatever" * 1000


async def test_an_upstream_that_greets_is_relayed(autojump_clock: trio.abc.Clock) -> None:
    """SMTP or SSH: the upstream's first byte decides."""
    async with world(plain_upstream=True) as here:
        await here.host.upstream.send_all(b"220 hello\r\n")
        assert await here.host.client.receive_bytes(11) == b"220 hello\r\n"
        await here.host.client.send_all(b"EHLO\r\n")
        assert await here.host.upstream.receive_bytes(6) == b"EHLO\r\n"


async def test_an_upstream_without_tls_is_an_alert(autojump_clock: trio.abc.Clock) -> None:
    """The client hears at once that there is no TLS, and the reason is told."""
    async with world(plain_upstream=True) as here:
        async with trio.open_nursery() as nursery:

            async def refuse() -> None:
                await here.host.upstream.receive_some()
                await here.host.upstream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            nursery.start_soon(refuse)
            error = await Peer(here.host.client).fail_tls(trusting_context(), TARGET)
            assert "HANDSHAKE_FAILURE" in str(error).upper().replace(" ", "_")
        assert len(here.bench.of(HandshakeFailed)) == 1
        assert not here.bench.of(RelayEnded)


async def test_a_client_that_says_goodbye(autojump_clock: trio.abc.Clock) -> None:
    """close_notify from the client becomes close_notify to the upstream, and back."""
    ended = trio.Event()

    async def until_the_end(upstream: Peer) -> None:
        await answers_all(upstream)
        ended.set()

    async with world(script=until_the_end) as here:
        peer = await here.tls()
        assert (await peer.ask(get("/"))).status == 200
        assert isinstance(peer.stream, trio.SSLStream)
        await peer.stream.aclose()
        await ended.wait()
