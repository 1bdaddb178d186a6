"""The plugin as a program embeds it: started, called over gRPC, stopped."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from attrs import define, field

import faultinject
from faultinject.authority import TargetPattern
from faultinject.errors import SettingsError, StartError
from faultinject.events import (
    Event,
    ExchangeEnded,
    PluginStarted,
    PluginStopped,
    SessionFailed,
    Warned,
)
from faultinject.plugin.interface import Close, Direction, Replace, Reply, Side
from faultinject.plugin.serving import RunningPlugin, serve_plugin
from faultinject.settings import PluginSettings, WrittenRules
from tests.plugin.support import Host, host
from tests.support.authorities import AuthorityFiles
from tests.support.bench import TARGET, authority, get, trusting_context
from tests.support.fault_host import FaultTunnel
from tests.support.fault_world import answers_all, serve_upstream
from tests.support.peer import Peer

E = TypeVar("E", bound=Event)
PROMPT_SECONDS = 3.0


@define(eq=False)
class Run:
    """A plugin that runs, and the host that is connected to it."""

    running: RunningPlugin
    events: list[Event]
    sides: dict[Side, Host]
    over: trio.Event = field(factory=trio.Event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Call as Fault does."""
        number = [Side.CLIENT, Side.UPSTREAM].index(side)
        way = [Direction.FROM_PEER, Direction.TO_PEER].index(direction)
        reply = await self.sides[side].call(
            "ProcessTunnelData", id=tunnel_id, side=number, direction=way, chunk=chunk
        )
        if reply.WhichOneof("action") == "close":
            return Close(reply.close.reason)
        return Replace(reply.replace.modified_chunk)


def settings_for(folder: Path, **more: Any) -> PluginSettings:
    """Return settings for a run of a test's own."""
    certificate = folder / "upstream.pem"
    certificate.write_bytes(authority().certificate_pem)
    chosen: dict[str, Any] = {
        "port": 0,
        "upstream_port": 0,
        "data_dir": folder / "data",
        "upstream_ca": certificate,
        "target_host": (TargetPattern(TARGET),),
        "status_code": 429,
        "seed": 1,
    }
    return PluginSettings(**(chosen | more))


@asynccontextmanager
async def plugin(folder: Path, **settings: Any) -> AsyncIterator[Run]:
    """Run one within the block."""
    events: list[Event] = []
    serve = partial(serve_plugin, settings_for(folder, **settings), listener=events.append)
    async with trio.open_nursery() as nursery:
        over = trio.Event()

        async def run(task_status: trio.TaskStatus[RunningPlugin]) -> None:
            await serve(task_status=task_status)
            over.set()

        running = await nursery.start(run)
        ports = {side: int(url[-5:]) for side, url in running.registrations.urls.items()}
        with host(ports[Side.CLIENT]) as first, host(ports[Side.UPSTREAM]) as second:
            yield Run(running, events, {Side.CLIENT: first, Side.UPSTREAM: second}, over)
        nursery.cancel_scope.cancel()
    assert not [event for event in events if isinstance(event, SessionFailed)]


async def test_the_start_is_told(tmp_path: Path) -> None:
    """With the command that starts Fault."""
    hosts = ("a.example", "[::1]:8443", "a.example", "http://b.example")
    targets = tuple(map(TargetPattern.parse_target, hosts))
    async with plugin(tmp_path, target_host=targets) as run:
        [started] = run.of(PluginStarted)
        assert started.version == faultinject.__version__
        assert started.targets == (*hosts[:3], "http://b.example:80")
        assert started.ca_cert == str(tmp_path / "data" / "fault-ca.crt")
        assert started.command == run.running.command == (
            f"fault run --grpc-plugin {started.client_url} --grpc-plugin {started.upstream_url}"
            " --upstream https://a.example --upstream 'https://[::1]:8443'"
            " --upstream http://b.example:80"
        )  # fmt: skip
    assert run.of(PluginStopped)[0].reason == "cancelled"


@pytest.mark.parametrize("target", ["*", "*.example.com"])
async def test_patterns_are_all_hosts_to_fault(target: str, tmp_path: Path) -> None:
    """Which then need not be named besides."""
    targets = (TargetPattern("a.example"), TargetPattern.parse(target))
    async with plugin(tmp_path, target_host=targets) as run:
        assert run.running.command.endswith(" --upstream '*'")
        assert run.running.command.count("--upstream") == 1


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
async def test_what_the_user_should_know(tmp_path: Path) -> None:
    """A rule that no request reaches, and a key that others may read."""
    certificate, key = AuthorityFiles().write(tmp_path)
    key.chmod(0o644)
    rules = (WrittenRules("respond 503 name=first"), WrittenRules("respond 500 name=second"))
    async with plugin(tmp_path, rules=rules, ca_cert=certificate, ca_key=key) as run:
        of_key, of_rule = (warned.message for warned in run.of(Warned))
        assert of_key.startswith(f"{key}: other users of this machine may read the key")
        assert of_rule.startswith("--rule: rule: it is never reached: ")


async def test_a_tunnel_over_grpc(tmp_path: Path) -> None:
    """From the host's calls to an injected answer, through all the rooms."""
    async with plugin(tmp_path, error_probability=0.5) as run:
        tunnel = FaultTunnel(run)
        async with tunnel.running(), trio.open_nursery() as nursery:
            nursery.start_soon(serve_upstream, tunnel, answers_all, None)
            peer = Peer(tunnel.client)
            await peer.start_tls(client_context(run), TARGET)
            statuses = {(await peer.ask(get("/"))).status for _ in range(10)}
            assert statuses == {200, 429}
            nursery.cancel_scope.cancel()
        assert len(run.of(ExchangeEnded)) == 10


def client_context(run: Run) -> Any:
    """Return a context that trusts the plugin's authority."""
    context = trusting_context()
    context.load_verify_locations(run.running.ca_cert)
    return context


async def test_it_stops_at_once_while_the_host_stays(tmp_path: Path) -> None:
    """Whose calls are answered to the end."""
    async with plugin(tmp_path) as run:
        for side in run.sides.values():
            assert (await side.call("HealthCheck")).healthy
        with trio.fail_after(PROMPT_SECONDS):
            run.running.drain()
            await run.over.wait()
        assert run.of(PluginStopped)[0].reason == "told to stop"


async def test_one_port_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both flags are in the message, so that it can be mended."""
    monkeypatch.setattr("faultinject.plugin.registrations.MISSING_AFTER_SECONDS", 0.0)
    async with plugin(tmp_path) as run:
        health = await run.sides[Side.UPSTREAM].call("HealthCheck")
        assert not health.healthy
        assert run.running.registrations.flags in health.message
        await run.sides[Side.UPSTREAM].call("HealthCheck")
        [warned] = run.of(Warned)
        assert warned.message == health.message
        for side in run.sides.values():
            await side.call("GetPluginInfo")
        assert (await run.sides[Side.UPSTREAM].call("HealthCheck")).healthy


async def test_what_cannot_start(tmp_path: Path) -> None:
    """The reason comes out as it is."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(StartError, match="choose another with --port"):
            await serve_plugin(settings_for(tmp_path, port=port))
    with pytest.raises(SettingsError):
        await serve_plugin(settings_for(tmp_path, upstream_ca=tmp_path / "none"))


def test_it_is_public() -> None:
    """As `serve` is."""
    assert faultinject.serve_plugin is serve_plugin
    assert faultinject.PluginSettings is PluginSettings
