"""Runs the plugin: opens its two registrations, and runs a session for each tunnel.

`serve_plugin` calls its listener and handles neither signals nor output. Those are its caller's.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from faultinject.authority import TargetPattern, local_url
from faultinject.events import Listener, PluginStarted, PluginStopped, Warned
from faultinject.plugin import wire
from faultinject.plugin.duplex.duplex_tunnel import duplex_tunnels
from faultinject.plugin.guard import TunnelGuard
from faultinject.plugin.http_forward import HttpForward
from faultinject.plugin.interface import Side, TunnelPlugin, capabilities_of
from faultinject.plugin.registrations import Registrations
from faultinject.plugin.reply.reply_tunnel import reply_tunnels
from faultinject.plugin.service import PluginService
from faultinject.plugin.tunnels import Tunnels
from faultinject.proxy.runtime import Runtime, dialer_of, runtime_of
from faultinject.proxy.spare_memory import give_back
from faultinject.proxy.startup import Run, Running, check_kind, ignore_event
from faultinject.settings import PluginSettings, TunnelMode


@asynccontextmanager
async def open_registrations(
    settings: PluginSettings, runtime: Runtime, tunnels: TunnelPlugin
) -> AsyncIterator[Registrations]:
    """Listen for the host while the block runs. The value says where.

    Leaving the block cancels every call under way and closes the host's connections. Tunnels
    that should end with `Close` instead must end inside the block. Raises `StartError` if this
    Python has no trio-asyncio, or a port cannot be had.
    """
    # Late, because loading it takes a while, changes asyncio, and fails on some Pythons.
    from faultinject.plugin.bridge.grpc_server import Endpoint, open_grpc

    def warn(problem: str) -> None:
        runtime.listener(Warned(time=time.time(), message=problem))

    registrations = Registrations(settings.tunnel, warn=warn)
    guarded = TunnelGuard(tunnels, runtime.listener)
    http = HttpForward(runtime, settings.http_forward)
    ports = {
        Side.CLIENT: (settings.port, "--port"),
        Side.UPSTREAM: (settings.upstream_port, "--upstream-port"),
    }
    spare_memory = give_back if settings.gives_memory_back else None
    endpoints, largest = [], wire.largest_messages(settings.tunnel)
    for side, (port, option) in ports.items():
        service = PluginService(side, registrations, guarded, http)
        calls = service.calls()
        endpoints.append(
            Endpoint(
                settings.host, port, option, wire.SERVICE, calls, largest, give_back=spare_memory
            )
        )

    async with open_grpc(endpoints, warn) as bound_ports:
        for side, bound_port in zip(ports, bound_ports, strict=True):
            registrations.urls[side] = local_url(settings.host, bound_port)
        yield registrations


OpenTunnels = Callable[[trio.Nursery, Runtime, PluginSettings], Tunnels[Any]]
_MODES: dict[TunnelMode, OpenTunnels] = {"duplex": duplex_tunnels, "reply": reply_tunnels}
"""What runs the tunnels, for each use that a host makes of the replies."""


@frozen(kw_only=True)
class RunningPlugin(Running):
    """A plugin that listens."""

    registrations: Registrations
    command: str
    """The command that starts Fault with the plugin; empty for another host."""


async def serve_plugin(
    settings: PluginSettings,
    *,
    listener: Listener = ignore_event,
    task_status: trio.TaskStatus[RunningPlugin] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the plugin until it is cancelled, or `Running.drain` is called on the started value.

    ``listener`` gets every event. Raises `StartError`, `SettingsError` before it has started;
    afterwards only cancellation ends it early.
    """
    check_kind(settings, PluginSettings)
    run = Run.of(settings, listener, capabilities_of(settings))
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            await _serve(settings, run, nursery, task_status)
        except Exception as error:  # noqa: BLE001 - raised below, not wrapped in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _serve(
    settings: PluginSettings,
    run: Run,
    nursery: trio.Nursery,
    task_status: trio.TaskStatus[RunningPlugin],
) -> None:
    # The host does not connect through a listener of the proxy, so there can be no loop.
    dialer = dialer_of(settings, lambda _socket: False)
    runtime = runtime_of(run, dialer, resumption=False)
    nursery.start_soon(runtime.first_waits.run)
    tunnels = _MODES[settings.tunnel](nursery, runtime, settings)
    async with open_registrations(settings, runtime, tunnels) as registrations:
        command = registrations.command = _command(settings, registrations)
        with run.announced(_started(settings, run, registrations, command), PluginStopped):
            task_status.started(
                RunningPlugin(
                    ca_cert=run.authority.certificate_path,
                    draining=run.draining,
                    registrations=registrations,
                    command=command,
                )
            )
            await _until_drained(run, runtime, tunnels)


async def _until_drained(run: Run, runtime: Runtime, tunnels: Tunnels[Any]) -> None:
    try:
        await run.draining.wait()
        runtime.draining = True
        with trio.move_on_after(runtime.limits.drain_seconds):
            await tunnels.drain()
    finally:
        with trio.CancelScope(shield=True):
            await tunnels.end()


def _started(
    settings: PluginSettings, run: Run, registrations: Registrations, command: str
) -> PluginStarted:
    return PluginStarted(
        client_url=registrations.urls[Side.CLIENT],
        upstream_url=registrations.urls[Side.UPSTREAM],
        tunnel=settings.tunnel,
        command=command,
        **run.start_fields(),
    )


def _command(settings: PluginSettings, registrations: Registrations) -> str:
    """Return the command that starts Fault with both registrations and the targets."""
    if settings.tunnel != "duplex":
        return ""
    upstreams = dict.fromkeys(map(_upstream_of, settings.target_host))  # each once, in order
    if "*" in upstreams:
        upstreams = {"*": None}
    words = (f"--upstream {shlex.quote(upstream)}" for upstream in upstreams)
    return " ".join(("fault run", registrations.flags, *words))


def _upstream_of(target: TargetPattern) -> str:
    """Return a target as Fault's option takes it: one host, or all."""
    if not target.exact:
        return "*"
    return f"https://{target}" if target.tls else str(target)
