"""The plugin behind a host that gives the answer to a chunk back to its sender, without gRPC.

The client's TLS is real; upstreams are the bench's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from attrs import define, field

from faultinject.plugin.reply.reply_lane import ReplyLane
from faultinject.plugin.reply.reply_tunnel import reply_tunnels
from faultinject.plugin.tunnels import Tunnels
from faultinject.settings import PluginSettings
from tests.support.bench import TARGET, Bench, open_bench, trusting_context
from tests.support.peer import Peer
from tests.support.reply_host import ReplyHost


@define(eq=False)
class World:
    """A host and its tunnels."""

    bench: Bench
    nursery: trio.Nursery
    tunnels: Tunnels[ReplyLane]
    hosts: list[ReplyHost] = field(factory=list)

    def open(self, **options: Any) -> ReplyHost:
        """Open a tunnel."""
        host = ReplyHost(self.tunnels, f"tunnel-{len(self.hosts)}", **options)
        self.hosts.append(host)
        self.nursery.start_soon(host.run)
        return host

    async def tls(self, host: ReplyHost, **options: Any) -> Peer:
        """Return a tunnel's client that has shaken hands."""
        peer = Peer(host.client)
        options.setdefault("alpn", ["http/1.1"])
        await peer.start_tls(trusting_context(**options), TARGET)
        return peer

    @property
    def open_tunnels(self) -> int:
        """How many tunnels the plugin has."""
        return len(self.tunnels._open)


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """Run a host with the plugin; afterwards nothing may be left."""
    async with open_bench(**options) as bench, trio.open_nursery() as nursery:
        async with trio.open_nursery() as sessions:
            tunnels = reply_tunnels(sessions, bench.runtime, PluginSettings())
            yield (here := World(bench, nursery, tunnels))
            for host in here.hosts:
                host.give_up()
            sessions.cancel_scope.cancel()
        assert not here.open_tunnels
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def one_tunnel(**options: Any) -> AsyncIterator[tuple[World, ReplyHost, Peer]]:
    """Run a host with a tunnel whose client has shaken hands."""
    async with world(**options) as here:
        host = here.open()
        peer = await here.tls(host)
        await trio.testing.wait_all_tasks_blocked()  # the handshake's last chunk is answered
        yield here, host, peer
