"""A session of the plugin between a client and an upstream, behind the simulated host.

TLS is real on both sides.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import trio
from attrs import define

from faultinject.errors import UpstreamError
from faultinject.events import SessionFailed
from faultinject.plugin.duplex.duplex_tunnel import DuplexTunnel
from faultinject.plugin.duplex.lane_stream import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import Limits
from faultinject.tls.leaf_cache import LeafCache
from faultinject.tls.stream import TlsStream
from tests.support.bench import TARGET, Bench, authority, ok, open_bench, trusting_context
from tests.support.fault_host import FaultTunnel
from tests.support.fault_plugins import OneTunnel
from tests.support.peer import Cut, Peer


async def start_tls(stream: trio.abc.Stream, origin: Origin) -> trio.abc.Stream:
    """Shake hands with an upstream as the dialler does."""
    context = trusting_context(alpn=["http/1.1"])
    tls = TlsStream(stream, context, server_side=False, server_hostname=origin.authority.host)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        raise UpstreamError("tls", str(error)) from error
    return tls


@define
class World:
    """A host with one tunnel, and what is at its ends."""

    bench: Bench
    host: FaultTunnel
    pair: LanePair

    async def tls(self, **options: Any) -> Peer:
        """Return a client that has shaken hands."""
        peer = Peer(self.host.client)
        options.setdefault("alpn", ["http/1.1"])
        await peer.start_tls(trusting_context(**options), TARGET)
        return peer


@cache
def upstream_context(version: ssl.TLSVersion | None) -> ssl.SSLContext:
    """Return an upstream's TLS, with late tickets as most have them."""
    context = LeafCache(authority(), 10, num_tickets=2).context_for(TARGET)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


async def serve_upstream(host: FaultTunnel, script: Any, version: ssl.TLSVersion | None) -> None:
    """Be the upstream of a tunnel, with TLS."""
    stream = trio.SSLStream(host.upstream, upstream_context(version), server_side=True)
    try:
        await script(Peer(stream))
    except (trio.BrokenResourceError, Cut):
        pass
    finally:
        with trio.move_on_after(1):
            await stream.aclose()
        host.upstream.close()


async def answers_all(upstream: Peer) -> None:
    """Answer HEAD too; everything else as `echoes` does."""
    while request := await upstream.read_message():
        if request.line.startswith(b"HEAD"):
            await upstream.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n")
        else:
            await upstream.send(ok(b"%b %d" % (request.line, len(request.body))))


@asynccontextmanager
async def world(
    *,
    probability: float = 0.0,
    script: Any = answers_all,
    version: ssl.TLSVersion | None = None,
    raw: bool = False,
    plain_upstream: bool = False,
    limits: Limits | None = None,
) -> AsyncIterator[World]:
    """Run a tunnel whose session is the plugin's."""
    async with open_bench(probability=probability, limits=limits) as bench:
        plugin = OneTunnel()
        host = FaultTunnel(plugin, raw=raw)
        lease = TunnelLease(plugin.pair, bench.nursery)
        idle_seconds = bench.runtime.limits.idle_tunnel_seconds
        session = Session(bench.runtime, 1, "fault", lease=lease, idle_seconds=idle_seconds)
        tunnel = DuplexTunnel(plugin.pair, start_tls)
        async with host.running(), trio.open_nursery() as nursery:
            nursery.start_soon(tunnel.run, session)
            if not plain_upstream:
                nursery.start_soon(serve_upstream, host, script, version)
            yield World(bench, host, plugin.pair)
            nursery.cancel_scope.cancel()
        assert not bench.of(SessionFailed)
