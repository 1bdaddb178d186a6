"""Whole exchanges with a fault: what the client and the upstream see, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.bench import TARGET, Bench, Script, ok, open_bench, post
from tests.support.llm_api import chunk, message_events
from tests.support.peer import Cut, Message, Peer

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"request-id: req_origin\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENTS = message_events()
ZERO = b"0\r\n\r\n"
ASK = post("/v1/messages", json.dumps({"model": "m", "stream": True}).encode())
GAP_SECONDS = 1.0


def streams(*events: bytes, head: bytes = HEAD, gap_seconds: float = GAP_SECONDS) -> Script:
    """Return a script that answers each request by a stream, its events a second apart."""

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(head)
            for event in events or EVENTS:
                await trio.sleep(gap_seconds)
                await upstream.send(chunk(event))
            await upstream.send(ZERO)

    return script


def stream(**fault: Any) -> dict[str, Any]:
    """Return a rule that harms each stream."""
    return {"name": "harm", "fault": {"stream": fault}}


async def read_stream(
    client: Peer, request: bytes = ASK
) -> tuple[bytes, list[tuple[float, bytes]]]:
    """Ask, and return the head and the chunks of the answer, each with its time."""
    await client.send(request)
    head = await client.read_until(b"\r\n\r\n")
    start, chunks = trio.current_time(), []
    while (size := int((await client.read_until(b"\r\n")).strip() or b"0", 16)) > 0:
        chunks.append((trio.current_time() - start, (await client.read_exactly(size + 2))[:-2]))
    assert await client.read_until(b"\r\n") == b"\r\n"
    return head, chunks


async def test_an_error_within_a_stream(autojump_clock):
    """Five events as they are and when they come, the API's error, the proper end; all goes on."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after={"count": 5}, error="overloaded_error"))
        client = await bench.tls()
        head, chunks = await read_stream(client)
        assert head == HEAD
        assert [data for _, data in chunks[:5]] == EVENTS[:5]
        assert [when for when, _ in chunks[:5]] == pytest.approx([1, 2, 3, 4, 5])
        [(when, error)] = chunks[5:]
        assert when == pytest.approx(5)
        assert error.startswith(b"event: error\ndata: {")
        assert b'"overloaded_error"' in error
        assert b"req_origin" in error
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.rule, exchange.status) == ("harmed", "harm", 200)
        assert exchange.fault == "stream-error after 5 events"
        assert bench.dialer.pipes[0].closed
        bench.rules()
        assert [data for _, data in (await read_stream(client))[1]] == EVENTS
