"""`faultinject proxy` or `plugin` as a process of its own: started, listened to, and stopped.

The events come from its standard output (JSON lines), which is also how its start is awaited.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.support.forks import Forks

STARTED_SECONDS = 60.0
STOPPED_SECONDS = 60.0
EVENT_SECONDS = 60.0
ENDED_SECONDS = 60.0

Happening = dict[str, Any]

# What a developer's machine may have set and a run must not depend on.
_OWN_VARIABLES = ("faultinject_", "github_", "https_proxy", "http_proxy", "all_proxy", "no_proxy")
_DEAD_PROXY = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def clean_environment(**more: str) -> dict[str, str]:
    """Return this environment without proxies and our own variables, and with some more."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().startswith(_OWN_VARIABLES)}
    return kept | more


def faultinject(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with these variables besides."""
    return subprocess.run(
        [sys.executable, "-m", "faultinject", *arguments],
        capture_output=True,
        text=True,
        timeout=ENDED_SECONDS,
        env=clean_environment(**variables),
        check=False,
    )


class Run:
    """A run of a command with a data directory of its own; a context manager.

    Leaving it stops the program by SIGTERM and asserts that it ends with exit code 0, that its
    ready file is gone, that standard error has the summary alone, and that no event tells of a
    defect.
    The program's own environment names a dead proxy, which it must ignore.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    """The options that name its ports."""
    forks: ClassVar[Forks | None] = None
    """What starts it, if a start is to be cheap."""

    def __init__(self, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.data_dir = folder / "data"
        self.ready_file = folder / "ready.json"
        self.summary_file = folder / "summary.json"
        self.events: list[Happening] = []
        self.stray_lines: list[str] = []
        """Lines on standard output that are no JSON."""
        self._stderr_file = folder / "stderr.txt"
        self._changed = threading.Condition()
        self._ended = False
        self._env = clean_environment(**_DEAD_PROXY, **(env or {}))
        free_ports = (word for option in self.ports for word in (option, "0"))
        self._arguments = [
            self.name, *free_ports,
            "--data-dir", str(self.data_dir), "--ready-file", str(self.ready_file),
            "--summary", str(self.summary_file), "--log-format", "json", *options,
        ]  # fmt: skip

    def __enter__(self) -> Self:
        with self._stderr_file.open("wb") as stderr:
            if self.forks is not None:
                self.process = self.forks.start(self._arguments, stderr, self._env)
            else:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "faultinject", *self._arguments],
                    stdout=subprocess.PIPE, stderr=stderr, env=self._env, text=True,
                )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            started = self.wait_for(_is(f"{self.name}-started"), STARTED_SECONDS)
        except BaseException:
            self._kill()
            raise
        self.ca_file = Path(started["ca_cert"])
        self._note(started)
        return self

    def _note(self, started: Happening) -> None:
        """Keep what the start says."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            exit_code = self.stop()
        finally:
            self._kill()
        if error is None:
            assert exit_code == 0, self._outcome(f"exit code {exit_code}")
            assert self.stderr().lstrip().startswith("Summary "), self._outcome("standard error")
            assert self.stray_lines == [], self._outcome("lines that are no events")
            assert self.events[-1]["event"] == f"{self.name}-stopped", self._outcome(
                "no event of the end"
            )
            assert not any(e["level"] == "error" for e in self.events), self._outcome("a defect")
            assert not self.ready_file.exists(), "the ready file outlived the run"
        else:
            error.add_note(self._outcome(f"the {self.name} when the test failed"))

    def stop(self) -> int:
        """Send SIGTERM and return the exit code; raises `subprocess.TimeoutExpired`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOPPED_SECONDS)
        self._reader.join(STOPPED_SECONDS)
        return code

    def stderr(self) -> str:
        """Return what it said on standard error so far."""
        return self._stderr_file.read_text()

    def ready(self) -> Happening:
        """Return what the ready file says."""
        found: Happening = json.loads(self.ready_file.read_text())
        return found

    def exchanges(self, count: int = 0, **fields: object) -> list[Happening]:
        """Return the exchange events that have these fields, once there are that many."""

        def matching() -> list[Happening]:
            return [
                e for e in self.events if e["event"] == "exchange" and fields.items() <= e.items()
            ]

        with self._changed:
            if not self._changed.wait_for(lambda: len(matching()) >= count, EVENT_SECONDS):
                raise TimeoutError(self._outcome(f"{len(matching())} of {count} exchanges"))
            return matching()

    def wait_for(
        self, wanted: Callable[[Happening], bool], seconds: float = EVENT_SECONDS
    ) -> Happening:
        """Return the first event that fits, once it is there; raises `TimeoutError`."""

        def found() -> Happening | None:
            return next((event for event in self.events if wanted(event)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, seconds)
            if (event := found()) is None:
                raise TimeoutError(self._outcome("an event did not come"))
            return event

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._take(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, line: str) -> None:
        with self._changed:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.stray_lines.append(line)
            self._changed.notify_all()

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(STOPPED_SECONDS)

    def _outcome(self, what: str) -> str:
        events = "\n".join(map(str, self.events[-20:]))
        return f"{what}\nstderr: {self.stderr()}\nstray: {self.stray_lines}\nevents: {events}"


class ProxyRun(Run):
    """A run of the proxy."""

    name = "proxy"
    ports = ("--proxy-port",)

    def _note(self, started: Happening) -> None:
        self.url: str = started["url"]
        self.port: int = started["port"]


class PluginRun(Run):
    """A run of the plugin."""

    name = "plugin"
    ports = ("--port", "--upstream-port")

    def _note(self, started: Happening) -> None:
        self.command: str = started["command"]
        self.urls: tuple[str, str] = (started["client_url"], started["upstream_url"])


def _is(name: str) -> Callable[[Happening], bool]:
    return lambda event: event["event"] == name


def proxy_options(origin_port: int, upstream_ca: Path, *hosts: str) -> list[str]:
    """Return the options that make hosts the targets and a local origin their upstream."""
    options = ["--upstream-ca", str(upstream_ca)]
    for host in hosts:
        options += ["--target-host", host, "--connect-to", f"{host}:443:127.0.0.1:{origin_port}"]
    return options


@contextmanager
def started_by_forks() -> Iterator[Forks]:
    """Let what is started be forked from a program that has loaded it."""
    with Forks("faultinject.cli:main", "faultinject.*") as forks:
        Run.forks = forks
        try:
            yield forks
        finally:
            Run.forks = None
