"""`serve` and `serve_plugin` in another program: beside each other, cut short, in threads."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from faultinject import PluginSettings, Settings, serve, serve_plugin
from faultinject.errors import SettingsError, StartError
from faultinject.events import Event, PluginStopped, ProxyStopped, Warned
from tests.support.cancelling import cancelled_at


def proxy_settings(folder: Path, **more: Any) -> Settings:
    """Return settings for a proxy whose targets are the fake API."""
    return Settings(**({"proxy_port": 0, "data_dir": folder, "fake_upstream": True} | more))


def plugin_settings(folder: Path) -> PluginSettings:
    """Return settings for a plugin."""
    return PluginSettings(port=0, upstream_port=0, data_dir=folder)


async def test_two_proxies_in_one_program(tmp_path: Path) -> None:
    """They share a certificate authority, and no rule, port or event."""
    events: dict[int, list[Event]] = {500: [], 503: []}
    async with trio.open_nursery() as nursery:
        running = {}
        for status, told in events.items():
            settings = proxy_settings(tmp_path, error_probability=1, status_code=status)
            running[status] = await nursery.start(partial(serve, settings, listener=told.append))
        for status, proxy in running.items():
            async with httpx.AsyncClient(base_url=proxy.url, trust_env=False) as client:
                assert (await client.get("/v1/models")).status_code == status
        assert running[500].ca_cert == running[503].ca_cert
        nursery.cancel_scope.cancel()
    for status, told in events.items():
        assert [e.status for e in told if e.NAME == "exchange"] == [status]  # type: ignore[attr-defined]


async def test_one_that_ends_leaves_the_other_alone(tmp_path: Path) -> None:
    """Each has its own end."""
    async with trio.open_nursery() as nursery:
        stays = await nursery.start(serve, proxy_settings(tmp_path, error_probability=0))
        async with trio.open_nursery() as other:
            proxy = await other.start(serve, proxy_settings(tmp_path))
            proxy.drain()
        async with httpx.AsyncClient(base_url=stays.url, trust_env=False) as client:
            assert (await client.get("/v1/models")).status_code == 200
        nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """By another proxy of the same program, too."""
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(serve, proxy_settings(tmp_path))
        with pytest.raises(StartError, match="Address already in use"):
            await serve(proxy_settings(tmp_path, proxy_port=proxy.port))
        nursery.cancel_scope.cancel()


# -- cut short ----------------------------------------------------------------------------------


async def cut_short(serving: Any, settings: Settings, step: int, events: list[Event]) -> bool:
    """Serve, be cancelled at a step, and return whether it was reached."""
    with trio.CancelScope() as scope, cancelled_at(step, scope.cancel) as cancelling:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serving, settings, listener=events.append))
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    return cancelling.reached


@pytest.mark.parametrize("kind", ["proxy", "plugin"])
def test_cancelled_at_any_step(kind: str, tmp_path: Path) -> None:
    """Nothing is raised, nothing stays open, and the end is told if the start was."""
    if kind == "plugin":
        pytest.importorskip("trio_asyncio", exc_type=Exception)
    serving, settings, stopped = {
        "proxy": (serve, proxy_settings(tmp_path), ProxyStopped),
        "plugin": (serve_plugin, plugin_settings(tmp_path), PluginStopped),
    }[kind]
    started = 0
    for step in range(1, 1000):
        events: list[Event] = []
        reached = trio.run(cut_short, serving, settings, step, events)
        told = [event for event in events if not isinstance(event, Warned)]
        assert len(told) in (0, 2)
        assert not told or isinstance(told[1], stopped)
        started += bool(told)
        if not reached:
            break
    gc.collect()  # a socket that was left open is a warning, which is an error here
    assert step > 10
    assert 0 < started < step


# -- threads ------------------------------------------------------------------------------------


def handlers() -> dict[int, Any]:
    """Return who gets each signal."""
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


@asynccontextmanager
async def served(kind: str, folder: Path) -> AsyncIterator[None]:
    """Serve until the block is left."""
    serving, settings = {
        "proxy": (serve, proxy_settings(folder)),
        "plugin": (serve_plugin, plugin_settings(folder)),
    }[kind]
    async with trio.open_nursery() as nursery:
        await nursery.start(serving, settings)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["proxy", "plugin"])
def test_in_a_thread(kind: str, tmp_path: Path) -> None:
    """It works, and no signal handler is installed meanwhile."""
    if kind == "plugin":
        pytest.importorskip("trio_asyncio", exc_type=Exception)
    before, meanwhile = handlers(), list[dict[int, Any]]()

    async def run() -> None:
        async with served(kind, tmp_path):
            meanwhile.append(handlers())

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    thread.join()
    assert meanwhile == [before]
    assert handlers() == before


@pytest.mark.parametrize("kind", ["proxy", "plugin"])
def test_first_waits_are_limited_by_one_task(kind: str, tmp_path: Path) -> None:
    """Without it each would have a cancel scope, which costs more."""
    if kind == "plugin":
        pytest.importorskip("trio_asyncio", exc_type=Exception)
    names: list[str] = []

    class Begun(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            names.append(task.name)

    async def run() -> None:
        async with served(kind, tmp_path):
            await trio.testing.wait_all_tasks_blocked()

    trio.run(run, instruments=[Begun()])
    assert any(name.endswith("FirstWaits.run") for name in names)


# -- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [None, {"proxy_port": 0}, Settings, "proxy"])
@pytest.mark.parametrize(
    ("serving", "kind"), [(serve, "Settings"), (serve_plugin, "PluginSettings")]
)
async def test_what_is_no_settings(serving: Any, kind: str, settings: Any) -> None:
    """The error says what is."""
    with pytest.raises(SettingsError, match=f"not a {kind}; make one by faultinject.{kind}"):
        await serving(settings)


async def test_the_proxys_settings_are_not_the_plugins(tmp_path: Path) -> None:
    """The other way round they are: the plugin's have all of them."""
    with pytest.raises(SettingsError, match="Settings is not a PluginSettings"):
        await serve_plugin(proxy_settings(tmp_path))  # type: ignore[arg-type]


async def test_a_header_that_no_answer_can_have(tmp_path: Path) -> None:
    """It is found before the start, and nothing is told of a run."""
    events: list[Event] = []
    settings = proxy_settings(tmp_path, headers={"content-length": "5"})
    with pytest.raises(SettingsError, match="headers: the header content-length cannot be set"):
        await serve(settings, listener=events.append)
    assert events == []
