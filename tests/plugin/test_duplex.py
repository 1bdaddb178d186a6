"""Many tunnels at once, as the plugin has them: sessions side by side, an orderly end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, evolve

from faultinject.events import ExchangeEnded, SessionEnded, SessionFailed, Warned
from faultinject.plugin.duplex.duplex_tunnel import duplex_tunnels
from faultinject.plugin.interface import Close, Direction, Side
from faultinject.plugin.tunnels import FLUSH_SECONDS, Tunnels
from faultinject.proxy.upstream.dial import Dialer
from faultinject.settings import PluginSettings
from tests.support.bench import TARGET, Bench, authority, get, open_bench, post, trusting_context
from tests.support.fault_host import FaultTunnel
from tests.support.fault_world import answers_all, serve_upstream
from tests.support.peer import Peer

DEFAULTS = PluginSettings(seed=1)


@define
class Fault:
    """A host with as many tunnels as one likes."""

    bench: Bench
    tunnels: Tunnels[Any]
    _ids: Any

    @asynccontextmanager
    async def tunnel(self, script: Any = answers_all) -> AsyncIterator[FaultTunnel]:
        """Open one, to an upstream that follows a script."""
        host = FaultTunnel(self.tunnels, tunnel_id=f"{next(self._ids):08}-0000")
        async with host.running(), trio.open_nursery() as nursery:
            nursery.start_soon(serve_upstream, host, script, None)
            yield host
            nursery.cancel_scope.cancel()


async def trusting_dialer(folder: Path) -> Dialer:
    """Return what shakes hands with the upstreams."""
    certificate = folder / "upstream.pem"
    certificate.write_bytes(authority().certificate_pem)
    dialer = Dialer((), certificate, False, 20, lambda _socket: False)
    await dialer._make_context()  # in a thread, while a clock that jumps would run on
    return dialer


@asynccontextmanager
async def fault(
    folder: Path,
    probability: float = 0.0,
    settings: PluginSettings = DEFAULTS,
    dialer: Dialer | None = None,
) -> AsyncIterator[Fault]:
    """Open the host; afterwards nothing may be left, and no session may have failed."""
    async with open_bench(probability=probability) as bench:
        bench.runtime.dialer = dialer or await trusting_dialer(folder)
        tunnels = duplex_tunnels(bench.nursery, bench.runtime, settings)
        yield Fault(bench, tunnels, itertools.count(1))
        await tunnels.drain()
        assert not tunnels._sessions
        await trio.sleep(FLUSH_SECONDS + 1)
        assert not tunnels._open
        assert not bench.of(SessionFailed)


async def test_hundreds_of_tunnels(
    tmp_path: Path, uncollected: None, autojump_clock: trio.abc.Clock
) -> None:
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
    async with fault(tmp_path, 0.5) as here:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(client, here)
        assert len(here.bench.of(SessionEnded)) == 200
        outcomes = [ended.outcome for ended in here.bench.of(ExchangeEnded)]
        assert outcomes.count("injected") == statuses.count(429)
        assert outcomes.count("forwarded") == statuses.count(200)
        assert len(statuses) == 600
        clients = {ended.client for ended in here.bench.of(ExchangeEnded)}
        assert len(clients) == 200
        assert "tunnel 00000001" in clients


async def test_draining(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """An idle tunnel ends, an exchange in hand is finished, and none is begun."""
    asked, may_answer = trio.Event(), trio.Event()

    async def waits(upstream: Peer) -> None:
        await upstream.read_message()
        asked.set()
        await may_answer.wait()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await upstream.end()

    async with fault(tmp_path) as here, here.tunnel() as idle, here.tunnel(waits) as busy:
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


async def test_a_broken_scheme_is_told(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """With the tunnel, and what mends it."""
    async with fault(tmp_path) as here, here.tunnel() as host:
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


async def test_a_carrier_of_the_users(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    """With its headers."""
    seen: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            seen.append(request.head)
            await upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    carrier = evolve(DEFAULTS.carrier, method=b"GET", target=b"/health")
    settings = PluginSettings(carrier=carrier, carrier_header=(("X-A", "b"),))
    async with fault(tmp_path, 1.0, settings) as here, here.tunnel(remembers) as host:
        peer = Peer(host.client)
        await peer.start_tls(trusting_context(), TARGET)
        assert (await peer.ask(get("/"))).status == 429
    assert seen == [b"GET /health HTTP/1.1\r\nHost: %b\r\nX-A: b\r\n\r\n" % TARGET.encode()]


@pytest.mark.parametrize("end", ["client", "upstream"])
async def test_after_its_end_a_tunnel_is_forgotten(
    end: str, tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    """Whichever side says good-bye."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if end == "client":
            await upstream.end()

    async with fault(tmp_path) as here, here.tunnel(once) as host:
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
