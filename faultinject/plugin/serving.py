"""The plugin as a whole: opens its registrations, and makes a session of each tunnel.

Knows nothing of signals, terminals and files of its own: whoever calls `serve_plugin` does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

import faultinject
from faultinject.authority import TargetPattern
from faultinject.composing import asked_probability, rule_set_of
from faultinject.conversation import load_performing
from faultinject.dial import Dialer
from faultinject.events import Event, Listener, PluginStarted, PluginStopped
from faultinject.plugin.calls import Side
from faultinject.plugin.capabilities import CAPABILITIES
from faultinject.plugin.duplex import duplex_tunnels
from faultinject.plugin.front import open_front
from faultinject.plugin.http_calls import check_only_answers
from faultinject.plugin.registrations import Registrations
from faultinject.plugin.reply import reply_tunnels
from faultinject.plugin.tunnels import Tunnels
from faultinject.rules import Counters, RuleSet
from faultinject.session import Services
from faultinject.settings import PluginSettings, TunnelMode
from faultinject.tls.certificate_authority import CertificateAuthority
from faultinject.tls.leaves import LeafCache
from faultinject.upstream import Pool

OpenTunnels = Callable[[trio.Nursery, Services, PluginSettings], Tunnels[Any]]
_MODES: dict[TunnelMode, OpenTunnels] = {"duplex": duplex_tunnels, "reply": reply_tunnels}
"""What deals with the tunnels, by what the host does with the answers."""


def _ignore(_event: Event) -> None:
    pass


@frozen
class RunningPlugin:
    """A plugin that listens."""

    registrations: Registrations
    command: str
    """How Fault is started so that it uses the plugin; empty for another host."""
    ca_cert: Path
    """The certificate that clients must trust."""
    _told_to_drain: trio.Event

    def drain(self) -> None:
        """Refuse new tunnels, end idle ones, and end once open exchanges have.

        They get ``limits.drain_seconds``; then `serve_plugin` returns.
        """
        self._told_to_drain.set()


async def serve_plugin(
    settings: PluginSettings,
    *,
    listener: Listener = _ignore,
    task_status: trio.TaskStatus[RunningPlugin] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the plugin until cancelled, or told to drain by the started value.

    ``listener`` gets every event. Raises `StartError`, `SettingsError` before it has started;
    afterwards only cancellation ends it early.
    """
    rule_set = rule_set_of(settings, CAPABILITIES[settings.tunnel])
    if settings.http_forward:
        check_only_answers(rule_set)
    load_performing(rule_set)
    authority = CertificateAuthority.chosen(settings.ca_cert, settings.ca_key, settings.data_dir)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            await _serve(settings, rule_set, listener, task_status, authority, nursery)
        except Exception as error:  # noqa: BLE001 - raised below, not wrapped in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _serve(
    settings: PluginSettings,
    rule_set: RuleSet,
    listener: Listener,
    task_status: trio.TaskStatus[RunningPlugin],
    authority: CertificateAuthority,
    nursery: trio.Nursery,
) -> None:
    services = _services(settings, rule_set, listener, authority, nursery)
    tunnels = _MODES[settings.tunnel](nursery, services, settings)
    told_to_drain = trio.Event()
    async with open_front(settings, services, tunnels) as registrations:
        command = _command(settings, registrations)
        running = RunningPlugin(registrations, command, authority.certificate_path, told_to_drain)
        listener(_started(settings, rule_set, running))
        task_status.started(running)
        try:
            await told_to_drain.wait()
            services.draining = True
            with trio.move_on_after(settings.limits.drain_seconds):
                await tunnels.drain()
        finally:
            with trio.CancelScope(shield=True):
                await tunnels.end()
            reason = "told to stop" if told_to_drain.is_set() else "cancelled"
            totals = services.counters.totals(rule_set.ids)
            listener(PluginStopped(time=time.time(), reason=reason, rules=totals))


def _services(
    settings: PluginSettings,
    rule_set: RuleSet,
    listener: Listener,
    authority: CertificateAuthority,
    nursery: trio.Nursery,
) -> Services:
    limits = settings.limits
    dialer = Dialer(
        settings.connect_to,
        settings.upstream_ca,
        settings.insecure_upstream,
        limits.dial_seconds,
        lambda _socket: False,  # who calls the plugin is no client that it could be dialled for
    )
    return Services(
        limits=limits,
        targets=settings.target_host,
        rule_set=rule_set,
        counters=Counters(),
        leaves=LeafCache(authority, limits.leaves, num_tickets=0, resumption=False),
        dialer=dialer,
        pool=Pool(nursery, dialer.dial, limits),
        listener=listener,
    )


def _command(settings: PluginSettings, registrations: Registrations) -> str:
    """Return the command that starts Fault with both registrations, and for the targets."""
    if settings.tunnel != "duplex":
        return ""
    upstreams = dict.fromkeys(map(_upstream_of, settings.target_host))  # each once, in order
    if "*" in upstreams:
        upstreams = {"*": None}
    words = (f"--upstream {shlex.quote(upstream)}" for upstream in upstreams)
    return " ".join(("fault run", registrations.flags, *words))


def _upstream_of(target: TargetPattern) -> str:
    """Return how Fault is told of a target: it knows whole hosts, or all."""
    return f"https://{target}" if target.exact else "*"


def _started(settings: PluginSettings, rule_set: RuleSet, running: RunningPlugin) -> PluginStarted:
    return PluginStarted(
        time=time.time(),
        version=faultinject.__version__,
        client_url=running.registrations.urls[Side.CLIENT],
        upstream_url=running.registrations.urls[Side.UPSTREAM],
        host=settings.host,
        tunnel=settings.tunnel,
        targets=tuple(str(target) for target in settings.target_host),
        error_probability=asked_probability(settings),
        status_code=settings.status_code,
        seed=settings.seed,
        ca_cert=str(running.ca_cert),
        command=running.command,
        rules=rule_set.ids,
    )
