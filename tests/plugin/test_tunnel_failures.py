"""How tunnels behind Fault end that cannot be served: an alert or an end, and a reason told."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from faultinject.authority import TargetPattern
from faultinject.events import (
    HandshakeFailed,
    RelayEnded,
    SessionEnded,
    Warned,
)
from faultinject.settings import Limits
from faultinject.tls.client_hello import AlertDescription, fatal_alert
from tests.support.bench import TARGET, get, trusting_context
from tests.support.fault_world import World, world
from tests.support.peer import Peer
from tests.support.tls_peers import client_context, client_hello


async def say_nothing(upstream: Peer) -> None:
    """Wait for the end."""
    await upstream.rest()


def old_hello() -> bytes:
    """Return a hello of TLS 1.1 for the target, as OpenSSL no longer writes it."""
    hello = bytearray(client_hello(client_context(version=ssl.TLSVersion.TLSv1_2), TARGET))
    hello[9:11] = b"\x03\x02"  # legacy_version, which is the highest where there is no extension
    return bytes(hello)


async def test_old_tls_gets_its_alert(autojump_clock: trio.abc.Clock) -> None:
    """Behind the upstream's handshake, which alone brings a way to the client."""
    async with world() as here:
        await here.host.client.send_all(old_hello())
        alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, 0x0302)
        assert await here.host.client.receive_bytes(len(alert)) == alert
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.reason == "the client offers no TLS 1.2 or later"
        assert failed.host == TARGET


async def test_old_tls_at_an_upstream_without_tls(autojump_clock: trio.abc.Clock) -> None:
    """What it says instead of a handshake is a way as good."""
    async with world(plain_upstream=True) as here:
        await here.host.client.send_all(old_hello())
        await here.host.upstream.receive_some()
        await here.host.upstream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        alert = fatal_alert(AlertDescription.PROTOCOL_VERSION, 0x0302)
        assert await here.host.client.receive_bytes(len(alert)) == alert


