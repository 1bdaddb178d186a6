"""``faultinject plugin --tunnel reply`` as a process of its own, called by grpcio.

Each measure is what a host sees. The load generator is Python too, so the plugin's CPU time per
call is given beside the rates.
"""

from __future__ import annotations

import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.bench.client import WrongAnswerError, post
from tests.bench.machine import Cores, cpu_seconds, resident_bytes
from tests.bench.plugin_client import ChunkClient
from tests.bench.plugin_running import client_tls_of, running_plugin
from tests.plugin.support import Host, host

NAME = "api.anthropic.com"
REQUEST = post(NAME)
AT_ONCE = 32
CHUNK = b"\x00" + b"x" * 4095
"""A chunk of a tunnel that is nobody's business: it is passed on."""

Measures = dict[str, float]


@frozen
class GrpcTunnel:
    """One tunnel of a host."""

    host: Host
    tunnel_id: str
    client: ChunkClient

    def open(self) -> None:
        """Shake hands, but for the last words."""
        self.client.finish(self._give(self.client.hello()))

    def ask(self) -> None:
        """Make a request, which must be answered by 429."""
        self.client.answer(self._give(self.client.request(REQUEST)), 429)

    def _give(self, chunk: bytes) -> bytes:
        call = self.host.request("ProcessTunnelData", id=self.tunnel_id, chunk=chunk)
        reply = self.host.stub.ProcessTunnelData(call)
        if reply.WhichOneof("action") != "replace":
            raise WrongAnswerError(f"{reply!r} where an answer was due")
        data: bytes = reply.replace.modified_chunk
        return data


@frozen
class Load:
    """A host with its connection, and the plugin that it calls."""

    host: Host
    pid: int
    trust: ssl.SSLContext

    def new(self, name: str) -> GrpcTunnel:
        """Open a tunnel and use it once."""
        tunnel = GrpcTunnel(self.host, name, ChunkClient(self.trust, NAME))
        tunnel.open()
        tunnel.ask()
        return tunnel

    def pass_on(self, name: str) -> Callable[[], Any]:
        """Open a tunnel that is passed on; returns what passes a chunk."""
        call = self.host.request("ProcessTunnelData", id=name, chunk=CHUNK)

        def one() -> None:
            reply = self.host.stub.ProcessTunnelData(call)
            if reply.pass_through.chunk != CHUNK:
                raise WrongAnswerError(f"{reply!r} where the chunk was due")

        one()
        return one


def median_ms(work: Callable[[], Any], count: int) -> float:
    """The median time of something, in milliseconds."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def rate(load: Load, steps: Sequence[Callable[[], Any]], seconds: float) -> tuple[float, float]:
    """Repeat each step in a thread of its own; calls a second, and the plugin's CPU µs a call."""
    with ThreadPoolExecutor(len(steps)) as pool:
        cpu, began = cpu_seconds(load.pid), time.monotonic()

        def repeat(step: Callable[[], Any]) -> int:
            count = 0
            while time.monotonic() < began + seconds:
                step()
                count += 1
            return count

        calls = sum(pool.map(repeat, steps))
        took_seconds = time.monotonic() - began
    return calls / took_seconds, (cpu_seconds(load.pid) - cpu) / calls * 1e6


def kib_per_tunnel(load: Load, tunnels: int) -> float:
    """Memory that a tunnel holds which has served one request; each must serve another."""
    warm = [load.new(f"warm-{number}") for number in range(AT_ONCE)]
    before_bytes = resident_bytes(load.pid)
    live = [load.new(f"live-{number}") for number in range(tunnels)]
    grown_bytes = resident_bytes(load.pid) - before_bytes
    for tunnel in warm + live:
        tunnel.ask()
    return grown_bytes / tunnels / 1024


@contextmanager
def open_load(folder: Path, cores: Cores) -> Iterator[Load]:
    """Run the plugin and connect to it."""
    options = ("--tunnel", "reply", "--target-host", NAME)
    with running_plugin(folder, options, cores) as plugin, host(plugin.port) as calling:
        yield Load(calling, plugin.pid, client_tls_of(folder))


def measure(folder: Path, cores: Cores, seconds: float, count: int, tunnels: int) -> Measures:
    """Take one sample of everything, of one run of the plugin."""
    with open_load(folder, cores) as load:
        kib = kib_per_tunnel(load, tunnels)
        one = load.new("one")
        numbers = iter(range(1_000_000))
        many = [load.new(f"many-{number}") for number in range(AT_ONCE)]
        measures = {
            "hello_to_429_ms": median_ms(lambda: load.new(f"new-{next(numbers)}"), count),
            "request_to_429_ms": median_ms(one.ask, count),
            "kib_per_tunnel": kib,
        }
        passing = [load.pass_on(f"pass-{number}") for number in range(AT_ONCE)]
        loads: dict[str, Sequence[Callable[[], Any]]] = {
            "passed": passing[:1],
            "passed_at_once": passing,
            "requests": [one.ask],
            "requests_at_once": [tunnel.ask for tunnel in many],
        }
        for name, steps in loads.items():
            measures[f"{name}_per_second"], measures[f"{name}_cpu_us"] = rate(load, steps, seconds)
    return measures
