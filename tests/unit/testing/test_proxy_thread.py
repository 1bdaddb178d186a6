"""The thread in which proxies run, where things go wrong."""

from __future__ import annotations

import threading

import pytest
import trio

import faultinject
from faultinject.errors import StartError
from faultinject.testing import proxy_thread
from faultinject.testing.proxy_thread import ProxyThread
from tests.unit.testing.clients import ask, proxies


def test_no_port_to_listen_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said so where the thread was to be started, and nothing is left."""

    async def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(trio, "open_tcp_listeners", refuse)
    before = proxies()
    with pytest.raises(StartError, match=r"cannot listen on 127.0.0.1: Too many open files"):
        ProxyThread()
    assert proxies() == before


def test_after_its_end() -> None:
    """Nothing waits for ever; to stop it again is no error."""
    thread = ProxyThread()
    proxy = faultinject.Proxy(thread=thread).__enter__()
    assert ask(proxy) == 200
    thread.stop()
    with pytest.raises(StartError, match="has ended"):
        proxy.calls  # noqa: B018
    thread.stop()


def test_what_is_under_way_when_it_is_stopped() -> None:
    """Whoever waits for it is told."""
    thread = ProxyThread()
    begun, told = threading.Event(), []

    async def never_ending() -> None:
        begun.set()
        await trio.sleep_forever()

    def wait() -> None:
        with pytest.raises(StartError, match="was stopped") as caught:
            thread.call(never_ending)
        told.append(caught.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(20)
    thread.stop()
    waiting.join()
    assert told


def test_what_comes_while_it_is_being_stopped() -> None:
    """It is not begun any more."""
    thread = ProxyThread()
    told = []

    async def stop_and_call() -> None:
        def call() -> None:
            with pytest.raises(StartError, match="is being stopped") as caught:
                thread.call(trio.lowlevel.checkpoint)
            told.append(caught.value)

        with trio.CancelScope(shield=True):
            thread._nursery.cancel_scope.cancel()
            await trio.to_thread.run_sync(call)
        await trio.lowlevel.checkpoint()

    with pytest.raises(StartError, match="was stopped"):
        thread.call(stop_and_call)
    thread.stop()
    assert told


def test_a_defect_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends, and the next question says so, with the reason."""

    async def serve_run(
        _: object, listeners: list[trio.SocketListener], *, task_status: trio.TaskStatus[None]
    ) -> None:
        await listeners[0].aclose()
        task_status.started()
        raise RuntimeError("a defect")

    monkeypatch.setattr(proxy_thread, "serve_run", serve_run)
    thread = ProxyThread()
    proxy = faultinject.Proxy(thread=thread).__enter__()
    thread._thread.join()
    with pytest.raises(StartError, match="has ended") as caught:
        proxy.exchanges  # noqa: B018
    assert isinstance(caught.value.__cause__, BaseExceptionGroup)
    thread.stop()
