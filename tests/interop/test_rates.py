"""How often a rule fires for requests on a kept connection to the proxy as a process of its own."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from tests.support.proxy import ProxyRun
from tests.support.raw_client import Connected

pytestmark = pytest.mark.interop

REQUESTS = 10_000
PROBABILITY = 0.3
HOST = "api.example.com"
RULES = [f"respond 503 name=third probability={PROBABILITY}", "respond 404 name=others"]


def test_10000_requests_are_within_the_99_9_percent_interval(tmp_path: Path) -> None:
    """Of the binomial distribution (z = 3.2905); by the seed it is the same in every run."""
    options = [word for rule in RULES for word in ("--rule", rule)]
    request = f"GET http://{HOST}/v1/things HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with (
        ProxyRun(tmp_path, "--target-host", HOST, "--seed", "5", *options) as proxy,
        Connected(proxy.port, None).open() as client,
    ):
        lines = Counter(client.ask(request).head.split(b"\r\n")[0] for _ in range(REQUESTS))
    statuses = {int(line.split()[1]): count for line, count in lines.items()}
    assert sum(statuses.values()) == REQUESTS
    assert statuses.keys() == {503, 404}
    deviation = math.sqrt(REQUESTS * PROBABILITY * (1 - PROBABILITY))
    assert abs(statuses[503] - PROBABILITY * REQUESTS) <= 3.2905 * deviation
    assert proxy.events[-1]["rules"] == [
        {"rule": "third", "reached": REQUESTS, "fired": statuses[503]},
        {"rule": "others", "reached": statuses[404], "fired": statuses[404]},
    ]
