"""Tests of what signals do, with a proxy that only waits."""

import gc
import json
import os
import signal
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field

from faultinject import serve, serve_plugin
from faultinject.authority import TargetPattern
from faultinject.cli import plugin
from faultinject.cli.entry import only_cause
from faultinject.cli.proxy import PROXY, contents
from faultinject.cli.signals import (
    STOP_SIGNALS,
    stop_signals,
    until_stopped,
)
from faultinject.errors import StartError
from faultinject.settings import Settings


@define
class Registrations:
    """Where a plugin is called."""

    urls: dict[int, str] = field(factory=lambda: {1: "http://a:5", 2: "http://a:6"})


@define
class Waiting:
    """Stands for `serve` and for the running proxy: drains when `drained` is set."""

    host: str = "127.0.0.1"
    port: int = 5
    url: str = "http://127.0.0.1:5"
    ca_cert: Path | None = Path("ca.crt")
    targets: tuple[TargetPattern, ...] = (TargetPattern("api.example.com"),)
    fake_upstream: bool = False
    command: str = "fault run"
    registrations: Registrations = field(factory=Registrations)
    drains: int = 0
    cancelled: bool = False
    starting: trio.Event = field(factory=trio.Event)
    may_start: trio.Event = field(factory=trio.Event)
    started: trio.Event = field(factory=trio.Event)
    drained: trio.Event = field(factory=trio.Event)
    draining: trio.Event = field(factory=trio.Event)

    def drain(self):
        """Count, and note."""
        self.drains += 1
        self.draining.set()

    async def serve(self, settings, *, listener, task_status):
        """Wait for the drain's end."""
        self.starting.set()
        try:
            await self.may_start.wait()
            task_status.started(self)
            self.started.set()
            await self.drained.wait()
        except trio.Cancelled:
            self.cancelled = True
            raise


@pytest.fixture
def proxy():
    """Return a proxy that starts at once."""
    waiting = Waiting()
    waiting.may_start.set()
    return waiting


@pytest.fixture
def ready(tmp_path):
    """Return a ready file's path."""
    return tmp_path / "ready.json"


def begin(nursery, proxy, ready):
    """Start to serve in the background."""
    settings = Settings(ready_file=ready)
    nursery.start_soon(until_stopped, settings, lambda event: None, proxy.serve, contents)


async def all_settled():
    """Let every task come to its next wait."""
    await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
def not_ignored():
    """Have every signal do what it does by default, whoever started the tests."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOP_SIGNALS[2:]}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("not_ignored")
@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_signals_that_are_ignored_stay_so():
    """As nohup wants it; Ctrl-C and SIGTERM end a run that a shell put into the background."""
    assert stop_signals() == list(STOP_SIGNALS)
    for number in STOP_SIGNALS[2:]:
        signal.signal(number, signal.SIG_IGN)
    assert stop_signals() == [signal.SIGINT, signal.SIGTERM]


async def test_the_ready_file_of_a_run_without_an_authority(proxy, ready):
    """There is no certificate to trust."""
    proxy.ca_cert = None
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.started.wait()
        await all_settled()
        assert json.loads(ready.read_text())["ca_cert"] is None
        proxy.drain()
        proxy.drained.set()


@pytest.mark.usefixtures("not_ignored")
@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_the_first_signal_drains(proxy, ready, number):
    """Open exchanges end by themselves; the ready file is gone then."""
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.started.wait()
        await all_settled()
        assert json.loads(ready.read_text()) == {
            "proxy": "http://127.0.0.1:5",
            "host": "127.0.0.1",
            "port": 5,
            "ca_cert": "ca.crt",
            "targets": ["api.example.com"],
            "fake_upstream": False,
            "pid": os.getpid(),
        }
        signal.raise_signal(number)
        await proxy.draining.wait()
        assert ready.exists()
        proxy.drained.set()
    assert (proxy.drains, proxy.cancelled) == (1, False)
    assert not ready.exists()


async def test_the_second_signal_ends_it_now(proxy, ready):
    """Whatever is open."""
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.started.wait()
        await all_settled()
        signal.raise_signal(signal.SIGINT)
        await proxy.draining.wait()
        signal.raise_signal(STOP_SIGNALS[:2][-1])
    assert (proxy.drains, proxy.cancelled) == (1, True)
    assert not ready.exists()


async def test_a_signal_before_it_listens_ends_it(ready):
    """There is nothing to drain."""
    proxy = Waiting()
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.starting.wait()
        signal.raise_signal(signal.SIGINT)
    assert (proxy.drains, proxy.cancelled) == (0, True)


async def test_a_proxy_that_ends_by_itself_ends_all(proxy, ready):
    """Nothing waits for signals then."""
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.started.wait()
        proxy.drained.set()
    assert not ready.exists()


async def test_a_failure_removes_the_ready_file(ready):
    """The proxy's error comes out."""

    async def serve(settings, *, listener, task_status):
        task_status.started(Waiting())
        await all_settled()
        assert ready.exists()
        raise StartError("broke")

    with pytest.raises(ExceptionGroup) as caught:
        await until_stopped(Settings(ready_file=ready), lambda event: None, serve, contents)
    assert str(only_cause(caught.value)) == "broke"
    assert not ready.exists()


async def test_a_ready_file_that_cannot_be_written_ends_it(proxy, tmp_path, monkeypatch):
    """Who waits for it would wait for ever. At the start its place was still good."""
    monkeypatch.setattr("faultinject.cli.signals.forget_ready_file", lambda path: None)
    settings = Settings(ready_file=tmp_path / "none" / "r")
    with pytest.raises(ExceptionGroup) as caught:
        await until_stopped(settings, lambda event: None, proxy.serve, contents)
    assert isinstance(only_cause(caught.value), StartError)
    assert proxy.cancelled


async def test_garbage_is_collected_once_it_serves(proxy, ready):
    """Until then there are imports, for which it would be in vain."""
    gc.disable()
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await all_settled()
        assert gc.isenabled()
        nursery.cancel_scope.cancel()


async def test_a_stale_ready_file_is_gone_before_the_start(ready):
    """It would send clients to a proxy that is no more."""
    ready.write_text("stale")
    proxy = Waiting()
    async with trio.open_nursery() as nursery:
        begin(nursery, proxy, ready)
        await proxy.starting.wait()
        assert not ready.exists()
        nursery.cancel_scope.cancel()


def test_what_the_ready_file_of_a_plugin_says(proxy):
    """How to reach it, and how Fault is started for it."""
    assert plugin.contents(proxy) == {
        "client_url": "http://a:5",
        "upstream_url": "http://a:6",
        "command": "fault run",
        "ca_cert": "ca.crt",
        "pid": os.getpid(),
    }


def test_the_proxy_and_the_plugin():
    """Each is served by its own function."""
    assert (PROXY.serve, plugin.PLUGIN.serve) == (serve, serve_plugin)
