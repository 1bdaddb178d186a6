"""Nothing of a stream is held back: each event is with the client when the API sends it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Example, Provider
from tests.support.bench import open_bench, post
from tests.support.llm_api import chunk
from tests.support.stream_api import GAP_SECONDS, streams

UNTIL_THE_LAST = {"name": "last", "fault": {"stream": {"after": {"count": 1000}, "cut": True}}}
ARRAY = Example("/v1/models/m:streamGenerateContent", {"contents": []}, streamed=True)


def _streamed() -> list[Any]:
    """Return each API with a request for a stream, and a name for the pair."""
    pairs = [
        (provider, example)
        for provider in PROVIDERS
        for example in (*provider.examples, *([ARRAY] if provider.name == "gemini" else []))
        if example.streamed is not False
    ]
    return [pytest.param(*pair, id=f"{pair[0].name} {pair[1].path}") for pair in pairs]


def test_every_framing_is_tried() -> None:
    """There are four of them."""
    kinds = set()
    for param in _streamed():
        provider, example = param.values
        request = provider.api_request(example.path, _document(example), "h", example.query)
        stream = provider.shape_of(example.path).requested_stream(request)
        kinds.add(type(stream.framing.decoder()).__name__)
    assert len(kinds) == 4, kinds


def _document(example: Example) -> dict[str, Any]:
    flag = {} if example.streamed else {"stream": True}
    return {"model": "m", **example.document, **flag}


@pytest.mark.parametrize("rules", [[], [UNTIL_THE_LAST]], ids=["passed on", "watched by a rule"])
@pytest.mark.parametrize(("provider", "example"), _streamed())
async def test_each_event_comes_when_it_is_sent(
    autojump_clock: trio.testing.MockClock,
    provider: Provider,
    example: Example,
    rules: list[dict[str, Any]],
) -> None:
    """The bytes are the API's, and so is the time of each event."""
    host, document = provider.example_host, _document(example)
    request = provider.api_request(example.path, document, host, example.query)
    uniform = Random(1).random
    fields = provider.draw_fields(uniform, 1.8e9, request)
    stream = provider.shape_of(example.path).requested_stream(request)
    events = stream.minimal(request, fields, uniform)
    assert len(events) > 2
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {stream.content_type}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    upstream = streams(*events, head=head.encode())
    async with open_bench(upstream=upstream, targets=(host,)) as bench:
        bench.rules(*rules)
        client = await bench.tls(f"{host}:443", host)
        target = f"{example.path}?{example.query}" if example.query else example.path
        began = trio.current_time()
        await client.send(post(target, json.dumps(document).encode(), host=host))
        assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for count, event in enumerate(events, start=1):
            assert await client.read_exactly(len(chunk(event))) == chunk(event)
            assert trio.current_time() - began == pytest.approx(count * GAP_SECONDS)
        assert await client.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
