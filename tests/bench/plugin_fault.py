"""The plugin in ``duplex`` behind the real Fault, where its command is at hand.

The figures are of the whole: client, Fault, plugin and a TLS origin on one machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import platformdirs

from tests.bench.certificates import make_certificates
from tests.bench.client import Address, Tunnel, WrongAnswerError, post
from tests.bench.machine import Cores, resident_bytes
from tests.bench.plugin_grpc import Measures, median_ms
from tests.bench.plugin_running import client_tls_of, running_fault, running_plugin
from tests.bench.running import running_origin

CACHED = platformdirs.user_cache_path("faultinject") / "fault-0.16.0" / "bin" / "fault"
FOUND_WITHIN_SECONDS = 30.0
"""Fault looks for its plugins every 10 s."""


def find_fault() -> Path | None:
    """The command of Fault: FAULT_BIN, PATH, or the user's cache directory."""
    named = os.environ.get("FAULT_BIN") or shutil.which("fault")
    path = Path(named) if named else CACHED
    return path if path.exists() else None


def version(program: Path) -> str:
    """Fault's version, in its own words."""
    told = subprocess.run([str(program), "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def wait_for_plugin(address: Address, folder: Path) -> None:
    """Wait until Fault has found both registrations, so that a tunnel is looked into."""
    until = time.monotonic() + FOUND_WITHIN_SECONDS
    tls = client_tls_of(folder)
    while True:
        try:
            with Tunnel(address, tls) as tunnel:
                tunnel.ask(post(address.authority), 429)
            return
        except (OSError, WrongAnswerError):
            if time.monotonic() > until:
                raise
        time.sleep(0.2)


def measure(program: Path, folder: Path, cores: Cores, count: int, tunnels: int) -> Measures:
    """Take one sample: new tunnels and keep-alive requests, one at a time, and memory."""
    folder.mkdir(parents=True, exist_ok=True)
    certificates = make_certificates(folder)
    with ExitStack() as stack:
        origin = stack.enter_context(running_origin(certificates))
        upstream = f"localhost:{origin.https_port}"
        options = ("--target-host", upstream, "--upstream-ca", str(certificates.origin_ca))
        plugin = stack.enter_context(running_plugin(folder / "plugin", options, cores))
        port = stack.enter_context(
            running_fault(program, folder / "fault", plugin, upstream, cores)
        )
        address = Address(port, "localhost", origin.https_port)
        wait_for_plugin(address, folder / "plugin")
        tls, request = client_tls_of(folder / "plugin"), post(address.authority)

        def connect() -> None:
            with Tunnel(address, tls) as tunnel:
                tunnel.ask(request, 429)

        kept = stack.enter_context(Tunnel(address, tls))
        kept.ask(request, 429)
        measures = {
            "hello_to_429_ms": median_ms(connect, count),
            "request_to_429_ms": median_ms(partial(kept.ask, request, 429), count),
        }
        before_bytes = resident_bytes(plugin.pid)
        for _ in range(tunnels):
            stack.enter_context(Tunnel(address, tls)).ask(request, 429)
        grown_bytes = resident_bytes(plugin.pid) - before_bytes
        return measures | {"kib_per_tunnel": grown_bytes / tunnels / 1024}
