"""The arithmetic of the plugin's benchmark, and that its client checks what it gets."""

from __future__ import annotations

import json

import pytest

from tests.bench.client import WrongAnswerError
from tests.bench.plugin import FLOORS, as_json, medians, ratios
from tests.bench.plugin_client import ChunkClient
from tests.bench.plugin_in_process import REQUEST, Tunnel, open_plugin
from tests.support.bench import TARGET


def test_a_ratio_says_how_many_times_faster_we_are() -> None:
    """Of the medians; what was not measured has none."""
    ours = medians([{"hello_to_429_ms": value} for value in (1.0, 90.0, 2.0)])
    assert ratios(ours, {"hello_to_429_ms": 20.0, "request_to_429_ms": 10.0}) == {
        "hello_to_429_ms": 10.0
    }
    assert medians([]) == {}


def test_json_has_the_samples_the_medians_the_ratios_and_the_floors() -> None:
    """Nothing that the table shows is missing for programs."""
    written = json.loads(json.dumps(as_json({"gRPC": [{"x": 1.0}]}, {"gRPC": {"x": 1.0}}, {})))
    assert written["samples"] == {"gRPC": [{"x": 1.0}]}
    assert written["floors"] == FLOORS


async def test_the_client_takes_a_whole_429_only() -> None:
    """A part of one, or another status, does not count."""
    async with open_plugin() as (plugin, trust):
        tunnel = Tunnel(plugin, "1", ChunkClient(trust, TARGET))
        await tunnel.open()
        await tunnel.ask()
        reply = await tunnel._give(tunnel.client.request(REQUEST))
        with pytest.raises(WrongAnswerError):
            tunnel.client.answer(reply[:-40], 429)
        other = Tunnel(plugin, "2", ChunkClient(trust, TARGET))
        await other.open()
        with pytest.raises(WrongAnswerError):
            other.client.answer(await other._give(other.client.request(REQUEST)), 200)
