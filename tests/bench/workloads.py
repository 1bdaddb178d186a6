"""What the proxies are asked to do, and what is measured of it.

Each workload's function takes one sample and returns its measures by name.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests
from attrs import evolve, frozen

from tests.bench.apis import beside_anthropic
from tests.bench.client import BODY, LONG_BODY, Tunnel, WrongAnswerError, headers, post
from tests.bench.contestants import Mode
from tests.bench.loading import (
    CONNECTIONS,
    SETTLE_SECONDS,
    Effort,
    Measures,
    load,
    median_delay_us,
    on_open_tunnels,
    open_tunnels,
)
from tests.bench.machine import cpu_seconds, resident_bytes
from tests.bench.rules import RULES_BESIDE, stream_with_fault_waiting, with_rules
from tests.bench.running import Running

BLIND_TUNNELS = 4
BLIND_STEP_BYTES = 16 * 1024 * 1024


@frozen
class Workload:
    """A way to use a proxy, and how to take one sample of it."""

    title: str
    mode: Mode
    sample: Callable[[Running, Effort], Measures]
    fresh: bool = False
    """Whether each sample wants a newly started proxy."""
    beside: tuple[Mode, ...] = ()
    """More modes of the proxy under test that a sample wants up; peers have no part in it then."""


def new_connections(proxy: Running, effort: Effort) -> Measures:
    """W1: each request on a connection of its own."""
    address, tls = proxy.target(), proxy.tls()
    request = post(address.authority)

    def step() -> None:
        with Tunnel(address, tls) as tunnel:
            tunnel.ask(request, 429)

    return load(proxy, [step] * CONNECTIONS, effort.seconds)


def keep_alive(proxy: Running, effort: Effort) -> Measures:
    """W2: requests one after another on open tunnels, answered by the proxy."""
    return on_open_tunnels(proxy, effort, 429)


def passed_on(proxy: Running, effort: Effort) -> Measures:
    """W4: the same, answered by the origin."""
    return on_open_tunnels(proxy, effort, 200)


def long_bodies(proxy: Running, effort: Effort) -> Measures:
    """Requests with 200 KB of body on open tunnels, answered by the proxy and by the origin."""
    return _both_ways(proxy, effort, LONG_BODY)


def base_url(proxy: Running, effort: Effort) -> Measures:
    """Requests to the proxy as if it were the API, answered by it and by the origin."""
    return _both_ways(proxy, effort, BODY, by_base_url=True)


def _both_ways(
    proxy: Running, effort: Effort, body: bytes, *, by_base_url: bool = False
) -> Measures:
    measures = {}
    for name, run, status in (("injected", proxy.beside["inject"], 429), ("passed", proxy, 200)):
        with open_tunnels(run, status, body, by_base_url=by_base_url) as steps:
            done = load(run, steps, effort.seconds)
        measures[f"{name}_cpu_us"] = done["cpu_us_per_request"]
    return measures


def blind_tunnels(proxy: Running, effort: Effort) -> Measures:
    """W3: bytes from the source through tunnels that the proxy does not look into."""

    def drain(_: int) -> int:
        got_bytes, buffer = 0, bytearray(1024 * 1024)
        while time.monotonic() < began + effort.seconds:
            with Tunnel(proxy.source(), None) as tunnel:
                tunnel.stream.sendall(BLIND_STEP_BYTES.to_bytes(8, "big"))
                left_bytes = BLIND_STEP_BYTES
                while left_bytes > 0:
                    if not (count := tunnel.stream.recv_into(buffer)):
                        raise WrongAnswerError("the tunnel ended early")
                    left_bytes -= count
            got_bytes += BLIND_STEP_BYTES
        return got_bytes

    with ThreadPoolExecutor(BLIND_TUNNELS) as pool:
        cpu_before, began = cpu_seconds(proxy.pid), time.monotonic()
        megabytes = sum(pool.map(drain, range(BLIND_TUNNELS))) / 1e6
        took_seconds = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        cpu = cpu_seconds(proxy.pid) - cpu_before
    return {
        "cpu_us_per_megabyte": cpu / megabytes * 1e6,
        "megabytes_per_second": megabytes / took_seconds,
        "busy_percent": min(100.0, cpu / took_seconds * 100),
    }


def event_stream(proxy: Running, effort: Effort) -> Measures:
    """SSE: time from the origin's send to the client's receive, with the proxy and without."""
    through = proxy.target()
    straight = evolve(through, proxy_port=None)
    direct_us = median_delay_us(straight, proxy.origin.tls, effort.events)
    via_us = median_delay_us(through, proxy.tls(), effort.events)
    return {"added_us": via_us - direct_us, "through_us": via_us, "direct_us": direct_us}


def library_posts(proxy: Running, effort: Effort) -> Measures:
    """A POST by ``requests`` on a new connection, which sends head and body apart."""
    address = proxy.target()
    url = f"https://{address.authority}/v1/messages"
    delays = []
    for _ in range(effort.posts):
        began = time.monotonic()
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(proxy.ca_file)
            session.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
            answer = session.post(url, BODY, headers=headers(address.authority))
        delays.append(time.monotonic() - began)
        if answer.status_code != 429:
            raise WrongAnswerError(f"{answer.status_code} where 429 was due")
    return {"median_ms": statistics.median(delays) * 1e3}


def idle_tunnels(proxy: Running, effort: Effort) -> Measures:
    """Memory that tunnels hold which were intercepted, served one request and now wait.

    That they still wait is checked: each must answer once more after the memory was read.
    """
    address, tls = proxy.target(), proxy.tls()
    request = post(address.authority)
    tunnels: list[Tunnel] = []
    with contextlib.ExitStack() as stack:

        def open_some(count: int) -> None:
            for _ in range(count):
                tunnels.append(stack.enter_context(Tunnel(address, tls)))
                tunnels[-1].ask(request, 429)

        open_some(CONNECTIONS)
        before_bytes = resident_bytes(proxy.pid)
        open_some(effort.tunnels)
        time.sleep(SETTLE_SECONDS)
        grown_bytes = resident_bytes(proxy.pid) - before_bytes
        for tunnel in tunnels:
            tunnel.ask(request, 429)
    return {
        "kib_per_tunnel": grown_bytes / effort.tunnels / 1024,
        "mib_before": before_bytes / 2**20,
    }


def start_up(proxy: Running, effort: Effort) -> Measures:
    """From the start of the command to the first accepted connection."""
    return {"listening_ms": proxy.start_seconds * 1e3}


WORKLOADS: dict[str, Workload] = {
    "W1": Workload("new connection, injected 429", "inject", new_connections),
    "W2": Workload("keep-alive, injected 429", "inject", keep_alive),
    "requests": Workload("POST by requests, new connection", "inject", library_posts),
    "W3": Workload("blind tunnel", "blind", blind_tunnels),
    "W4": Workload("intercepted, passed on, keep-alive", "pass", passed_on),
    "long": Workload("200 KB bodies, keep-alive", "pass", long_bodies, beside=("inject",)),
    "base": Workload("base URL, keep-alive", "pass", base_url, beside=("inject",)),
    "SSE": Workload("event stream, passed on", "pass", event_stream),
    "rules": Workload("200 rules, none matches", "pass", with_rules, beside=RULES_BESIDE),
    "harm": Workload("stream fault waiting", "pass", stream_with_fault_waiting, beside=("harm",)),
    "apis": Workload("other APIs beside Anthropic's", "pass", beside_anthropic, beside=("inject",)),
    "idle": Workload("idle intercepted tunnels", "inject", idle_tunnels, fresh=True),
    "start": Workload("start-up", "inject", start_up, fresh=True),
}
"""In the order in which they are run: those that can share running proxies stand together."""
