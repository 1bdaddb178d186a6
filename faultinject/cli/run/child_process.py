"""The command as a process: starts it as a shell would, and ends it with us.

It keeps our stdin, stdout, stderr, terminal, process group and session. On Linux the kernel kills
it if we are killed, even by SIGKILL (`PR_SET_PDEATHSIG`_). That signal comes when the *thread* ends
that started the process, so it is started from the main thread, and not by Trio, which would use a
worker thread. Elsewhere a command outlives a killed faultinject, and its calls are refused.

.. _PR_SET_PDEATHSIG: https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import trio
from attrs import frozen

from faultinject.errors import FaultinjectError

NOT_FOUND = 127
"""The exit code of a shell for a command that is not there (POSIX, 2.8.2)."""
NOT_EXECUTABLE = 126
"""The exit code of a shell for a command that is there and cannot be run."""
_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a command."""
_PR_SET_PDEATHSIG = 1
_END_SECONDS = 5.0
"""How long a command may take to end when faultinject itself fails."""


class CommandError(FaultinjectError):
    """The command could not be started; ``code`` is the exit code of a shell for that."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@frozen(eq=False, repr=False)
class Child:
    """A command that runs."""

    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and that was noticed."""
        return self._process.returncode is not None

    @property
    def returncode(self) -> int:
        """How it ended, as `subprocess.Popen` tells it; asked once it has."""
        code: int = self._process.returncode
        return code

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        with suppress(ProcessLookupError, PermissionError):  # the latter: after sudo, another's
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end; return its exit code, or 128 + the signal that ended it."""
        code = await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        return exit_code(code)


def exit_code(returncode: int) -> int:
    """Return the exit code that a shell has for an end, as `subprocess.Popen` tells it."""
    return returncode if returncode >= 0 else _SIGNAL - returncode


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Child]:
    """Start a command; at the end of the block it has ended, or is ended. Raises `CommandError`.

    To be called in the main thread, before there are others: what runs in the child before the
    command does would not be safe beside them.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 -- it is the user's command
            command,
            env=environment,
            preexec_fn=_die_with_parent(),
        )
    except (OSError, ValueError) as error:
        raise _cannot_start(command[0], environment, error) from None
    try:
        yield Child(process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, because we fail or are cancelled."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child does so that it is killed when we are, if the system can do that."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found now: little is safe between fork and exec
    parent = os.getpid()

    def ask() -> None:  # pragma: no cover - runs in the child
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # we were killed before the kernel was asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def _cannot_start(
    program: str, environment: Mapping[str, str], error: OSError | ValueError
) -> CommandError:
    reason = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) != errno.ENOENT:
        return CommandError(f"{program}: cannot be run: {reason}", NOT_EXECUTABLE)
    if shutil.which(program, path=environment.get("PATH")) is not None:
        words = "cannot be run: what its first line (#!) names as its interpreter is not there"
        return CommandError(f"{program}: {words}", NOT_EXECUTABLE)
    return CommandError(
        f"{program}: command not found; a shell's words need a shell, as in: faultinject run --"
        " sh -c '...'",
        NOT_FOUND,
    )