async def test_a_client_without_http_1_1_is_relayed_with_a_warning(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Its own TLS reaches the upstream, unchanged."""
    async with world(plain_upstream=True) as here:
        hello = client_hello(client_context(alpn=["h2"]), TARGET)
        await here.host.client.send_all(hello)
        assert await here.host.upstream.receive_bytes(len(hello)) == hello
        [warned] = here.bench.of(Warned)
        assert warned.message == f"{TARGET} is relayed: the client offers only h2"
        here.host.client.close()
        here.host.upstream.close()
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "a malformed ClientHello"),
        (b"\x00\xffgarbage", "neither TLS nor HTTP"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP without TLS"),
    ],
)
async def test_what_is_no_tls_goes_to_the_upstream(
    said: bytes, reason: str, autojump_clock: trio.abc.Clock
) -> None:
    """It sends the alert or the answer that is due, and the end of both is an event."""
    async with world(plain_upstream=True) as here:
        await here.host.client.send_all(said)
        assert await here.host.upstream.receive_bytes(len(said)) == said
        await here.host.upstream.send_all(b"its own words")
        assert await here.host.client.receive_bytes(13) == b"its own words"
        here.pair.end("the host ended the tunnel")
        await trio.testing.wait_all_tasks_blocked()
        [relayed] = here.bench.of(RelayEnded)
        assert (relayed.reason, relayed.host) == (reason, "")
        assert (relayed.sent_bytes, relayed.received_bytes) == (len(said), 13)


async def test_an_upstream_that_is_not_trusted(autojump_clock: trio.abc.Clock) -> None:
    """Its certificate is for another name: an alert for the client, the reason for the user."""
    async with world() as here:
        here.bench.runtime.targets = (TargetPattern.parse("*.example.com"),)
        error = await Peer(here.host.client).fail_tls(trusting_context(), "other.example.com")
        assert "HANDSHAKE_FAILURE" in str(error).upper().replace(" ", "_")
        [failed] = here.bench.of(HandshakeFailed)
        assert "ostname mismatch" in failed.reason


async def test_an_upstream_that_says_nothing(autojump_clock: trio.abc.Clock) -> None:
    """Nothing can be said to the client either; the reason is told, and the tunnel is over."""
    async with world(plain_upstream=True) as here:
        peer = Peer(here.host.client)
        await peer.send(client_hello(client_context(), TARGET))
        with trio.fail_after(3 * Limits().dial_seconds):
            while not here.bench.of(SessionEnded):
                await trio.sleep(1)
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.reason == (
            f"{TARGET}:443 did not finish its handshake within {Limits().dial_seconds:g} s"
        )


async def test_a_client_that_leaves_within_the_upstreams_handshake(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It is not said to be the upstream's fault."""
    async with world(plain_upstream=True) as here:
        await here.host.client.send_all(client_hello(client_context(), TARGET))
        await here.host.upstream.receive_some()
        here.pair.end("the host ended the tunnel")  # as its cancelled call says
        await trio.testing.wait_all_tasks_blocked()
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.reason == "the host ended the tunnel within the upstream's handshake"


async def test_a_client_that_does_not_trust_us(autojump_clock: trio.abc.Clock) -> None:
    """Its alert is known for what it is."""
    async with world() as here:
        await Peer(here.host.client).fail_tls(client_context(), TARGET)
        await trio.testing.wait_all_tasks_blocked()
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.refused
        assert len(here.bench.of(SessionEnded)) == 1


async def test_a_client_that_resets(autojump_clock: trio.abc.Clock) -> None:
    """In an exchange. Fault does not tell; the upstream's end ends it, and then the idle limit."""
    asked = trio.Event()

    async def takes_its_time(upstream: Peer) -> None:
        await upstream.read_message()
        asked.set()
        await trio.sleep(60)

    async with world(script=takes_its_time) as here:
        peer = await here.tls()
        await peer.send(get("/1"))
        await asked.wait()
        here.host.client.reset()
        await trio.sleep(100)
        assert here.bench.outcomes == ["upstream-error"]
        await trio.sleep(Limits().idle_tunnel_seconds)
        assert len(here.bench.of(SessionEnded)) == 1


@pytest.mark.parametrize("data", [b"\x17\x03\x03\x00\x05wrong", b"garbage within TLS"])
async def test_garbage_instead_of_records(data: bytes, autojump_clock: trio.abc.Clock) -> None:
    """The session ends, and says so."""
    async with world() as here:
        await here.tls()
        await here.host.client.send_all(data)
        await trio.sleep(1)
        assert len(here.bench.of(SessionEnded)) == 1


async def check_reaped(here: World, after_seconds: float) -> None:
    """Wait and see."""
    await trio.sleep(after_seconds - 20)
    assert not here.bench.of(SessionEnded)
    await trio.sleep(40)
    [ended] = here.bench.of(SessionEnded)
    assert ended.reason == "nothing came for too long while waiting for a request"


@pytest.mark.parametrize("requests", [0, 1])
async def test_an_idle_tunnel_is_given_up(requests: int, autojump_clock: trio.abc.Clock) -> None:
    """At the stated limit; its next bytes are answered with the end."""
    async with world() as here:
        peer = await here.tls()
        for _ in range(requests):
            await peer.ask(get("/"))
        await check_reaped(here, Limits().idle_tunnel_seconds)
        await peer.send(get("/late"))
        assert await peer.end() == b""


async def test_a_host_with_another_plugin_between(autojump_clock: trio.abc.Clock) -> None:
    """What would lose bytes ends the tunnel instead."""
    async with world() as here:
        peer = await here.tls()
        here.pair.down.slots = 1  # as if a slot were out that the host does not bring
        await peer.send(get("/1"))
        await trio.sleep(1)
        assert here.pair.broken
        assert "an input came while" in here.pair.ended_because
        await peer.end()
        assert len(here.bench.of(SessionEnded)) == 1
