"""Faults by rule in a tunnel behind Fault: what the client sees of them, when, and that it goes on.

The host is the simulated one, so that bytes are lost and directions stall as behind the real one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.bench import ok, post
from tests.support.fault_world import World, world
from tests.support.llm_api import chunk
from tests.support.peer import Peer
from tests.support.stream_api import ASK, EVENTS, HEAD, NO_BODY, ZERO, at_once, rule

PLAIN = post("/v1/messages", json.dumps({"model": "m"}).encode())
GIVEN_UP_SECONDS = 120.0
Timed = list[tuple[float, bytes]]


async def api(upstream: Peer) -> None:
    """Stream the events a second apart, if a stream is wanted; answer anything else at once."""
    while request := await upstream.read_message():
        if b'"stream": true' not in request.body:
            await upstream.send(NO_BODY if request.line.startswith(b"HEAD") else ok(b"plain"))
            continue
        await upstream.send(HEAD)
        for event in EVENTS:
            await trio.sleep(1)
            await upstream.send(chunk(event))
        await upstream.send(ZERO)


async def read_stream(client: Peer, request: bytes = ASK) -> tuple[bytes, Timed]:
    """Ask; return the head and the chunks of the answer, each with its time since the request."""
    started, chunks = trio.current_time(), []
    with trio.fail_after(GIVEN_UP_SECONDS):
        await client.send(request)
        head = await client.read_until(b"\r\n\r\n")
        while size := int((await client.read_until(b"\r\n")).strip(), 16):
            data = (await client.read_exactly(size + 2))[:-2]
            chunks.append((trio.current_time() - started, data))
        assert await client.read_until(b"\r\n") == b"\r\n"
    return head, chunks


async def timed_ask(client: Peer, request: bytes = PLAIN) -> tuple[Any, float]:
    """Ask; return the answer and how long it took."""
    started = trio.current_time()
    with trio.fail_after(GIVEN_UP_SECONDS):
        answer = await client.ask(request)
    return answer, trio.current_time() - started


async def read_to_end(client: Peer, request: bytes) -> tuple[bytes, float]:
    """Ask; return all that comes until the connection breaks, and how long that took."""
    started, said = trio.current_time(), b""
    with trio.fail_after(GIVEN_UP_SECONDS):
        await client.send(request)
        try:
            while data := await client.receive():
                said += data
        except trio.BrokenResourceError:
            pass
    return said, trio.current_time() - started


async def check_goes_on(here: World, client: Peer) -> None:
    """Ask twice more: the one request is forwarded, the other answered in the API's place."""
    here.bench.rules()
    assert (await timed_ask(client))[0].body == b"plain"
    here.bench.rules(rule(respond={"status": 503}))
    assert (await timed_ask(client))[0].status == 503
    here.bench.rules()
    assert b"".join(data for _, data in (await read_stream(client))[1]) == b"".join(EVENTS)


def texts(chunks: Timed) -> list[bytes]:
    """Return the chunks without their times."""
    return [data for _, data in chunks]


def times(chunks: Timed) -> list[float]:
    """Return the times of chunks."""
    return [when for when, _ in chunks]


# Whole answers


