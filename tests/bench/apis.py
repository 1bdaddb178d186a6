"""What a request of each API costs beside one of Anthropic's: answered, passed on, and streamed.

All go through the same proxy in turn, on open tunnels.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
from collections.abc import Callable

from attrs import frozen

from tests.bench.client import Tunnel, post
from tests.bench.loading import Effort, Measures, load
from tests.bench.rules import SLICE_SHARE, SLICES
from tests.bench.running import Running


@frozen
class Api:
    """How one API is asked."""

    whole: str
    """The path of a request for a whole answer."""
    streamed: str
    """That of one for a stream, which the origin answers in the API's framing."""


BASE = Api("/v1/messages", "/v1/messages?events=sse")
APIS = {
    "gemini": Api(
        "/v1/models/m:generateContent", "/v1/models/m:streamGenerateContent?alt=sse&events=crlf"
    ),
    "bedrock": Api("/model/m/converse", "/model/m/converse-stream?events=aws"),
    "ollama": Api("/api/chat", "/api/chat?events=ndjson"),
}
TUNNELS = 8
Step = Callable[[], None]
KINDS = ("injected", "passed", "streamed")


def beside_anthropic(proxy: Running, effort: Effort) -> Measures:
    """By how many hundredths a request of each API costs more CPU time than Anthropic's."""
    injecting = proxy.beside["inject"]
    found: Measures = {}
    for kind, running in zip(KINDS, (injecting, proxy, proxy), strict=True):
        costs = _costs_us(running, effort, kind)
        base = costs.pop("anthropic")
        found[f"{kind}_us"] = base
        for name, cost in costs.items():
            found[f"{kind}_{name}_percent"] = (cost / base - 1) * 100
    return found


def _costs_us(proxy: Running, effort: Effort, kind: str) -> dict[str, float]:
    """CPU time of a request of each API: the median of its slices, which take turns."""
    with contextlib.ExitStack() as stack:
        steps = {
            name: [
                _step(stack.enter_context(Tunnel(proxy.target(), proxy.tls())), proxy, api, kind)
                for _ in range(TUNNELS)
            ]
            for name, api in ({"anthropic": BASE} | APIS).items()
        }
        found: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(len(SLICES) // 3):
            for name in list(steps)[:: 1 if turn % 2 else -1]:
                measures = load(proxy, steps[name], effort.seconds * SLICE_SHARE)
                found[name].append(measures["cpu_us_per_request"])
    return {name: statistics.median(costs) for name, costs in found.items()}


def _step(tunnel: Tunnel, proxy: Running, api: Api, kind: str) -> Step:
    """Return one more request on a tunnel, which was used once."""
    path = api.streamed if kind == "streamed" else api.whole
    request = post(proxy.target().authority, path=path)
    if kind == "streamed":
        step = functools.partial(tunnel.ask_for_stream, request)
    else:
        step = functools.partial(tunnel.ask, request, 429 if kind == "injected" else 200)
    step()
    return step
