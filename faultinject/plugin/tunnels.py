"""The host's tunnels. Each is a session, which begins with the tunnel's first call.

When a tunnel is over, the host cancels the call in flight; without one it gives no sign. So a
session also ends by its own time limits, and its tunnel some time after.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar

import trio
from attrs import define, field

from faultinject.authority import HTTPS_PORT, Authority
from faultinject.net.relay import Relayed
from faultinject.plugin.interface import Close, Direction, Reply, Side
from faultinject.proxy import sniff
from faultinject.proxy.session import Session, SessionStage, report_relay
from faultinject.proxy.tls_tunnel import TlsTunnel
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import Limits
from faultinject.tls.client_hello import ClientHello
from faultinject.tls.layer import WrapTls
from faultinject.tls.trio_tls import TrioTlsStream

FLUSH_SECONDS = 30.0
"""How long a tunnel may take to send the peers what is left, after its session is over."""
STOP_FLUSH_SECONDS = 0.5
"""The same when the whole plugin ends."""
REMEMBERED = 10_000
"""How many tunnels are remembered after their end, so that a late call does not begin a new
session in the middle of one."""


class TunnelCalls(Protocol):
    """A tunnel as its host sees it."""

    async def answer_chunk(self, side: Side, direction: Direction, chunk: bytes) -> Reply:
        """Answer a call of the host. If this is cancelled, the tunnel ends."""
        ...

    async def flushed(self) -> None:
        """Wait until all that the session wrote has been sent, or the tunnel is over."""
        ...

    def end(self, reason: str) -> None:
        """End the tunnel now."""
        ...


T = TypeVar("T", bound=TunnelCalls)


@define(eq=False, repr=False)
class Tunnels(Generic[T]):
    """A `TunnelPlugin` whose tunnels are tasks, each with a nursery for its own."""

    nursery: trio.Nursery
    limits: Limits
    new_tunnel: Callable[[], T]
    hosted: Callable[[str, T], HostedTunnel]
    """Makes what runs a new tunnel's session, from the tunnel's id."""
    _open: dict[str, T] = field(factory=dict, init=False)
    _sessions: dict[str, Session] = field(factory=dict, init=False)
    _scopes: dict[str, trio.CancelScope] = field(factory=dict, init=False)
    _given_up: dict[str, None] = field(factory=dict, init=False)
    _draining: bool = field(default=False, init=False)
    _one_ended: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Return the reply of the chunk's tunnel; see `TunnelPlugin`."""
        tunnel = self._open.get(tunnel_id)
        if tunnel is None:
            if reason := self._refusal(tunnel_id):
                return Close(reason)
            tunnel = self._begin(tunnel_id)
        return await tunnel.answer_chunk(side, direction, chunk)

    def _refusal(self, tunnel_id: str) -> str:
        if tunnel_id in self._given_up:
            return "the session is over"
        if self._draining:
            return "the plugin stops"
        if len(self._open) >= self.limits.sessions:
            return f"there are {self.limits.sessions} tunnels already"
        return ""

    def _begin(self, tunnel_id: str) -> T:
        tunnel = self._open[tunnel_id] = self.new_tunnel()
        hosted = self.hosted(tunnel_id, tunnel)
        self._sessions[tunnel_id] = hosted.session
        self._scopes[tunnel_id] = trio.CancelScope()
        self.nursery.start_soon(self._run, tunnel_id, tunnel, hosted)
        return tunnel

    async def _run(self, tunnel_id: str, tunnel: T, hosted: HostedTunnel) -> None:
        try:
            with self._scopes[tunnel_id]:
                try:
                    async with trio.open_nursery() as nursery:
                        await hosted.run(nursery)
                        nursery.cancel_scope.cancel()
                finally:
                    del self._sessions[tunnel_id]
                    self._one_ended.unpark_all()
                with trio.move_on_after(FLUSH_SECONDS):
                    await tunnel.flushed()
        finally:
            self._forget(tunnel_id, tunnel)

    def _forget(self, tunnel_id: str, tunnel: T) -> None:
        tunnel.end("the session is over")
        del self._open[tunnel_id], self._scopes[tunnel_id]
        self._given_up[tunnel_id] = None
        if len(self._given_up) > REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self._one_ended.unpark_all()

    async def drain(self) -> None:
        """Begin no more sessions, end the idle ones, and wait for the others.

        What they wrote last may take `STOP_FLUSH_SECONDS` to be sent.
        """
        self._draining = True
        for session in tuple(self._sessions.values()):
            session.drain()
        while self._sessions:
            await self._one_ended.park()
        with trio.move_on_after(STOP_FLUSH_SECONDS):
            await self._none_left()

    async def end(self) -> None:
        """End all tunnels now."""
        self._draining = True
        for scope in self._scopes.values():
            scope.cancel()
        await self._none_left()

    async def _none_left(self) -> None:
        while self._open:
            await self._one_ended.park()


