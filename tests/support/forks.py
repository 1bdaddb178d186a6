"""Starts a Python program many times for the price of one: a process that has loaded it forks.

`faultinject` takes 0.2 seconds of CPU this way in place of one, and a program with an SDK next to
nothing in place of two. What is forked is a process of its own, with its own arguments,
environment, signals, output and end. What a start imports, and when, is not seen: the unit tests
start the command as its users do.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Self

from tests.support.forked import Forked

ROOT = Path(__file__).parents[2]
ENDED_SECONDS = 60.0
LISTENING_AT_ONCE = 64


class Started(Forked):
    """A process whose standard output can be read."""

    stdout: IO[str]


class Forks:
    """The process that forks; a context manager."""

    def __init__(self, function: str, *modules: str) -> None:
        """Load modules, and fork processes that call a function (``module:name``) and end.

        The function finds its arguments in `sys.argv`. ``package.*`` are all modules of a package.
        """
        self._loads = [function, *modules]

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="forks-")  # a socket's path has to be short
        self.path = f"{self._folder.name}/socket"
        command = [sys.executable, "-m", __name__, self.path, *self._loads]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        self._process.stdout.read()  # it ends when the process listens
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=ENDED_SECONDS)
        self._folder.cleanup()

    def start(self, arguments: Sequence[str], stderr: IO[bytes], env: Mapping[str, str]) -> Started:
        """Have a process forked."""
        reading, writing = os.pipe()
        try:
            started = Started(self.path, arguments, env, writing, stderr.fileno())
        finally:
            os.close(writing)
        started.stdout = os.fdopen(reading)
        return started


def run_program() -> None:
    """Run the text of a program, which is the argument: for `Forks` of programs with an SDK."""
    exec(compile(sys.argv[1], "program", "exec"), {"__name__": "__main__"})


# -- the process that forks -----------------------------------------------------------------------


def load(names: Sequence[str]) -> None:
    """Import modules, and collect what each process forked from here would have to collect."""
    for name in names:
        package = import_module(name.removesuffix(".*"))
        if name.endswith(".*"):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if not module.name.endswith(".__main__"):
                    import_module(module.name)
    gc.collect()
    gc.freeze()


def fork_as_asked(listening: socket.socket) -> list[str] | None:
    """Fork for each who connects, until standard input ends.

    Returns the arguments in each process that is forked, and nothing at the end.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        link, _ = listening.accept()
        with link:
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return fork_and_wait(link)
    return None


def fork_and_wait(link: socket.socket) -> list[str]:
    """Fork again, and return the arguments there; here wait for that process, and tell its end."""
    _, outputs, *_ = socket.recv_fds(link, 1, 2)
    with link.makefile("rw") as lines:
        wanted = json.loads(lines.readline())
        pid = os.fork()
        if pid == 0:
            redirect(0, os.open(os.devnull, os.O_RDONLY))
            for number, output in zip((1, 2), outputs, strict=True):
                redirect(number, output)
            os.chdir(wanted["folder"])
            os.environ.clear()
            os.environ.update(wanted["env"])
            return list(wanted["arguments"])
        for output in outputs:
            os.close(output)
        lines.write(f"{pid}\n")
        lines.flush()
        lines.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    os._exit(0)


def redirect(number: int, to: int) -> None:
    """Make one file another one, whose own number is given up."""
    os.dup2(to, number)
    os.close(to)


def main(path: str, function: str, *modules: str) -> None:
    """Load, listen, and call the function in each process that is forked."""
    module, _, name = function.partition(":")
    load([module, *modules])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(LISTENING_AT_ONCE)
        redirect(1, os.open(os.devnull, os.O_WRONLY))
        arguments = fork_as_asked(listening)
    if arguments is not None:
        sys.argv[1:] = arguments
        sys.exit(getattr(sys.modules[module], name)())


if __name__ == "__main__":
    main(*sys.argv[1:])
