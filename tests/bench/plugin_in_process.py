"""Tunnels in ``reply`` mode in this process, without gRPC: ours, and one that sleeps.

The latter is the same with what a design without events does: it answers no chunk before 10 ms
have passed, which is how long it takes to be fairly sure that all has been said.
"""

from __future__ import annotations

import ssl
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from attrs import frozen

from faultinject.plugin.interface import Direction, Replace, Reply, Side, TunnelPlugin
from faultinject.plugin.reply.reply_tunnel import reply_tunnels
from faultinject.settings import PluginSettings
from faultinject.tls.leaf_cache import LeafCache
from tests.bench.client import WrongAnswerError, post
from tests.bench.plugin_client import ChunkClient
from tests.support.bench import TARGET, authority, open_bench, trusting_context

SLEEP_SECONDS = 0.010
REQUEST = post(TARGET)

Measures = dict[str, float]


@frozen
class Sleeper:
    """A plugin that answers each chunk when `SLEEP_SECONDS` have passed, and no sooner."""

    plugin: TunnelPlugin

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Ask the plugin, and wait."""
        until = trio.current_time() + SLEEP_SECONDS
        reply = await self.plugin.process_tunnel_data(side, direction, tunnel_id, chunk)
        await trio.sleep_until(until)
        return reply


@frozen
class Tunnel:
    """One tunnel of a plugin, in the place of a host."""

    plugin: TunnelPlugin
    tunnel_id: str
    client: ChunkClient

    async def open(self) -> None:
        """Shake hands, but for the last words."""
        self.client.finish(await self._give(self.client.hello()))

    async def ask(self) -> None:
        """Make a request, which must be answered by 429."""
        self.client.answer(await self._give(self.client.request(REQUEST)), 429)

    async def _give(self, chunk: bytes) -> bytes:
        call = (Side.CLIENT, Direction.FROM_PEER, self.tunnel_id)
        reply = await self.plugin.process_tunnel_data(*call, chunk)
        if not isinstance(reply, Replace):
            raise WrongAnswerError(f"{reply!r} where an answer was due")
        return reply.data


@asynccontextmanager
async def open_plugin() -> AsyncIterator[tuple[TunnelPlugin, ssl.SSLContext]]:
    """Run tunnels that answer every request by 429; the value has what their clients trust."""
    async with open_bench(probability=1.0) as bench, trio.open_nursery() as nursery:
        bench.runtime.leaves = LeafCache(authority(), 10)
        yield (
            reply_tunnels(nursery, bench.runtime, PluginSettings()),
            trusting_context(alpn=["http/1.1"]),
        )
        nursery.cancel_scope.cancel()


async def median_ms(work: Callable[[], Awaitable[None]], count: int) -> float:
    """The median time of something, in milliseconds."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


async def sample(plugin: TunnelPlugin, trust: ssl.SSLContext, name: str, count: int) -> Measures:
    """Measure a new tunnel with its first request, and requests on an open one."""
    numbers = iter(range(1_000_000))

    async def new() -> Tunnel:
        tunnel = Tunnel(plugin, f"{name}-{next(numbers)}", ChunkClient(trust, TARGET))
        await tunnel.open()
        await tunnel.ask()
        return tunnel

    async def connect() -> None:
        await new()

    tunnel = await new()
    return {
        "hello_to_429_ms": await median_ms(connect, count),
        "request_to_429_ms": await median_ms(tunnel.ask, count),
    }


async def measure(rounds: int, count: int) -> dict[str, list[Measures]]:
    """Take samples of us and of the sleeper, in turn."""
    samples: dict[str, list[Measures]] = {"faultinject": [], "sleeper": []}
    async with open_plugin() as (plugin, trust):
        for number in range(rounds):
            ours = await sample(plugin, trust, f"ours-{number}", count)
            theirs = await sample(Sleeper(plugin), trust, f"theirs-{number}", max(5, count // 10))
            samples["faultinject"].append(ours)
            samples["sleeper"].append(theirs)
    return samples
