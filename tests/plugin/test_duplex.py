"""Many tunnels at once, as the plugin has them: sessions side by side, an orderly end."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import evolve

from faultinject.events import ExchangeEnded, SessionEnded, Warned
from faultinject.plugin.interface import Close, Direction, Side
from faultinject.settings import PluginSettings
from tests.support.bench import TARGET, get, post, trusting_context
from tests.support.fault_world import DEFAULTS, Fault, orderly
from tests.support.peer import Peer


async def test_a_hundred_tunnels(uncollected: None, autojump_clock: trio.abc.Clock) -> None:
    """Mixed requests in each of them, all at once."""
    statuses: list[int] = []

    async def client(here: Fault) -> None:
        async with here.tunnel() as host:
            peer = Peer(host.client)
            await peer.start_tls(context, TARGET)
            for number in range(3):
                request = post("/", b"x" * 10_000) if number % 2 else get("/")
                statuses.append((await peer.ask(request)).status)
            await peer.close()

    context = trusting_context(alpn=["http/1.1"])
    async with orderly(probability=0.5) as here:
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(client, here)
        assert len(here.bench.of(SessionEnded)) == 100
        outcomes = [ended.outcome for ended in here.bench.of(ExchangeEnded)]
        assert outcomes.count("injected") == statuses.count(429)
        assert outcomes.count("forwarded") == statuses.count(200)
        assert len(statuses) == 300
        clients = {ended.client for ended in here.bench.of(ExchangeEnded)}
        assert len(clients) == 100
        assert "tunnel 00000001" in clients


async def test_draining(autojump_clock: trio.abc.Clock) -> None:
    """An idle tunnel ends, an exchange in hand is finished, and none is begun."""
    asked, may_answer = trio.Event(), trio.Event()

    async def waits(upstream: Peer) -> None:
        await upstream.read_message()
        asked.set()
        await may_answer.wait()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await upstream.end()

    async with orderly() as here, here.tunnel() as idle, here.tunnel(waits) as busy:
        peers = [Peer(host.client) for host in (idle, busy)]
        for peer in peers:
            await peer.start_tls(trusting_context(), TARGET)
        assert (await peers[0].ask(get("/"))).status == 200
        await peers[1].send(get("/"))
        await asked.wait()
        async with trio.open_nursery() as nursery:
            here.bench.runtime.draining = True
            nursery.start_soon(here.tunnels.drain)
            await trio.testing.wait_all_tasks_blocked()
            assert len(here.bench.of(SessionEnded)) == 1
            refused = await here.tunnels.process_tunnel_data(
                Side.CLIENT, Direction.FROM_PEER, "new", b"x"
            )
            assert refused == Close("the plugin stops")
            may_answer.set()
            assert (await peers[1].answer()).body == b"ok"
        assert len(here.bench.of(SessionEnded)) == 2


async def test_a_broken_scheme_is_told(autojump_clock: trio.abc.Clock) -> None:
    """With the tunnel, and what mends it."""
    async with orderly() as here, here.tunnel() as host:
        peer = Peer(host.client)
        await peer.start_tls(trusting_context(), TARGET)
        answer = await here.tunnels.process_tunnel_data(
            Side.UPSTREAM, Direction.TO_PEER, host.tunnel_id, b"not the filler"
        )
        assert isinstance(answer, Close)
        await trio.testing.wait_all_tasks_blocked()
        [warned] = here.bench.of(Warned)
        assert warned.message.startswith("tunnel 00000001: client to upstream: 14 bytes that ")
        assert "both of its ports must be registered" in warned.message


async def test_a_carrier_of_the_users(autojump_clock: trio.abc.Clock) -> None:
    """With its headers."""
    seen: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            seen.append(request.head)
            await upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    carrier = evolve(DEFAULTS.carrier, method=b"GET", target=b"/health")
    settings = PluginSettings(carrier=carrier, carrier_header=(("X-A", "b"),))
    async with (
        orderly(probability=1.0, settings=settings) as here,
        here.tunnel(remembers) as host,
    ):
        peer = Peer(host.client)
        await peer.start_tls(trusting_context(), TARGET)
        assert (await peer.ask(get("/"))).status == 429
    assert seen == [b"GET /health HTTP/1.1\r\nHost: %b\r\nX-A: b\r\n\r\n" % TARGET.encode()]


@pytest.mark.parametrize("end", ["client", "upstream"])
async def test_after_its_end_a_tunnel_is_forgotten(
    end: str, autojump_clock: trio.abc.Clock
) -> None:
    """Whichever side says good-bye."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if end == "client":
            await upstream.end()

    async with orderly() as here, here.tunnel(once) as host:
        peer = Peer(host.client)
        await peer.start_tls(trusting_context(), TARGET)
        assert (await peer.ask(get("/"))).body == b"ok"
        if end == "client":
            await peer.close()
        else:
            assert await peer.end() == b""
            host.client.close()
        await trio.sleep(60)
        assert not here.tunnels._open
