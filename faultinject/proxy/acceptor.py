"""Accepts the clients of the proxy and runs a session for each connection.

Imported once the proxy listens (`faultinject.proxy.server`), because it imports all that a session
needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import trio
from attrs import define, field, frozen

from faultinject.authority import Authority, TargetPattern, bracketed
from faultinject.errors import ClientGoneError
from faultinject.events import Listener, ProxyDraining, Warned
from faultinject.http.h1.connection import ClientConnection
from faultinject.net.listener import Acceptor, SocketListener
from faultinject.net.socket_stream import SocketStream
from faultinject.net.streams import CloseMode, close
from faultinject.proxy.http_proxy import HttpProxy
from faultinject.proxy.local_reply import dated, local_reply
from faultinject.proxy.runtime import Runtime, dialer_of, runtime_of
from faultinject.proxy.session import Session
from faultinject.proxy.spare_memory import SpareMemory, give_back
from faultinject.proxy.startup import Run, UpstreamServer
from faultinject.proxy.upstream.dial import Dialer, Origin
from faultinject.proxy.upstream.pool import Dial
from faultinject.settings import Settings


async def serve_clients(
    run: Run,
    listeners: list[trio.SocketListener],
    is_loop: Callable[[trio.socket.SocketType], bool],
) -> None:
    """Serve every client until the run drains and all sessions have ended.

    ``is_loop`` is as in `Dialer`.
    """
    dialer = dialer_of(run.settings, is_loop)
    async with trio.open_nursery() as beside:
        spare_memory = SpareMemory(give_back if run.settings.gives_memory_back else None)
        beside.start_soon(spare_memory.give_back_at_rest)
        runtime = _runtime(run, dialer, beside)
        beside.start_soon(runtime.first_waits.run)
        run.on_rules = partial(setattr, runtime, "rule_set")
        acceptor = _Acceptor(runtime, spare_memory)
        await acceptor.run(listeners, run.draining)
        beside.cancel_scope.cancel()


def _runtime(run: Run, dialer: Dialer, fake_upstream: trio.Nursery) -> Runtime:
    settings = run.settings
    if run.upstream is not None:
        dial = _Detour(settings, run.upstream, dialer).dial
        return runtime_of(run, dialer, dial=dial, relays_targets=False)
    if not settings.fake_upstream:
        return runtime_of(run, dialer)
    dial = _dial_fake_upstream(settings, run.listener, dialer.dial, fake_upstream)
    return runtime_of(run, dialer, dial=dial, relays_targets=False)


def _dial_fake_upstream(
    settings: Settings, listener: Listener, dial_other: Dial, nursery: trio.Nursery
) -> Dial:
    """Return what dials the fake API for targets."""
    from faultinject.proxy.upstream.fake.fake_api import FakeApi, FakeUpstream

    is_target = partial(_is_target, settings)
    api = FakeApi(gap_seconds=settings.fake_pace)
    return FakeUpstream(nursery, is_target, dial_other, listener, api).dial


def _is_target(settings: Settings, authority: Authority) -> bool:
    return any(t.matches(authority.host, authority.port) for t in settings.target_host)


@frozen(eq=False, repr=False)
class _Detour:
    """Dials one server for all targets."""

    settings: Settings
    server: UpstreamServer
    dialer: Dialer

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection that is ready for HTTP. Raises `UpstreamError`."""
        if _is_target(self.settings, origin.authority):
            origin = Origin(self.server.authority, self.server.authority, self.server.tls)
        return await self.dialer.dial(origin)


@define(eq=False, repr=False)
class _Acceptor:
    """Runs a session for each accepted socket, and ends the sessions when the run drains."""

    runtime: Runtime
    _spare_memory: SpareMemory
    sessions: set[Session] = field(factory=set)

    async def run(self, listeners: list[trio.SocketListener], draining: trio.Event) -> None:
        """Accept clients until ``draining`` is set; return when every session has ended."""
        async with trio.open_nursery() as sessions:
            with ExitStack() as owned:
                doors = [owned.enter_context(SocketListener(tcp)) for tcp in listeners]
                async with trio.open_nursery() as accepting:
                    accept = Acceptor(self.serve_connection, self._warn_no_room)
                    for door in doors:
                        accepting.start_soon(accept.run, door, sessions)
                    await draining.wait()
                    accepting.cancel_scope.cancel()
            for tcp in listeners:
                await tcp.aclose()
            sessions.cancel_scope.deadline = trio.current_time() + self.runtime.limits.drain_seconds
            self._drain()

    async def serve_connection(self, stream: SocketStream) -> None:
        """Serve one client, and close its stream in any case."""
        await self._serve(stream)
        await self._spare_memory.ended(len(self.sessions))

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            if len(self.sessions) >= self.runtime.limits.sessions:
                await self._refuse(stream)
                return
            session = Session(self.runtime, self.runtime.next_session_id(), _peer(stream))
            self.sessions.add(session)
            self._spare_memory.began(len(self.sessions))
            try:
                door = HttpProxy(stream, stream.acknowledge, self._target_of(stream))
                await session.run(door)
            finally:
                self.sessions.discard(session)

    def _target_of(self, stream: SocketStream) -> TargetPattern | None:
        """Return the target whose own port a client has connected to; None for the proxy's."""
        ports = self.runtime.target_ports
        return ports.get(stream.socket.getsockname()[1]) if ports else None

    def _warn_no_room(self, reason: str) -> None:
        message = (
            f"a connection has to wait, for the system has no room for it ({reason}): allow more"
            " open files (ulimit -n), or let clients close what they do not use"
        )
        self.runtime.listener(Warned(time=time.time(), message=message))

    async def _refuse(self, stream: SocketStream) -> None:
        words = f"the proxy already serves {len(self.sessions)} connections"
        client = ClientConnection(stream, head_bytes=self.runtime.limits.head_bytes)
        client.closes = True
        try:
            await client.send(*dated(local_reply(503, "busy", words)))
        except ClientGoneError:
            return
        await close(stream, CloseMode.LINGER)

    def _drain(self) -> None:
        """End idle sessions now, and the others after their exchange; tell how many these are."""
        self.runtime.draining = True
        busy = [session for session in self.sessions if not session.idle]
        if busy:
            self.runtime.listener(
                ProxyDraining(
                    time=time.time(),
                    exchanges=sum(session.open_exchanges for session in busy),
                    sessions=len(busy),
                    seconds=self.runtime.limits.drain_seconds,
                )
            )
        for session in tuple(self.sessions):
            session.drain()


def _peer(stream: SocketStream) -> str:
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return "unknown"  # it has left already
    return f"{bracketed(host)}:{port}"
