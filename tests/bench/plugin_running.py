"""Programs that the plugin's benchmark runs: the plugin, and the real Fault before it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.bench.machine import Cores, pin
from tests.bench.running import (
    LOG,
    ROOT,
    client_tls,
    environment,
    free_port,
    stop,
    wait_until_listening,
)


@frozen
class RunningPlugin:
    """A plugin that listens, on both ports."""

    pid: int
    port: int
    upstream_port: int


def client_tls_of(folder: Path) -> ssl.SSLContext:
    """Settings of a client that trusts the plugin which runs in a folder."""
    return client_tls(folder / "fault-ca.crt")


@contextmanager
def running_program(
    command: Sequence[str], folder: Path, ports: Sequence[int], core: int | None
) -> Iterator[int]:
    """Run a program until the block is left; the value is its id. Returns once it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("wb") as log:
        program = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            pin(program.pid, core)
            for port in ports:
                wait_until_listening(program, port, folder)
            yield program.pid
        finally:
            stop(program)


@contextmanager
def running_plugin(folder: Path, options: Sequence[str], cores: Cores) -> Iterator[RunningPlugin]:
    """Run the plugin with every request to its targets answered by 429."""
    port, upstream_port = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "faultinject", "plugin"),
        *("--port", str(port), "--upstream-port", str(upstream_port)),
        *("--error-probability", "1", "--status-code", "429"),
        *("--data-dir", str(folder), "--log-level", "error"),
        *options,
    ]
    with running_program(command, folder, (port, upstream_port), cores.proxy) as pid:
        yield RunningPlugin(pid, port, upstream_port)


@contextmanager
def running_fault(
    program: Path, folder: Path, plugin: RunningPlugin, upstream: str, cores: Cores
) -> Iterator[int]:
    """Run the real Fault with both registrations; the value is its proxy's port."""
    port = free_port()
    command = [
        *(str(program), "run", "--no-ui", "--proxy-address", f"127.0.0.1:{port}"),
        *("--grpc-plugin", f"http://127.0.0.1:{plugin.port}"),
        *("--grpc-plugin", f"http://127.0.0.1:{plugin.upstream_port}"),
        *("--upstream", upstream),
    ]
    with running_program(command, folder, (port,), cores.load):
        yield port
