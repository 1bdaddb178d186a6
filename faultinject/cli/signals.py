"""Runs the proxy or the plugin until a signal ends it, and keeps its ready file.

The first Ctrl-C, SIGTERM, SIGHUP or SIGQUIT lets open exchanges finish, the second
ends them. `serve` and `serve_plugin` do the work.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import define

from faultinject.cli.commands import settle
from faultinject.errors import StartError
from faultinject.events import Listener
from faultinject.proxy.startup import Running
from faultinject.settings import Settings


@contextmanager
def ready_file(path: Path | None, contents: Mapping[str, object]) -> Iterator[None]:
    """Keep a JSON file with these contents while the block runs. Without a path do nothing.

    Raises `StartError` if it cannot be written.
    """
    if path is None:
        yield
        return
    _write(path, json.dumps(dict(contents), indent=2) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def forget_ready_file(path: Path | None) -> None:
    """Remove the file of an earlier run that was killed: it would mislead whoever waits for it.

    Raises `StartError` if it is not a file, or if no file can be written in its place.
    """
    if path is not None:
        try:
            path.unlink(missing_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise _cannot_write(path, error) from None


def _write(path: Path, text: str) -> None:
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".new", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> StartError:
    return StartError(
        f"cannot write the ready file {path}: {error.strerror or error}; name a file in a"
        " directory that exists and is yours"
    )


Serve = Callable[..., Awaitable[None]]
"""`serve`, `serve_plugin`, or a test's own function."""


Contents = Callable[[Any], dict[str, object]]
"""Makes the contents of the ready file, from the running proxy or plugin."""

# On Windows a program cannot receive a SIGTERM.
_WINDOWS = os.name == "nt"
STOP_SIGNALS = (
    (signal.SIGINT,) if _WINDOWS else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
)
_IGNORABLE = ("SIGHUP", "SIGQUIT")


def stop_signals() -> list[signal.Signals]:
    """Return the signals that end a run.

    SIGHUP (the terminal is closed) and SIGQUIT are left out if they were ignored when the program
    started, as with nohup.
    """
    return [
        number
        for number in STOP_SIGNALS
        if number.name not in _IGNORABLE or signal.getsignal(number) is not signal.SIG_IGN
    ]


async def until_stopped(
    settings: Settings, listener: Listener, serve: Serve, contents: Contents
) -> None:
    """Serve until a signal comes and open exchanges have ended. Keep a ready file meanwhile.

    Raises what ``serve`` raises if it cannot start, and `StartError` if the ready file cannot be
    written. Both may come inside exception groups.
    """
    forget_ready_file(settings.ready_file)
    with trio.open_signal_receiver(*stop_signals()) as signals:
        async with trio.open_nursery() as nursery:
            stop = _Stop(nursery.cancel_scope)
            nursery.start_soon(stop.watch, signals)
            with ExitStack() as while_serving:
                async with trio.open_nursery() as serving:
                    running = await serving.start(partial(serve, settings, listener=listener))
                    file = ready_file(settings.ready_file, contents(running))
                    while_serving.enter_context(file)
                    stop.running = running
                    settle()
            nursery.cancel_scope.cancel()


@define(eq=False, repr=False)
class _Stop:
    """Acts on signals: the first drains a running proxy; before that, and after, they cancel."""

    _scope: trio.CancelScope
    running: Running | None = None

    async def watch(self, signals: AsyncIterator[int]) -> None:
        """Act on each signal."""
        draining = False
        async for _ in signals:
            if self.running is None or draining:
                self._scope.cancel()
            else:
                draining = True
                self.running.drain()
