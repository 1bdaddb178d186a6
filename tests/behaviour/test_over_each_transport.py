"""What a client sees is the same, whatever way its bytes come to the proxy.

The same assertions on `tests.support.transports`, whose table says where one does not hold, and
why: there the test has to fail.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.bench import TARGET, Script, get, ok, post
from tests.support.llm_api import chunk
from tests.support.peer import Cut, Message, Peer
from tests.support.stream_api import ASK, EVENTS, HEAD, NO_BODY, ZERO, at_once, rule
from tests.support.transports import EXCEPTIONS, OPENERS, Connected, Transport

PLAIN = b"HTTP/1.1 200 All  right\r\nx-lower: 1\r\nX-UPPER:2\r\nContent-Length: 5\r\n\r\nplain"
NO_STREAM = post("/v1/messages", b'{"model": "m", "messages": []}')
GIVEN_UP_SECONDS = 200.0


async def api(upstream: Peer) -> None:
    """Stream the events a second apart, if a stream is wanted; answer anything else at once."""
    while request := await upstream.read_message():
        if request.line.startswith(b"HEAD"):  # the plugin's own, which asks for a turn
            await upstream.send(NO_BODY)
        elif b'"stream": true' not in request.body:
            await upstream.send(PLAIN)
        else:
            await upstream.send(HEAD)
            for event in EVENTS:
                await trio.sleep(1)
                await upstream.send(chunk(event))
            await upstream.send(ZERO)


async def seen(client: Peer, request: bytes) -> tuple[bytes, float]:
    """Ask; return what comes up to the last chunk or the connection's end, and how long it took."""
    began, said = trio.current_time(), b""
    await client.send(request)
    with trio.fail_after(GIVEN_UP_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        while not said.endswith(ZERO) and (data := await client.receive()):
            said += data
    return said, trio.current_time() - began


async def heard(client: Peer, count: int) -> bytes:
    """Return this many bytes, or those that have come in a long time or before the end."""
    said = b""
    with trio.move_on_after(GIVEN_UP_SECONDS), contextlib.suppress(trio.BrokenResourceError):
        while len(said) < count and (data := await client.receive()):
            said += data
    return said


async def check_goes_on(here: Connected) -> None:
    """Assert that the connection serves another request of each kind."""
    for rules, status in (([rule(respond={"status": 503})], 503), ([], 200)):
        here.bench.rules(*rules)
        try:
            answer = await here.client.ask(get("/"))
        except (Cut, trio.BrokenResourceError):
            raise AssertionError("the connection is over") from None
        assert answer.status == status


# Whole answers


async def test_an_injected_answer(transport: Transport, clock: trio.abc.Clock) -> None:
    """Byte by byte, and the upstream's work is not done."""
    asked: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            asked.append(request.line)
            await upstream.send(NO_BODY if request.line.startswith(b"HEAD") else PLAIN)

    respond = {"status": 418, "body": "no coffee", "headers": {"X-Pot": "tea"}}
    async with transport.open(remembers, rule(respond=respond)) as here:
        answer = await here.client.ask(ASK)
        dateless = re.sub(rb"Date: [^\r]+ GMT\r\n", b"", answer.head)
        assert dateless + answer.body == (
            b"HTTP/1.1 418 I'm a Teapot\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Pot: tea\r\nContent-Length: 9\r\nX-Faultinject: harm\r\n\r\nno coffee"
        )
        assert b"POST /v1/messages HTTP/1.1" not in asked
        [exchange] = await here.exchanges()
        assert (exchange.outcome, exchange.rule, exchange.status) == ("injected", "harm", 418)


async def test_an_answer_in_the_apis_words(transport: Transport, clock: trio.abc.Clock) -> None:
    """With its retry-after, and without asking anybody."""
    respond = {"status": 429, "retry_after": 7}
    async with transport.open(api, rule(respond=respond)) as here:
        began = trio.current_time()
        answer = await here.client.ask(ASK)
        assert (answer.status, answer.header(b"retry-after")) == (429, b"7")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert trio.current_time() - began < 1
        await check_goes_on(here)


async def test_an_answer_that_is_lost(transport: Transport, clock: trio.abc.Clock) -> None:
    """The API did the work, and its client is told something else."""
    asked: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            asked.append(request.line)
            await upstream.send(NO_BODY if request.line.startswith(b"HEAD") else PLAIN)

    respond = {"status": 504, "upstream": "answered"}
    async with transport.open(remembers, rule(respond=respond)) as here:
        assert (await here.client.ask(ASK)).status == 504
        assert asked.count(b"POST /v1/messages HTTP/1.1") == 1
        await check_goes_on(here)


async def test_what_is_forwarded_is_not_touched(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """Neither the request nor the answer."""
    asked: list[Message] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if not request.line.startswith(b"HEAD"):
                asked.append(request)
            await upstream.send(NO_BODY if request.line.startswith(b"HEAD") else PLAIN)

    request = post("/v1/Messages?a=%2F&b", b"{ }", b"x-lower: 1", b"X-UPPER:2", b"X-Twice: 1")
    async with transport.open(remembers) as here:
        for _ in range(2):
            answer = await here.client.ask(request)
            assert answer.head + answer.body == PLAIN
        assert [message.head + message.body for message in asked] == [request, request]
        assert [each.outcome for each in await here.exchanges(2)] == ["forwarded", "forwarded"]


async def test_a_connection_is_kept(transport: Transport, clock: trio.abc.Clock) -> None:
    """For requests that are injected and forwarded in turn."""
    async with transport.open(api) as here:
        for number in range(12):
            injected = number % 3 == 1 or 5 < number < 9
            here.bench.rules(*[rule(respond=529)] * injected)
            answer = await here.client.ask(get(f"/{number}"))
            assert answer.status == (529 if injected else 200), number


async def test_the_last_answer(transport: Transport, clock: trio.abc.Clock) -> None:
    """An answer that closes says so, and the connection ends in good order."""
    respond = {"status": 529, "connection": "close"}
    async with transport.open(api, rule(respond=respond)) as here:
        answer = await here.client.ask(ASK)
        assert (answer.status, answer.header(b"connection")) == (529, b"close")
        assert await here.client.rest() == b""


async def test_a_rule_that_reads_the_body(transport: Transport, clock: trio.abc.Clock) -> None:
    """Both when it fires and when it does not; the upstream gets all that was read."""

    async def counts(upstream: Peer) -> None:
        while request := await upstream.read_message():
            head = request.line.startswith(b"HEAD")
            await upstream.send(NO_BODY if head else ok(b"%d" % len(request.body)))

    matching = {"json": {"messages[*].content": "*x*"}}
    async with transport.open(counts, {**rule(respond=503), "match": matching}) as here:
        for content, status in (("x" * 20_000, 503), ("y" * 20_000, 200), ("x", 503)):
            body = json.dumps({"messages": [{"content": content}]}).encode()
            answer = await here.client.ask(post("/v1/messages", body))
            assert answer.status == status
            assert status == 503 or answer.body == b"%d" % len(body)


# Bodies and upgrades


@pytest.mark.parametrize("in_chunks", [False, True])
async def test_an_upload(in_chunks: bool, transport: Transport, clock: trio.abc.Clock) -> None:
    """Every byte of a long body arrives, and the connection is as good as new."""
    body = bytes(range(256)) * 1_200
    received: list[bytes] = []

    async def reads(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if request.line.startswith(b"POST /up"):
                received.append(request.body)
            await upstream.send(NO_BODY if request.line.startswith(b"HEAD") else PLAIN)

    request = post("/up", body)
    if in_chunks:
        lines = b"POST /up HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
        request = lines % TARGET.encode() + chunk(body) + ZERO
    async with transport.open(reads) as here:
        assert (await here.client.ask(request)).body == b"plain"
        assert received == [body]
        await check_goes_on(here)


async def test_an_upload_that_is_answered_by_us(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """Its body is read, and is not taken for a request."""
    async with transport.open(api, rule(respond=529)) as here:
        assert (await here.client.ask(post("/up", get("/") * 5_000))).status == 529
        await check_goes_on(here)


async def test_an_upgrade(transport: Transport, clock: trio.abc.Clock) -> None:
    """From the 101 on, bytes go both ways as they are."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await upstream.receive():
            await upstream.send(data.upper())

    ask = get("/ws", TARGET, b"Connection: Upgrade", b"Upgrade: websocket")
    async with transport.open(switches) as here:
        assert (await here.client.ask(ask)).status == 101
        for word in (b"\x81\x00one", b"two" * 3_000):
            await here.client.send(word)
            assert await heard(here.client, len(word)) == word.upper()
        await here.leave()
        [exchange] = await here.exchanges()
        assert exchange.outcome == "upgraded"


# Streams


async def test_a_stream_comes_as_it_is_sent(transport: Transport, clock: trio.abc.Clock) -> None:
    """Each event at its time."""
    async with transport.open(api) as here:
        began, times = trio.current_time(), []
        await here.client.send(ASK)
        assert await here.client.read_until(b"\r\n\r\n") == HEAD
        for event in EVENTS:
            assert await here.client.read_exactly(len(chunk(event))) == chunk(event)
            times.append(trio.current_time() - began)
        assert times == pytest.approx([1 + n for n in range(len(EVENTS))], abs=0.5)


async def test_an_error_within_a_stream(transport: Transport, clock: trio.abc.Clock) -> None:
    """The API's own, where it is due, then the proper end."""
    fault = rule(stream={"after": {"count": 5}, "error": "overloaded_error"})
    async with transport.open(api, fault) as here:
        said, seconds = await seen(here.client, ASK)
        before = HEAD + b"".join(map(chunk, EVENTS[:5]))
        assert said.startswith(before)
        assert b'"overloaded_error"' in said[len(before) :]
        assert seconds == pytest.approx(5, abs=0.5)
        [exchange] = await here.exchanges()
        assert (exchange.outcome, exchange.fault) == ("harmed", "stream-error after 5 events")


async def test_what_follows_an_error_within_a_stream(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """The connection's next request."""
    async with transport.open(api, rule(stream={"after": {"count": 5}, "error": True})) as here:
        assert (await seen(here.client, ASK))[0].endswith(ZERO)
        await check_goes_on(here)


async def test_a_stream_that_is_garbled(transport: Transport, clock: trio.abc.Clock) -> None:
    """One event is no JSON any more, and the others are what they were."""
    fault = rule(stream={"after": {"count": 2}, "garble": True})
    async with transport.open(api, fault) as here:
        said, _ = await seen(here.client, ASK)
        assert said.startswith(HEAD + b"".join(map(chunk, EVENTS[:2])))
        assert EVENTS[2] not in said
        assert all(event in said for event in EVENTS[3:])
        await check_goes_on(here)


@pytest.mark.parametrize("script", [api, at_once])
async def test_an_event_that_is_dropped(
    script: Script, transport: Transport, clock: trio.abc.Clock
) -> None:
    """The others pass, however they came."""
    async with transport.open(script, rule(stream={"before": "ping", "drop": True})) as here:
        answer = await here.client.ask(ASK)
        assert answer.head == HEAD
        assert answer.body == b"".join(event for event in EVENTS if b"ping" not in event)


@pytest.mark.parametrize("script", [api, at_once])
async def test_a_stream_that_is_cut(
    script: Script, transport: Transport, clock: trio.abc.Clock
) -> None:
    """Three events, and then the end, without the last chunk."""
    async with transport.open(script, rule(stream={"after": {"count": 3}, "cut": True})) as here:
        said, seconds = await seen(here.client, ASK)
        assert said == HEAD + b"".join(map(chunk, EVENTS[:3]))
        assert seconds < 10
        [exchange] = await here.exchanges()
        assert (exchange.outcome, exchange.fault) == ("harmed", "cut after 3 events")


async def test_a_stream_that_is_reset(transport: Transport, clock: trio.abc.Clock) -> None:
    """The connection breaks, without the good-bye that TLS has."""
    async with transport.open(api, rule(stream={"after": {"count": 3}, "reset": True})) as here:
        await here.client.send(ASK)
        with trio.fail_after(GIVEN_UP_SECONDS), pytest.raises(trio.BrokenResourceError):
            await here.client.rest()
        [exchange] = await here.exchanges()
        assert (exchange.outcome, exchange.fault) == ("harmed", "reset after 3 events")


async def test_a_stall(transport: Transport, clock: trio.abc.Clock) -> None:
    """What came before it is out, and afterwards it goes on."""
    async with transport.open(api, rule(stream={"after": {"count": 3}, "stall": "20s"})) as here:
        began = trio.current_time()
        await here.client.send(ASK)
        before = HEAD + b"".join(map(chunk, EVENTS[:3]))
        assert await here.client.read_exactly(len(before)) == before
        assert trio.current_time() - began == pytest.approx(3, abs=0.5)
        rest, _ = await here.client._chunks()
        assert rest == b"".join(EVENTS[3:])
        assert trio.current_time() - began == pytest.approx(23, abs=0.5)
        await check_goes_on(here)


@pytest.mark.parametrize("before", ["upstream", "head"])
@pytest.mark.parametrize("responds", [False, True])
async def test_a_delay(
    before: str, responds: bool, transport: Transport, clock: trio.abc.Clock
) -> None:
    """Of an answer of ours and of the upstream's."""
    fault: dict[str, Any] = {"delay": {"before": before, "fixed": "30s"}}
    if responds:
        fault["respond"] = {"status": 503}
    async with transport.open(api, rule(**fault)) as here:
        began = trio.current_time()
        assert (await here.client.ask(get("/"))).status == (503 if responds else 200)
        assert trio.current_time() - began == pytest.approx(30, abs=0.5)
        await check_goes_on(here)


async def test_a_made_stream(transport: Transport, clock: trio.abc.Clock) -> None:
    """Nobody is asked for it; its connection is kept."""
    stream = {"after": {"count": 2}, "stall": "20s", "upstream": "skipped"}
    async with transport.open(api, rule(stream=stream)) as here:
        said, seconds = await seen(here.client, ASK)
        assert said.count(b"event: message_start") == said.count(b"event: message_stop") == 1
        assert seconds == pytest.approx(20, abs=1)
        await check_goes_on(here)


# Ends


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_no_answer(how: str, transport: Transport, clock: trio.abc.Clock) -> None:
    """The connection ends instead, at once."""
    async with transport.open(api, rule(**{"break": how})) as here:
        said, seconds = await seen(here.client, ASK)
        assert said == b""
        assert seconds < 10
        [exchange] = await here.exchanges()
        assert exchange.outcome == "injected"


@pytest.mark.parametrize(
    "fault",
    [
        {"break": "hang"},
        {"delay": {"fixed": "1h", "before": "head"}},
        {"stream": {"after": {"count": 1}, "stall": "forever"}},
    ],
)
async def test_a_client_that_leaves(
    fault: dict[str, Any], transport: Transport, clock: trio.abc.Clock
) -> None:
    """Its exchange is over then, and not before."""
    async with transport.open(api, rule(**fault)) as here:
        await check_leaving_ends_it(here)


async def test_a_client_that_leaves_before_the_upstream_is_asked(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """Then it is not asked."""
    async with transport.open(api, rule(delay="1h")) as here:
        await check_leaving_ends_it(here)


async def test_a_client_that_leaves_during_a_delay(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """What it asked for is known, though its request came in two pieces."""
    async with transport.open(api, rule(delay="30s")) as here:
        body = NO_STREAM.partition(b"\r\n\r\n")[2]
        await here.client.send(NO_STREAM.removesuffix(body))
        await trio.sleep(1)
        await here.client.send(body)
        await trio.sleep(10)
        await here.leave()
        [exchange] = await here.exchanges()
        assert exchange.request_bytes == len(body)
        assert exchange.observed is not None
        assert (exchange.observed.call, exchange.observed.attempt) == (1, 1)


async def test_a_request_in_pieces_is_delayed(transport: Transport, clock: trio.abc.Clock) -> None:
    """The upstream gets all of it."""
    bodies: list[bytes] = []

    async def remembers(upstream: Peer) -> None:
        while request := await upstream.read_message():
            if request.line.startswith(b"HEAD"):
                await upstream.send(NO_BODY)
            else:
                bodies.append(request.body)
                await upstream.send(PLAIN)

    async with transport.open(remembers, rule(delay="30s")) as here:
        began = trio.current_time()
        for piece in (NO_STREAM[:-5], NO_STREAM[-5:-3], NO_STREAM[-3:]):
            await here.client.send(piece)
            await trio.sleep(1)
        assert (await here.client.answer()).status == 200
        assert trio.current_time() - began == pytest.approx(31, abs=3)
        assert bodies == [NO_STREAM.partition(b"\r\n\r\n")[2]]
        await check_goes_on(here)


async def test_a_delayed_request_that_waits_for_a_100(
    transport: Transport, clock: trio.abc.Clock
) -> None:
    """The upstream gives it, after the delay, and then gets the body."""
    got: list[Message] = []
    permission = b"HTTP/1.1 100 Continue\r\n\r\n"

    async def permits(upstream: Peer) -> None:
        head = await upstream.read_until(b"\r\n\r\n")
        await upstream.send(permission)
        got.append(Message(head, await upstream.read_exactly(2)))
        await upstream.send(PLAIN)

    async with transport.open(permits, rule(delay="30s")) as here:
        request = post("/v1/messages", b"{}", b"Expect: 100-continue")
        began = trio.current_time()
        await here.client.send(request[:-2])
        assert await heard(here.client, len(permission)) == permission
        assert trio.current_time() - began == pytest.approx(30, abs=0.5)
        await here.client.send(b"{}")
        assert (await here.client.answer()).status == 200
        assert (got[0].header(b"expect"), got[0].body) == (b"100-continue", b"{}")


async def check_leaving_ends_it(here: Connected) -> None:
    """Ask, wait, leave, and assert that the exchange lasts until then."""
    await here.client.send(ASK)
    await trio.sleep(60)
    assert here.bench.outcomes == []
    await here.leave()
    await trio.sleep(2)
    assert [each in ("injected", "harmed") for each in here.bench.outcomes] == [True]


async def test_an_upstream_that_leaves_unasked(transport: Transport, clock: trio.abc.Clock) -> None:
    """The client gets our 502, which says so."""

    async def leaves(upstream: Peer) -> None:
        await upstream.read_message()

    async with transport.open(leaves) as here:
        answer = await here.client.ask(ASK)
        assert answer.status == 502
        assert answer.json()["error"]["kind"] == "disconnected"
        [exchange] = await here.exchanges()
        assert exchange.outcome == "upstream-error"


async def test_an_answer_that_breaks_off(transport: Transport, clock: trio.abc.Clock) -> None:
    """The client cannot take it for whole."""

    async def breaks_off(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        raise Cut

    async with transport.open(breaks_off) as here:
        with trio.fail_after(GIVEN_UP_SECONDS), pytest.raises((Cut, trio.BrokenResourceError)):
            await here.client.ask(ASK)
        [exchange] = await here.exchanges()
        assert exchange.outcome == "upstream-error"


def test_the_exceptions_are_of_tests() -> None:
    """And of transports: each is one that a test here finds to be so."""
    assert all(kind in OPENERS and name in globals() for kind, name in EXCEPTIONS)
