"""Runs the proxy until a signal says that it should end.

The first Ctrl-C or SIGTERM lets open exchanges finish, the second ends them. Knows nothing of
where settings come from or of how events are shown; `faultinject.proxy.serve` does the work.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import trio
from attrs import define

from faultinject.cli.ready_file import forget_ready_file, ready_file
from faultinject.events import Listener
from faultinject.proxy import RunningProxy, serve
from faultinject.settings import Settings

Serve = Callable[..., Awaitable[None]]
"""`serve`, or what stands for it."""

# On Windows nobody can send a SIGTERM that a program would receive.
_WINDOWS = os.name == "nt"
STOP_SIGNALS = (signal.SIGINT,) if _WINDOWS else (signal.SIGINT, signal.SIGTERM)


async def serve_until_stopped(settings: Settings, listener: Listener, serve: Serve = serve) -> None:
    """Serve, with a ready file if one is wanted, until told to stop and drained.

    Raises what `serve` raises when it cannot start, and `StartError` if the ready file cannot be
    written; either may come inside exception groups.
    """
    forget_ready_file(settings.ready_file)
    with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            stop = _Stop(nursery.cancel_scope)
            nursery.start_soon(stop.watch, signals)
            await _serve(partial(serve, settings, listener=listener), settings.ready_file, stop)
            nursery.cancel_scope.cancel()


async def _serve(serve: Serve, ready: Path | None, stop: _Stop) -> None:
    with ExitStack() as while_serving:
        async with trio.open_nursery() as nursery:
            running: RunningProxy = await nursery.start(serve)
            while_serving.enter_context(ready_file(ready, contents(running)))
            stop.running = running


@define
class _Stop:
    """What a signal does: drain once the proxy runs, cancel before that and after."""

    _scope: trio.CancelScope
    running: RunningProxy | None = None

    async def watch(self, signals: AsyncIterator[int]) -> None:
        """Act on each signal."""
        draining = False
        async for _ in signals:
            if self.running is None or draining:
                self._scope.cancel()
            else:
                draining = True
                self.running.drain()


def contents(running: RunningProxy) -> dict[str, object]:
    """Return what the ready file says."""
    return {
        "proxy": running.url,
        "host": running.host,
        "port": running.port,
        "ca_cert": str(running.ca_cert),
        "pid": os.getpid(),
    }
