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
from tests.support.llm_api import chunk, message_events
from tests.support.peer import Peer

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"request-id: req_origin\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENTS = message_events()
ASK = post("/v1/messages", json.dumps({"model": "m", "stream": True}).encode())
PLAIN = post("/v1/messages", json.dumps({"model": "m"}).encode())
GIVEN_UP_SECONDS = 120.0
Timed = list[tuple[float, bytes]]


async def api(upstream: Peer) -> None:
    """Stream the events a second apart, if a stream is wanted; answer anything else at once."""
    while request := await upstream.read_message():
        if b'"stream": true' not in request.body:
            head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
            await upstream.send(head if request.line.startswith(b"HEAD") else ok(b"plain"))
            continue
        await upstream.send(HEAD)
        for event in EVENTS:
            await trio.sleep(1)
            await upstream.send(chunk(event))
        await upstream.send(b"0\r\n\r\n")


async def at_once(upstream: Peer) -> None:
    """Stream all the events in one piece."""
    while request := await upstream.read_message():
        if request.line.startswith(b"HEAD"):
            await upstream.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n")
        else:
            await upstream.send(HEAD + b"".join(map(chunk, EVENTS)) + b"0\r\n\r\n")


def rule(**fault: Any) -> dict[str, Any]:
    """Return a rule that harms each request."""
    return {"name": "harm", "fault": fault}


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


async def test_a_worded_answer(autojump_clock: trio.abc.Clock) -> None:
    """In the API's own words, with its retry-after."""
    async with world(script=api) as here:
        here.bench.rules(rule(respond={"status": 429, "retry_after": 7}))
        client = await here.tls()
        answer, seconds = await timed_ask(client)
        assert (answer.status, answer.header(b"retry-after")) == (429, b"7")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert seconds < 0.1
        await check_goes_on(here, client)


async def test_an_answer_that_closes(autojump_clock: trio.abc.Clock) -> None:
    """It says so, and the connection ends."""
    async with world(script=api) as here:
        here.bench.rules(rule(respond={"status": 529, "connection": "close"}))
        client = await here.tls()
        said, seconds = await read_to_end(client, PLAIN)
        assert said.startswith(b"HTTP/1.1 529 ")
        assert seconds < 5


@pytest.mark.parametrize("before", ["upstream", "head", "body"])
@pytest.mark.parametrize("responds", [False, True])
async def test_delays(autojump_clock: trio.abc.Clock, before: str, responds: bool) -> None:
    """Whatever they are before, and whose answer it is; what came before the delay is out."""
    async with world(script=api) as here:
        fault: dict[str, Any] = {"delay": {"before": before, "fixed": "30s"}}
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
        assert head_seconds == pytest.approx(0 if before == "body" else 30, abs=0.1)
        assert trio.current_time() - started == pytest.approx(30, abs=0.1)
        await check_goes_on(here, client)


async def test_a_lost_answer(autojump_clock: trio.abc.Clock) -> None:
    """The API did the work."""
    async with world(script=api) as here:
        here.bench.rules(rule(respond={"status": 504, "upstream": "answered"}))
        client = await here.tls()
        assert (await timed_ask(client))[0].status == 504
        await check_goes_on(here, client)


async def test_rules_that_read_the_body(autojump_clock: trio.abc.Clock) -> None:
    """Both those that match and those that do not."""
    async with world(script=api) as here:
        matching = {"json": {"messages[*].content": "*x*"}}
        here.bench.rules({**rule(respond={"status": 503}), "match": matching})
        client = await here.tls()
        document = {"model": "m", "messages": [{"content": "x" * 20_000}]}
        body = json.dumps(document).encode()
        assert (await timed_ask(client, post("/v1/messages", body)))[0].status == 503
        assert (await timed_ask(client))[0].body == b"plain"
        body = body.replace(b"x", b"y")
        assert (await timed_ask(client, post("/v1/messages", body)))[0].body == b"plain"
        await check_goes_on(here, client)


# Streams


async def test_an_error_within_a_stream(autojump_clock: trio.abc.Clock) -> None:
    """The events before it at their times, then the error."""
    async with world(script=api) as here:
        here.bench.rules(rule(stream={"after": {"count": 5}, "error": "overloaded_error"}))
        client = await here.tls()
        head, chunks = await read_stream(client)
        assert (head, texts(chunks)[:5]) == (HEAD, EVENTS[:5])
        assert times(chunks) == pytest.approx([1, 2, 3, 4, 5, 5], abs=0.1)
        assert b"overloaded_error" in chunks[5][1]


async def test_an_end_without_the_terminator(autojump_clock: trio.abc.Clock) -> None:
    """The tunnel ends in good order: the rest of the stream is still on its only connection."""
    async with world(script=api) as here:
        here.bench.rules(rule(stream={"before": "message_stop", "end": True}))
        client = await here.tls()
        assert texts((await read_stream(client))[1]) == EVENTS[:-1]
        with trio.fail_after(GIVEN_UP_SECONDS):
            assert await client.end() == b""


@pytest.mark.parametrize("raw", [False, True])
async def test_a_stall_for_a_time(autojump_clock: trio.abc.Clock, raw: bool) -> None:
    """What came before it is out, and afterwards it goes on."""
    async with world(script=api, raw=raw) as here:
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


@pytest.mark.parametrize("script", [api, at_once])
async def test_a_dropped_event(autojump_clock: trio.abc.Clock, script: Any) -> None:
    """The others pass."""
    async with world(script=script) as here:
        here.bench.rules(rule(stream={"before": "ping", "drop": True}))
        client = await here.tls()
        _, chunks = await read_stream(client)
        assert b"".join(texts(chunks)) == b"".join(e for e in EVENTS if b"ping" not in e)


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
@pytest.mark.parametrize("raw", [False, True])
async def test_a_cut_stream(autojump_clock: trio.abc.Clock, script: Any, raw: bool) -> None:
    """Three events, and then the end, soon: no last chunk."""
    async with world(script=script, raw=raw) as here:
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


# No answer


async def test_a_connection_that_closes(autojump_clock: trio.abc.Clock) -> None:
    """Instead of an answer."""
    async with world(script=api) as here:
        here.bench.rules(rule(**{"break": "close"}))
        said, seconds = await read_to_end(await here.tls(), PLAIN)
        assert said == b""
        assert seconds < 10


@pytest.mark.parametrize(
    "fault", [{"break": "hang"}, {"stream": {"after": {"count": 1}, "stall": "forever"}}]
)
async def test_a_hang_until_the_client_leaves(autojump_clock: trio.abc.Clock, fault: Any) -> None:
    """Its leaving ends the exchange."""
    async with world(script=api) as here:
        here.bench.rules(rule(**fault))
        client = await here.tls()
        await client.send(ASK)
        with trio.move_on_after(60):
            while await client.receive():
                pass
            raise AssertionError("it ended")
        assert not here.bench.outcomes
        with trio.move_on_after(1):
            await client.close()
        here.host.client.close()
        await trio.sleep(5)
        [outcome] = here.bench.outcomes
        assert outcome in ("injected", "harmed")
