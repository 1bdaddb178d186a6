"""Programs that run beside the benchmark: the origin, and a proxy from start to end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from tests.bench.certificates import Certificates
from tests.bench.client import Address, Tunnel, post
from tests.bench.contestants import Contestant, Mode, Site
from tests.bench.machine import Cores, pin

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0
STOP_SECONDS = 0.3
PROBE_SECONDS = 0.001
"""Pause between two tries to connect: the resolution of the start-up time."""

LOG = "output.log"
"""File in a proxy's directory that takes both of its output streams."""


class StartFailedError(Exception):
    """A program ended, or did not listen in time; the message has its last words."""


@frozen
class Origin:
    """Where the running origin listens, and how to trust it."""

    https_port: int
    source_port: int
    tls: ssl.SSLContext


@frozen
class Running:
    """A proxy that listens."""

    pid: int
    port: int
    start_seconds: float
    origin: Origin
    ca_file: Path
    beside: Mapping[Mode, Running] = field(factory=dict)
    """The same proxy in the other modes that a workload compares it with."""

    def target(self) -> Address:
        """The origin, through the proxy."""
        return Address(self.port, "localhost", self.origin.https_port)

    def source(self) -> Address:
        """The plain source of bytes, through the proxy."""
        return Address(self.port, "localhost", self.origin.source_port)

    def tls(self) -> ssl.SSLContext:
        """Settings of a client that trusts the proxy. Without sessions: each handshake is full."""
        return client_tls(self.ca_file)


def client_tls(ca_file: Path) -> ssl.SSLContext:
    """A client's TLS settings that trust one authority."""
    tls = ssl.create_default_context(cafile=str(ca_file))
    tls.set_alpn_protocols(["http/1.1"])
    return tls


@contextlib.contextmanager
def running_origin(certificates: Certificates) -> Iterator[Origin]:
    """Run the origin as a program; it inherits our core."""
    files = (str(certificates.origin.certificate), str(certificates.origin.key))
    command = [sys.executable, "-m", "tests.bench.origin", *files]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as program:  # type: ignore[call-overload]
        try:
            ports = json.loads(program.stdout.readline())
            yield Origin(ports["https"], ports["source"], client_tls(certificates.origin_ca))
        finally:
            program.kill()


@contextlib.contextmanager
def running_proxy(
    contestant: Contestant, mode: Mode, site: Site, origin: Origin, cores: Cores
) -> Iterator[Running]:
    """Run a proxy on its core and wait until it accepts connections."""
    site.directory.mkdir(parents=True, exist_ok=True)
    site = evolve(site, port=free_port())
    (site.directory / LOG).write_bytes(b"")
    with (site.directory / LOG).open("ab") as log:  # the same proxy in other modes may write too
        began = time.monotonic()
        program = subprocess.Popen(
            contestant.command(mode, site),
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            pin(program.pid, cores.proxy)
            wait_until_listening(program, site.port, site.directory)
            took_seconds = time.monotonic() - began
            yield Running(program.pid, site.port, took_seconds, origin, contestant.ca_file(site))
        finally:
            stop(program)


def warm_up(proxy: Running, mode: Mode) -> None:
    """Use a proxy once, so that its certificate exists and its code is loaded."""
    if mode == "blind":
        return
    wait_for_file(proxy.ca_file)
    status = 429 if mode.startswith("inject") else 200
    tls = proxy.tls()
    for _ in range(5):
        with Tunnel(proxy.target(), tls) as tunnel:
            tunnel.ask(post(proxy.target().authority), status)


def wait_for_file(path: Path) -> None:
    """Wait until a file is there: at its first start mitmproxy listens before it has its CA."""
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise StartFailedError(f"did not write its certificate: {last_words(path.parent)}")
        time.sleep(PROBE_SECONDS)


def wait_until_listening(program: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    """Try to connect until it works. Raises StartFailedError with the program's last words."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if program.poll() is not None:
            break
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(PROBE_SECONDS)
    raise StartFailedError(f"did not listen: {last_words(directory)}")


def last_words(directory: Path) -> str:
    """The last line with an error that a proxy printed, on either stream; else its last line."""
    lines = (directory / LOG).read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["(nothing)"])[-1].strip()


def stop(program: subprocess.Popen[bytes]) -> None:
    """Ask a proxy to end, and soon end what is left of the session that it was started in."""
    program.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def free_port() -> int:
    """A port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Our environment without proxy settings, and with the plugins of peers in reach."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | {"PYTHONPATH": str(ROOT)}
