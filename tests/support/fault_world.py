"""A session of the plugin between a client and an upstream, behind the simulated host.

TLS is real on both sides.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache, cached_property
from typing import Any, cast

import trio
from attrs import define, frozen

from faultinject.errors import UpstreamError
from faultinject.events import SessionFailed
from faultinject.plugin.duplex.duplex_tunnel import duplex_tunnels
from faultinject.plugin.duplex.lanes import LanePair
from faultinject.plugin.tunnels import FLUSH_SECONDS, Tunnels
from faultinject.proxy.upstream.dial import Dialer, Origin
from faultinject.settings import Limits, PluginSettings
from faultinject.tls.layer import TlsSide, WrapTls
from faultinject.tls.leaf_cache import LeafCache
from faultinject.tls.trio_tls import TrioTlsStream
from tests.support.bench import (
    TARGET,
    Bench,
    authority,
    ok,
    open_bench,
    trusting_context,
)
from tests.support.fault_host import FaultTunnel
from tests.support.peer import Cut, Peer

DEFAULTS = PluginSettings(seed=1)


class HandshakesOnly:
    """Shakes hands with upstreams as the dialler does; it is the host that connects."""

    async def start_tls(
        self, stream: trio.abc.Stream, origin: Origin, wrap_tls: WrapTls = TrioTlsStream
    ) -> trio.abc.Stream:
        """Stand for `Dialer.start_tls`."""
        context = trusting_context(alpn=["http/1.1"])
        tls = wrap_tls(stream, TlsSide(context, origin.authority.host))
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError as error:
            raise UpstreamError("tls", str(error)) from error
        return tls


@frozen
class Fault:
    """A host with as many tunnels as one likes."""

    bench: Bench
    tunnels: Tunnels[LanePair]
    _ids: Iterator[int]

    @asynccontextmanager
    async def tunnel(
        self,
        script: Any = None,
        *,
        version: ssl.TLSVersion | None = None,
        raw: bool = False,
        plain_upstream: bool = False,
    ) -> AsyncIterator[FaultTunnel]:
        """Open one, to an upstream that follows a script in TLS, or to one that the test plays."""
        host = FaultTunnel(self.tunnels, tunnel_id=f"{next(self._ids):08}-0000", raw=raw)
        async with host.running(), trio.open_nursery() as nursery:
            if not plain_upstream:
                nursery.start_soon(serve_upstream, host, script or answers_all, version)
            yield host
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def fault(
    probability: float = 0.0, settings: PluginSettings = DEFAULTS, limits: Limits | None = None
) -> AsyncIterator[Fault]:
    """Open the host; no session may fail."""
    async with open_bench(probability=probability, limits=limits) as bench:
        bench.runtime.dialer = cast("Dialer", HandshakesOnly())
        tunnels = duplex_tunnels(bench.nursery, bench.runtime, settings)
        yield Fault(bench, tunnels, itertools.count(1))
        await tunnels.end()
        assert not bench.of(SessionFailed)


@asynccontextmanager
async def orderly(**options: Any) -> AsyncIterator[Fault]:
    """Open the host, and end in an orderly way: then nothing may be left."""
    async with fault(**options) as here:
        yield here
        await here.tunnels.drain()
        assert not here.tunnels._sessions
        await trio.sleep(FLUSH_SECONDS + 1)
        assert not here.tunnels._open


@define
class World:
    """A host with one tunnel, and what is at its ends."""

    bench: Bench
    host: FaultTunnel
    _tunnels: Tunnels[LanePair]

    @cached_property
    def pair(self) -> LanePair:
        """The lanes of the tunnel, which has begun."""
        return self._tunnels._open[self.host.tunnel_id]

    async def tls(self, **options: Any) -> Peer:
        """Return a client that has shaken hands."""
        peer = Peer(self.host.client)
        options.setdefault("alpn", ["http/1.1"])
        await peer.start_tls(trusting_context(**options), TARGET)
        return peer


@cache
def upstream_context(version: ssl.TLSVersion | None) -> ssl.SSLContext:
    """Return an upstream's TLS, with late tickets as most have them."""
    context = LeafCache(authority(), 10).context_for(TARGET)
    context.num_tickets = 2
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
    *, probability: float = 0.0, limits: Limits | None = None, **tunnel: Any
) -> AsyncIterator[World]:
    """Open the host with one tunnel; see `Fault.tunnel`."""
    async with fault(probability, limits=limits) as here, here.tunnel(**tunnel) as host:
        yield World(here.bench, host, here.tunnels)
