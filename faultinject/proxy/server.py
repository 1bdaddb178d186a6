"""The forward proxy: listens, and then serves its clients (`faultinject.proxy.acceptor`).

Signals and output are the caller's: `serve` only calls its listener.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import trio
from attrs import evolve, field, frozen

from faultinject.authority import TargetPattern, bracketed, local_url
from faultinject.errors import StartError
from faultinject.events import Listener, ProxyStarted, ProxyStopped
from faultinject.proxy.startup import Run, Running, check_kind, ignore_event
from faultinject.settings import Settings


@frozen(kw_only=True)
class RunningProxy(Running):
    """A proxy that listens."""

    host: str
    port: int
    targets: tuple[TargetPattern, ...] = ()
    """The hosts whose requests may fail."""
    fake_upstream: bool = False
    """Whether the fake API answers for them."""
    base_urls: Mapping[TargetPattern, str] = field(factory=dict)
    """The base URL of each target that has a port of its own."""

    @property
    def url(self) -> str:
        """What clients on this machine use as their proxy, or as base URL."""
        return local_url(self.host, self.port)


async def serve(
    settings: Settings,
    *,
    listener: Listener = ignore_event,
    task_status: trio.TaskStatus[RunningProxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the proxy until it is cancelled, or `Running.drain` is called on the started value.

    ``listener`` gets every event. Raises `StartError`, `SettingsError` before it has started;
    afterwards only cancellation ends it early.
    """
    check_kind(settings, Settings)
    run = Run.of(settings, listener, is_base_url=True)
    await serve_run(run, await _listen(settings), task_status=task_status)


async def serve_run(
    run: Run,
    listeners: list[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[RunningProxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a run's clients on these listeners, which it closes; the rest is as in `serve`."""
    async with AsyncExitStack() as owned:
        for tcp in listeners:
            await owned.enter_async_context(tcp)
        if run.settings.port_per_target:
            listeners = [*listeners, *await _listen_for_targets(run, owned)]
        running = RunningProxy(
            ca_cert=run.authority.certificate_path,
            draining=run.draining,
            host=run.settings.host,
            port=listeners[0].socket.getsockname()[1],
            targets=run.settings.target_host,
            fake_upstream=run.settings.fake_upstream,
            base_urls={
                target: local_url(run.settings.host, port)
                for port, target in run.target_ports.items()
            },
        )
        with run.announced(_started(run, running), ProxyStopped):
            task_status.started(running)
            # Imported late, or it would delay the start. Clients that connect meanwhile wait in
            # the listener's queue.
            from faultinject.proxy.acceptor import serve_clients

            await serve_clients(run, listeners, _loop_test(listeners))


def _started(run: Run, running: RunningProxy) -> ProxyStarted:
    return ProxyStarted(
        url=running.url,
        port=running.port,
        fake_upstream=run.settings.fake_upstream,
        **run.start_fields(),
    )


_HOST_MEND = "--host (it is where to listen; the API's host is --target-host)"


async def _listen(settings: Settings) -> list[trio.SocketListener]:
    # As bytes where that says the same: for text Python loads its codec for international names.
    host = settings.host.encode() if settings.host.isascii() else settings.host
    try:
        listeners = await trio.open_tcp_listeners(settings.proxy_port, host=host)
    except OSError as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or str(cause)
        port_is_why = getattr(cause, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        mend = "--proxy-port (0 picks a free one)" if port_is_why else _HOST_MEND
        raise StartError(
            f"cannot listen on {bracketed(settings.host)}:{settings.proxy_port}: {reason};"
            f" choose another with {mend}"
        ) from error
    if settings.proxy_port == 0:  # each address has picked one, and only one can be told
        for spare in listeners[1:]:
            await spare.aclose()
        del listeners[1:]
    return listeners


async def _listen_for_targets(run: Run, owned: AsyncExitStack) -> list[trio.SocketListener]:
    """Listen on a free port for each target that is one host, and note which port is whose."""
    listeners = []
    for target in dict.fromkeys(target for target in run.settings.target_host if target.exact):
        [tcp] = await _listen(evolve(run.settings, proxy_port=0))
        listeners.append(await owned.enter_async_context(tcp))
        run.target_ports[tcp.socket.getsockname()[1]] = target
    return listeners


def _loop_test(
    listeners: list[trio.SocketListener],
) -> Callable[[trio.socket.SocketType], bool]:
    """Return a function that tests whether a socket is connected to one of these listeners."""
    names = [listener.socket.getsockname()[:2] for listener in listeners]
    ours = [(_address(host), port) for host, port in names]

    def is_loop(connected: trio.socket.SocketType) -> bool:
        try:
            host, port = connected.getpeername()[:2]
        except OSError:
            return False  # reset already: the next send will fail
        peer, local = _address(host), _address(connected.getsockname()[0])
        return any(
            port == our_port and (peer == our_host or _stands_for(our_host, peer, local))
            for our_host, our_port in ours
        )

    return is_loop


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address:
    """Return an address; one that is IPv4 mapped to IPv6 (RFC 4291 section 2.5.5.2) as IPv4."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _stands_for(ours: _Address, peer: _Address, local: _Address) -> bool:
    """Return True if ``ours`` is the wildcard address and the peer is an address of this host."""
    if not ours.is_unspecified or ours.version != peer.version:
        return False
    return peer == local or peer.is_loopback
