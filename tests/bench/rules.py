"""What rules cost that do nothing: 200 that do not match, and a stream fault that only waits.

The proxy with the rules runs beside the one without, and a sample is of both, in turn. Knows
nothing of how rules are matched.
"""

from __future__ import annotations

import contextlib
import statistics

from attrs import evolve

from tests.bench.contestants import Mode
from tests.bench.loading import Effort, Measures, load, median_delay_us, open_tunnels
from tests.bench.running import Running

SLICES = (0, 1, 2, 2, 1, 0) * 4
"""Whose turn it is: there and back again, so that a drift of the machine adds to all alike, and
several times, so that what else the machine does now and then counts for nothing."""
RULES_BESIDE: tuple[Mode, ...] = (
    *("pass-head-rules", "pass-all-rules"),
    *("inject", "inject-head-rules", "inject-all-rules"),
)
SLICE_SHARE = 1 / 8
"""Of the time of a sample."""


def with_rules(proxy: Running, effort: Effort) -> Measures:
    """The requests of W4 and of W2, without rules and with the two files of rules."""
    up = {**proxy.beside, "pass": proxy}
    passed = costs_us([up["pass"], up["pass-head-rules"], up["pass-all-rules"]], effort, 200)
    injected = costs_us(
        [up["inject"], up["inject-head-rules"], up["inject-all-rules"]], effort, 429
    )
    return added("passed", passed) | added("injected", injected)


def costs_us(proxies: list[Running], effort: Effort, status: int) -> list[float]:
    """CPU time of a request at each of three proxies: the median of its slices."""
    found: list[list[float]] = [[] for _ in proxies]
    with contextlib.ExitStack() as stack:
        steps = [stack.enter_context(open_tunnels(proxy, status)) for proxy in proxies]
        for which in SLICES:
            measures = load(proxies[which], steps[which], effort.seconds * SLICE_SHARE)
            found[which].append(measures["cpu_us_per_request"])
    return [statistics.median(costs) for costs in found]


def added(kind: str, costs: list[float]) -> Measures:
    """What each of the two files of rules adds, in hundredths, and what a request costs without."""
    without, head, every = costs
    return {
        f"{kind}_head_percent": (head / without - 1) * 100,
        f"{kind}_all_percent": (every / without - 1) * 100,
        f"{kind}_us": without,
    }


def stream_with_fault_waiting(proxy: Running, effort: Effort) -> Measures:
    """SSE again: straight, through the proxy, and through one that has a stream fault waiting."""
    waiting, through = proxy.beside["harm"], proxy.target()
    straight = evolve(through, proxy_port=None)
    direct_us = median_delay_us(straight, proxy.origin.tls, effort.events)
    plain_us = median_delay_us(through, proxy.tls(), effort.events)
    waiting_us = median_delay_us(waiting.target(), waiting.tls(), effort.events)
    return {
        "added_us": waiting_us - direct_us,
        "fault_us": waiting_us - plain_us,
        "direct_us": direct_us,
    }
