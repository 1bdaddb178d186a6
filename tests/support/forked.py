"""A process that was forked by `tests.support.forks`, as who asked for it sees it.

``python -S forked.py SOCKET ARGUMENT...`` is a command that has itself forked: it imports little,
and writes and ends as the process does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence


class Forked:
    """A process, with as much of `subprocess.Popen` as the tests use."""

    def __init__(
        self, path: str, arguments: Sequence[str], env: Mapping[str, str], stdout: int, stderr: int
    ) -> None:
        """Have it forked; it is to write to ``stdout`` and ``stderr``."""
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(path)
        wanted = {"arguments": list(arguments), "env": dict(env), "folder": os.getcwd()}  # noqa: PTH109
        socket.send_fds(self._link, [b"."], [stdout, stderr])
        self._link.sendall(json.dumps(wanted).encode() + b"\n")
        self._lines = self._link.makefile()
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once there is one; raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._link.settimeout(timeout)
            try:
                self._link.recv(1, socket.MSG_PEEK)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._link.settimeout(None)
            with self._link, self._lines:
                self.returncode = int(self._lines.readline())
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code if there is one."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(Forked(sys.argv[1], sys.argv[2:], os.environ, 1, 2).wait())
