"""Load on a proxy: requests on open tunnels, and streams of events, with their measurements."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import frozen

from tests.bench.client import BODY, Address, Tunnel, WrongAnswerError, post
from tests.bench.machine import cpu_seconds
from tests.bench.running import Running

CONNECTIONS = 32
EVENT_GAP_MICROSECONDS = 2000
SETTLE_SECONDS = 0.05
"""Lets a proxy finish what the last client left behind before its CPU time is read."""
SENT = re.compile(rb'"sent": (\d+)')

Measures = dict[str, float]


@frozen
class Effort:
    """How much a sample does."""

    seconds: float = 1.0
    events: int = 200
    posts: int = 9
    tunnels: int = 300


def on_open_tunnels(proxy: Running, effort: Effort, status: int) -> Measures:
    """Open the tunnels and use each once, then measure requests on them."""
    with open_tunnels(proxy, status) as steps:
        return load(proxy, steps, effort.seconds)


@contextlib.contextmanager
def open_tunnels(
    proxy: Running, status: int, body: bytes = BODY, *, by_base_url: bool = False
) -> Iterator[list[Callable[[], None]]]:
    """Tunnels that have each been used once; each step is one more request, with that answer.

    ``by_base_url`` are connections to the proxy itself, as if it were the API.
    """
    address = Address(None, "127.0.0.1", proxy.port) if by_base_url else proxy.target()
    tls = None if by_base_url else proxy.tls()
    request = post(address.authority, body)
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(Tunnel(address, tls)) for _ in range(CONNECTIONS)]
        for tunnel in tunnels:
            tunnel.ask(request, status)
        yield [functools.partial(tunnel.ask, request, status) for tunnel in tunnels]


def load(proxy: Running, steps: Sequence[Callable[[], None]], seconds: float) -> Measures:
    """Repeat each step in a thread of its own until the time is up."""
    with ThreadPoolExecutor(len(steps)) as pool:
        cpu_before, began = cpu_seconds(proxy.pid), time.monotonic()

        def repeat(step: Callable[[], None]) -> int:
            count = 0
            while count == 0 or time.monotonic() < began + seconds:
                step()
                count += 1
            return count

        requests_done = sum(pool.map(repeat, steps))
        took_seconds = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        cpu = cpu_seconds(proxy.pid) - cpu_before
    return {
        "cpu_us_per_request": cpu / requests_done * 1e6,
        "requests_per_second": requests_done / took_seconds,
        "busy_percent": min(100.0, cpu / took_seconds * 100),
    }


def median_delay_us(address: Address, tls: ssl.SSLContext, events: int) -> float:
    """Read an event stream; the median age of its events on arrival."""
    path = f"/events/{events}/{EVENT_GAP_MICROSECONDS}"
    request = f"GET {path} HTTP/1.1\r\nHost: {address.authority}\r\n\r\n".encode()
    delays: list[int] = []
    with Tunnel(address, tls) as tunnel:
        tunnel.stream.sendall(request)
        pending = b""
        while len(delays) < events:
            received = tunnel.stream.recv(65536)
            now = time.monotonic_ns()
            if not received:
                raise WrongAnswerError("the event stream ended early")
            *lines, pending = (pending + received).split(b"\n")
            delays += [now - int(sent) for sent in SENT.findall(b"\n".join(lines))]
    return statistics.median(delays) / 1e3
