"""The real Fault as a process of its own: found, started as the plugin says, and stopped.

As a program::

    python -m tests.support.fault --command    # prints the command, if there is one
    python -m tests.support.fault --cache      # prints where `nox -s fault -- --install` puts it
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_cache_path

from tests.support.proxy import clean_environment

VERSION = "0.16.0"
"""The last version that has plugins."""
LISTENING_SECONDS = 20.0
STOPPED_SECONDS = 5.0


def cache_folder() -> Path:
    """Return where `nox -s fault -- --install` puts the command."""
    return user_cache_path("faultinject") / f"fault-{VERSION}"


def find_fault() -> Path | None:
    """Return the command, by FAULT_BIN, PATH or the cache; None if there is none.

    Version 1 has the same name and no plugins, so what is on the PATH is asked for its version.
    """
    if named := os.environ.get("FAULT_BIN"):
        return Path(named)
    cached = cache_folder() / "bin" / "fault"
    if cached.exists():
        return cached
    found = shutil.which("fault")
    return Path(found) if found and version_of(Path(found)).startswith("0.") else None


def version_of(command: Path) -> str:
    """Return the version that a command says it is; empty if it does not."""
    try:
        said = subprocess.run(
            [command, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip().rpartition(" ")[2]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class FaultRun:
    """A run of Fault; a context manager.

    ``command`` is what the plugin prints. Leaving it asserts that Fault is still alive: a wrong
    answer to one of its calls makes it panic.
    """

    def __init__(
        self, fault: Path, folder: Path, command: str, *more: str, mappings: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.mapped = {mapping: free_port() for mapping in mappings}
        """The local ports of raw TCP mappings, by where they lead."""
        self._log = folder / "fault.log"
        self._output = folder / "fault.txt"
        program, run, *options = shlex.split(command)
        assert (program, run) == ("fault", "run")
        raw = [f"127.0.0.1:{port}={aim}" for aim, port in self.mapped.items()]
        self._command = [
            str(fault), "--log-file", str(self._log), "--log-level", "info", "run",
            "--proxy-address", f"127.0.0.1:{self.port}", *options,
            *(word for mapping in raw for word in ("--proxy", mapping)), *more,
        ]  # fmt: skip

    @property
    def url(self) -> str:
        """What clients take as their proxy."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=clean_environment(),
            )  # fmt: skip
        try:
            self._wait_until_it_listens()
        except BaseException:
            self._stop()
            raise
        return self

    def _wait_until_it_listens(self) -> None:
        limit = time.monotonic() + LISTENING_SECONDS
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)  # Fault has no better way to say that it listens
            else:
                return
        raise RuntimeError(f"Fault does not listen:\n{self.said()}")

    def said(self) -> str:
        """Return what it wrote, to its log and otherwise."""
        files = [file for file in (self._log, self._output) if file.exists()]
        return "\n".join(file.read_text(errors="replace")[-4000:] for file in files)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        alive = self.process.poll() is None
        self._stop()
        if error is None:
            assert alive, f"Fault ended by itself:\n{self.said()}"
            assert "panicked" not in self.said(), self.said()
        else:
            error.add_note(self.said())

    def _stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOPPED_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    print({"--command": find_fault, "--cache": cache_folder}[sys.argv[1]]() or "")
