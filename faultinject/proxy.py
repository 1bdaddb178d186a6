"""The forward proxy: listens, and makes a session of each connection.

Knows nothing of signals, terminals and files of its own: whoever calls `serve` does.
"""

from __future__ import annotations

import errno
import ipaddress
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import trio
from attrs import define, field, frozen

from faultinject.accepting import Accepting
from faultinject.authority import Authority, bracketed, local_url
from faultinject.errors import ClientGoneError, StartError
from faultinject.events import Listener, ProxyStarted, ProxyStopped, Warned
from faultinject.exchange import dated, own_response
from faultinject.front_door import FrontDoor
from faultinject.http.connection import ClientConnection
from faultinject.rules.checks import Capabilities
from faultinject.run import Run, Running, nobody
from faultinject.services import services_of
from faultinject.session import Services, Session
from faultinject.settings import Settings
from faultinject.socket_stream import SocketStream
from faultinject.streams import Ending, close
from faultinject.upstream import Dial

CAPABILITIES = Capabilities("the proxy")
"""There is no fault that the proxy cannot perform."""


@frozen(kw_only=True)
class RunningProxy(Running):
    """A proxy that listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What clients on this machine use as their proxy, or as base URL."""
        return local_url(self.host, self.port)


async def serve(
    settings: Settings,
    *,
    listener: Listener = nobody,
    task_status: trio.TaskStatus[RunningProxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the proxy until cancelled, or told to drain by the started value.

    ``listener`` gets every event. Raises `StartError`, `SettingsError` before it has started;
    afterwards only cancellation ends it early.
    """
    run = Run.of(settings, CAPABILITIES, listener)
    async with AsyncExitStack() as owned:
        listeners = await _listen(settings)
        for tcp in listeners:
            await owned.enter_async_context(tcp)
        pool_nursery = await owned.enter_async_context(trio.open_nursery())
        acceptor = _Acceptor(_services(run, listeners, pool_nursery))
        running = RunningProxy(
            ca_cert=run.authority.certificate_path,
            told_to_drain=run.told_to_drain,
            host=settings.host,
            port=listeners[0].socket.getsockname()[1],
        )
        with run.told(_started(run, running), ProxyStopped):
            task_status.started(running)
            try:
                await acceptor.run(listeners, run.told_to_drain)
            finally:
                pool_nursery.cancel_scope.cancel()


def _started(run: Run, running: RunningProxy) -> ProxyStarted:
    return ProxyStarted(
        url=running.url,
        port=running.port,
        fake_upstream=run.settings.fake_upstream,
        **run.start_fields(),
    )


def _services(
    run: Run, listeners: list[trio.SocketListener], pool_nursery: trio.Nursery
) -> Services:
    dialer, settings = run.dialer(_leads_back(listeners)), run.settings
    if not settings.fake_upstream:
        return services_of(run, dialer, pool_nursery)
    dial = _dial_fake_upstream(settings, run.listener, dialer.dial, pool_nursery)
    return services_of(run, dialer, pool_nursery, dial=dial, relays_targets=False)


def _dial_fake_upstream(
    settings: Settings, listener: Listener, dial_other: Dial, nursery: trio.Nursery
) -> Dial:
    """Return what dials the fake API for targets."""
    from faultinject.demo.upstream import FakeUpstream

    def is_target(authority: Authority) -> bool:
        return any(t.matches(authority.host, authority.port) for t in settings.target_host)

    return FakeUpstream(nursery, is_target, dial_other, listener).dial


async def _listen(settings: Settings) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(settings.proxy_port, host=settings.host)
    except OSError as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or str(cause)
        port_is_why = getattr(cause, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        mend = "--proxy-port (0 picks a free one)" if port_is_why else "--host"
        raise StartError(
            f"cannot listen on {bracketed(settings.host)}:{settings.proxy_port}: {reason};"
            f" choose another with {mend}"
        ) from error
    if settings.proxy_port == 0:  # each address has picked one, and only one can be told
        for spare in listeners[1:]:
            await spare.aclose()
        del listeners[1:]
    return listeners


def _leads_back(
    listeners: list[trio.SocketListener],
) -> Callable[[trio.socket.SocketType], bool]:
    """Return a test whether a connected socket's peer is one of these listeners."""
    names = [listener.socket.getsockname()[:2] for listener in listeners]
    ours = [(_address(host), port) for host, port in names]

    def is_ourselves(connected: trio.socket.SocketType) -> bool:
        try:
            host, port = connected.getpeername()[:2]
        except OSError:
            return False  # reset already: what is sent next says so
        peer, local = _address(host), _address(connected.getsockname()[0])
        return any(
            port == our_port and (peer == our_host or _stands_for(our_host, peer, local))
            for our_host, our_port in ours
        )

    return is_ourselves


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address:
    """Return an address in one form: IPv4 within IPv6 (RFC 4291 section 2.5.5.2) as IPv4."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _stands_for(ours: _Address, peer: _Address, local: _Address) -> bool:
    """Say whether ours is every address of this machine, of which a connection's peer is one."""
    if not ours.is_unspecified or ours.version != peer.version:
        return False
    return peer == local or peer.is_loopback


@define(eq=False)
class _Acceptor:
    """Turns accepted sockets into sessions, and ends them when it is time."""

    services: Services
    sessions: set[Session] = field(factory=set)

    async def run(self, listeners: list[trio.SocketListener], told_to_drain: trio.Event) -> None:
        """Accept clients until told to drain; return when every session has ended."""
        async with trio.open_nursery() as sessions:
            async with trio.open_nursery() as accepting:
                accept = Accepting(self.serve_connection, self._tell_no_room)
                for tcp in listeners:
                    accepting.start_soon(accept.run, tcp, sessions)
                await told_to_drain.wait()
                accepting.cancel_scope.cancel()
            for tcp in listeners:
                await tcp.aclose()
            sessions.cancel_scope.deadline = (
                trio.current_time() + self.services.limits.drain_seconds
            )
            self._drain()

    async def serve_connection(self, accepted: trio.SocketStream) -> None:
        """Serve one client; the stream is closed afterwards, whatever happens."""
        async with SocketStream(accepted) as stream:
            if len(self.sessions) >= self.services.limits.sessions:
                await self._turn_away(stream)
                return
            session = Session(self.services, self.services.next_session_id(), _peer(stream))
            self.sessions.add(session)
            try:
                door = FrontDoor(stream, stream.acknowledge)
                await session.run(door.serve)
            finally:
                self.sessions.discard(session)

    def _tell_no_room(self, reason: str) -> None:
        message = (
            f"a connection has to wait, for the system has no room for it ({reason}): allow more"
            " open files (ulimit -n), or let clients close what they do not use"
        )
        self.services.listener(Warned(time=time.time(), message=message))

    async def _turn_away(self, stream: SocketStream) -> None:
        words = f"the proxy already serves {len(self.sessions)} connections"
        head, *rest = dated(own_response(503, "busy", words), close=True)
        client = ClientConnection(stream, head_bytes=self.services.limits.head_bytes)
        try:
            await client.send(head, *rest)
        except ClientGoneError:
            return
        await close(stream, Ending.UNREAD)

    def _drain(self) -> None:
        """End the sessions that have nothing under way, and the others when they are done."""
        self.services.draining = True
        for session in tuple(self.sessions):
            session.drain()


def _peer(stream: SocketStream) -> str:
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return "unknown"  # it has left already
    return f"{bracketed(host)}:{port}"
