"""Runs the proxy for as long as a command runs, and hands on what signals mean for it."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import PurePath

import trio
from attrs import define

from faultinject.cli.commands import settle
from faultinject.cli.proxy import PROXY
from faultinject.cli.run.child_process import Child, exit_code, started
from faultinject.cli.signals import STOP_SIGNALS, forget_ready_file, ready_file
from faultinject.events import CommandEnded, Listener
from faultinject.proxy.server import RunningProxy, serve
from faultinject.settings import RunSettings

_OF_THE_TERMINAL = {signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT)}
"""Signals that a terminal sends to the command as well: it decides what they mean."""


def heeded_signals() -> list[signal.Signals]:
    """Return the signals to act on: all that end a run, but those that we were told to ignore.

    The command inherits that: it must not be undone by a handler of ours, which would make the
    command take the signal again.
    """
    return [each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]


Environment = Callable[[RunningProxy], Mapping[str, str]]
"""Returns the command's environment, once it is known where the proxy listens."""


@define(eq=False, repr=False)
class Supervisor:
    """Runs a command behind the proxy."""

    settings: RunSettings
    listener: Listener
    command: Sequence[str]
    environment: Environment
    on_start: Callable[[], None]
    """Called once the command runs."""
    _child: Child | None = None
    _stopped_by: int | None = None

    async def run(self) -> int:
        """Return the command's exit code, once it has ended and the proxy has drained.

        Raises `CommandError` if the command cannot be started, and what ``serve`` raises; either
        may come inside exception groups.
        """
        forget_ready_file(self.settings.ready_file)
        code = 0
        with ExitStack() as receiving:
            async with trio.open_nursery() as watching:
                if numbers := heeded_signals():
                    signals = receiving.enter_context(trio.open_signal_receiver(*numbers))
                    watching.start_soon(self._watch, signals, watching.cancel_scope)
                async with trio.open_nursery() as serving:
                    start = partial(serve, self.settings, listener=self.listener)
                    running = await serving.start(start)
                    with ready_file(self.settings.ready_file, PROXY.contents(running)):
                        code = await self._run_command(running)
                        running.drain()
                watching.cancel_scope.cancel()
        return code if self._stopped_by is None else exit_code(-self._stopped_by)

    async def _run_command(self, running: RunningProxy) -> int:
        with started(self.command, self.environment(running)) as self._child:
            self.on_start()
            settle()
            code = await self._child.wait()
            self.listener(_ended(self._child, PurePath(self.command[0]).name))
            return code

    async def _watch(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """Act on each signal: while the command runs it is the command's, else it ends us."""
        async for number in signals:
            if self._child is None:
                self._stopped_by = number
                scope.cancel()
            elif self._child.has_ended:
                scope.cancel()
            elif number not in _OF_THE_TERMINAL:
                self._child.send(number)


def _ended(child: Child, program: str) -> CommandEnded:
    """Return the event of a command's end: what did not follow by then will not follow."""
    code, now = child.returncode, time.time()
    if code < 0:
        return CommandEnded(time=now, code=None, signal=-code, program=program)
    return CommandEnded(time=now, code=code, signal=None, program=program)


def environment_with(user: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return an environment with changes; None unsets a variable."""
    changed = {**user, **changes}
    return {name: value for name, value in changed.items() if value is not None}