def client_name(tunnel_id: str) -> str:
    """Return the name of a tunnel's client in events. The host does not give its address."""
    return f"tunnel {tunnel_id[:8]}"


# Their sessions


@define(eq=False, repr=False)
class HostedTunnel(TlsTunnel):
    """A tunnel as a session: intercepted if it is a target's, else relayed.

    `serve` is its first stage. There are two differences from a tunnel of the proxy
    (`faultinject.proxy.tunnel`): only SNI names the host, and the host has connected the client to
    its upstream already.
    """

    wrap_tls: ClassVar[WrapTls] = TrioTlsStream
    _upstream: trio.abc.Stream | None = field(default=None, kw_only=True)
    """The upstream's bytes, if the session carries them."""
    _started: float = field(factory=time.perf_counter, init=False)

    @abstractmethod
    async def run(self, own: trio.Nursery) -> None:
        """Run the whole session, and leave the streams closed. The nursery is the tunnel's own.

        What the session wrote is still sent afterwards.
        """

    async def serve(self, session: Session) -> SessionStage | None:
        """Read the first bytes, which decide what happens to the tunnel."""
        session.timeout.reset("the tunnel's first bytes", session.idle_seconds)
        upstream = self._upstream
        first = sniff.FirstBytes(session, self.stream, only_sni_counts=True, upstream=upstream)
        await (first.read_alone() if upstream is None else first.read())
        if first.upstream is not upstream:
            self._upstream = first.upstream
            await self.relay(first.data, "the upstream spoke first", "")
        elif isinstance(first.opening, ClientHello):
            return await self.serve_tls(first.data, first.opening)
        elif (reason := self.why_relayed(first.opening)) is not None:
            await self.relay(first.data, reason, "")
        return None

    @abstractmethod
    def why_relayed(self, opening: sniff.Protocol) -> str | None:
        """Return why a tunnel without a good ClientHello is relayed; None if it is over."""

    def is_target(self, host: str) -> bool:
        """Return True if a host is a target at some port, because the client's is unknown."""
        return self.session.runtime.target_named(host) is not None

    def origin_of(self, host: str) -> Origin:
        """Return a target's origin. The port is the target's own."""
        target = self.session.runtime.target_named(host)
        port = target.port if target is not None else None
        authority = Authority(host, port or HTTPS_PORT)
        return Origin(authority, authority)

    async def relay(self, data: bytes, reason: str, host: str) -> None:
        """Relay the tunnel, from the first bytes on, and report it."""
        relayed = Relayed()
        try:
            await self.carry(data, relayed)
        finally:
            authority = Authority(host, HTTPS_PORT)
            report_relay(self.session, authority, reason, relayed, self._started)

    @abstractmethod
    async def carry(self, data: bytes, relayed: Relayed) -> None:
        """Carry the peers' bytes until the tunnel is over."""