@pytest.mark.parametrize("responds", [False, True])
async def test_a_delay_before_the_body(autojump_clock: trio.abc.Clock, responds: bool) -> None:
    """Whosever answer it is, its head is out."""
    async with world(script=api) as here:
        fault: dict[str, Any] = {"delay": {"before": "body", "fixed": "30s"}}
        here.bench.rules(rule(**fault, **({"respond": {"status": 503}} if responds else {})))
        client = await here.tls()
        started = trio.current_time()
        await client.send(PLAIN)
        with trio.fail_after(GIVEN_UP_SECONDS):
            await client.read_until(b"\r\n")
            head_seconds = trio.current_time() - started
            head = await client.read_until(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await client.read_exactly(length)
        assert responds or body == b"plain"
        assert head_seconds == pytest.approx(0, abs=0.1)
        assert trio.current_time() - started == pytest.approx(30, abs=0.1)
        await check_goes_on(here, client)


# Streams


async def test_an_end_without_the_terminator(autojump_clock: trio.abc.Clock) -> None:
    """The tunnel ends in good order: the rest of the stream is still on its only connection."""
    async with world(script=api) as here:
        here.bench.rules(rule(stream={"before": "message_stop", "end": True}))
        client = await here.tls()
        assert texts((await read_stream(client))[1]) == EVENTS[:-1]
        with trio.fail_after(GIVEN_UP_SECONDS):
            assert await client.end() == b""


async def test_a_stall_behind_a_mapping(autojump_clock: trio.abc.Clock) -> None:
    """What came before it is out, and afterwards it goes on."""
    async with world(script=api, raw=True) as here:
        here.bench.rules(rule(stream={"after": {"count": 3}, "stall": "20s"}))
        client = await here.tls()
        _, chunks = await read_stream(client)
        assert b"".join(texts(chunks)) == b"".join(EVENTS)
        assert times(chunks)[:4] == pytest.approx([1, 2, 3, 23], abs=0.1)
        await check_goes_on(here, client)


async def test_pings_within_a_stall(autojump_clock: trio.abc.Clock) -> None:
    """At their own times."""
    async with world(script=api) as here:
        stall = {"for": "25s", "pings": "10s"}
        here.bench.rules(rule(stream={"after": {"count": 2}, "stall": stall}))
        client = await here.tls()
        _, chunks = await read_stream(client)
        assert times(chunks)[:5] == pytest.approx([1, 2, 12, 22, 27], abs=0.1)
        await check_goes_on(here, client)


@pytest.mark.parametrize("events_per_second", [0.5, 4])
async def test_a_paced_stream(autojump_clock: trio.abc.Clock, events_per_second: float) -> None:
    """Though the upstream said all at once."""
    async with world(script=at_once) as here:
        here.bench.rules(rule(stream={"pace": {"events_per_second": events_per_second}}))
        client = await here.tls()
        _, chunks = await read_stream(client)
        assert texts(chunks) == EVENTS
        gap = 1 / events_per_second
        assert times(chunks) == pytest.approx([gap * n for n in range(len(EVENTS))], abs=0.1)
        here.bench.rules()
        assert texts((await read_stream(client))[1]) == EVENTS


@pytest.mark.parametrize("script", [api, at_once])
async def test_a_cut_stream_behind_a_mapping(autojump_clock: trio.abc.Clock, script: Any) -> None:
    """Three events, and then the end, soon: no last chunk."""
    async with world(script=script, raw=True) as here:
        here.bench.rules(rule(stream={"after": {"count": 3}, "cut": True}))
        said, seconds = await read_to_end(await here.tls(), ASK)
        assert said == HEAD + b"".join(map(chunk, EVENTS[:3]))
        assert seconds < 10


async def test_a_made_stream(autojump_clock: trio.abc.Clock) -> None:
    """Nobody is asked for it; its events come apart."""
    async with world(script=api) as here:
        stream = {"after": {"count": 2}, "stall": "20s", "upstream": "skipped"}
        here.bench.rules(rule(stream=stream))
        client = await here.tls()
        _, chunks = await read_stream(client)
        assert chunks[0][1].startswith(b"event: message_start")
        assert chunks[-1][1].startswith(b"event: message_stop")
        assert times(chunks)[1] < 1
        assert times(chunks)[2] == pytest.approx(20, abs=0.5)
        assert len(set(times(chunks)[:2])) == 2
        await check_goes_on(here, client)


async def test_a_made_stream_that_is_cut(autojump_clock: trio.abc.Clock) -> None:
    """The connection ends at the cut."""
    async with world(script=api) as here:
        stream = {"after": {"count": 2}, "cut": True, "upstream": "skipped"}
        here.bench.rules(rule(stream=stream))
        said, seconds = await read_to_end(await here.tls(), ASK)
        assert said.count(b"event: ") == 2
        assert seconds < 10
