"""Each rule on the pages of docs/providers does what the page says: run against the fake API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from faultinject.config.yaml import yaml_value
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Example, Provider
from faultinject.proxy.upstream.fake.fake_api import FakeApi
from tests.support.bench import open_bench, post
from tests.support.peer import Peer

PAGES = Path(__file__).parents[2] / "docs" / "providers"
SEEN: dict[str, tuple[int, bytes]] = {
    "filtered-in-the-middle": (200, b'"finish_reason":"content_filter"'),
    "error-in-a-200": (200, b'"error":{"message":"Provider returned error","code":502'),
    "waits-for-a-machine": (200, b": keep-alive\n\n" * 119),
    "stopped-early-in-silence": (200, b'","error":"'),
    "half-a-function-call": (200, b'"functionCall":'),
    "half-a-tool-call": (200, b'"model":"m"'),
    "half-a-line": (200, b'"model":"m"'),
}
"""The status and a part of the body that each rule's page tells of."""
WHOLE = (b"\n", b"}", b"]")
"""How a body ends that is not cut within an event."""


def _rules() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the rules of all pages by name, each with the name of its page."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text("utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            found |= {rule["name"]: (page.stem, rule) for rule in yaml_value(block)["rules"]}
    return found


RULES = _rules()


def test_each_is_run() -> None:
    """None is without a word of what it does."""
    assert set(RULES) == set(SEEN)


def _request(match: dict[str, Any]) -> tuple[Provider, Example, dict[str, Any]]:
    """Return an API, and a request to it that a rule is for."""
    shape, name = match["shape"], match.get("provider", match["shape"])
    [provider] = [each for each in PROVIDERS if each.name == name]
    examples = [e for e in provider.examples if provider.shape_of(e.path).name == shape]
    [example] = [e for e in examples if e.streamed in (None, match["stream"])]
    flag = {"stream": match["stream"]} if example.streamed is None else {}
    return provider, example, {"model": "m", **example.document, **flag}


@pytest.mark.parametrize("name", RULES)
async def test_a_rule(autojump_clock: trio.testing.MockClock, name: str) -> None:
    """It fires for the API of its page, and the client gets what the page says."""
    page, rule = RULES[name]
    provider, example, document = _request(rule["match"])
    assert provider.name == page
    api, host = FakeApi(), provider.example_host

    async def serve(upstream: Peer) -> None:
        await api.serve(upstream.stream)

    async with open_bench(upstream=serve, targets=(host,)) as bench:
        bench.rules(rule)
        client = await bench.tls(f"{host}:443", host)
        path = f"{example.path}?{example.query}" if example.query else example.path
        message = await client.ask(post(path, json.dumps(document).encode(), host=host))
        exchange = await bench.exchange()
        status, part = SEEN[name]
        assert (exchange.rule, message.status) == (name, status)
        assert exchange.outcome in ("injected", "harmed")
        assert part in message.body
        assert not any(message.body.endswith(end) for end in WHOLE) or not name.startswith("half-")
