"""Whole exchanges with a fault: what the client and the upstream see, and when."""

from __future__ import annotations

import gzip
import json
import ssl
from typing import Any

import pytest
import trio
import trio.testing

from faultinject.errors import UpstreamError
from faultinject.events import Warned
from faultinject.settings import Limits
from tests.support.bench import TARGET, ok, open_bench, post, trusting_context
from tests.support.llm_api import chunk
from tests.support.peer import Cut, Message, Peer
from tests.support.stream_api import ASK, EVENTS, HEAD, ZERO, streams
from tests.support.tls_peers import client_hello


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


async def test_a_time_comes_though_the_upstream_is_silent(autojump_clock):
    """It is waited for beside what the upstream says."""
    async with open_bench(upstream=streams(gap_seconds=60)) as bench:
        bench.rules(stream(after={"time": "90s"}, error=True))
        _, [first, (when, error)] = await read_stream(await bench.tls())
        assert first == (pytest.approx(60), EVENTS[0])
        assert when == pytest.approx(90)
        assert error.startswith(b"event: error\n")


async def test_a_stall_for_ever_ends_with_its_client(autojump_clock):
    """Nothing more comes; when the client leaves, the upstream is let go at once."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after={"count": 5}, stall="forever"))
        client = await bench.tls()
        await client.send(ASK)
        got = await client.read_exactly(len(HEAD) + sum(len(chunk(event)) for event in EVENTS[:5]))
        assert got == HEAD + b"".join(map(chunk, EVENTS[:5]))
        with trio.move_on_after(600):
            raise AssertionError(await client.receive())
        await client.close()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.fault) == ("harmed", "stall after 5 events")
        assert exchange.milliseconds >= 0
        assert bench.dialer.pipes[0].closed


async def test_pings_within_a_stall(autojump_clock):
    """The API's own, every ten seconds, and nothing else."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after={"count": 2}, stall={"for": "25s", "pings": "10s"}))
        _, chunks = await read_stream(await bench.tls())
        ping = b'event: ping\ndata: {"type": "ping"}\n\n'
        assert chunks[2:4] == [(pytest.approx(12), ping), (pytest.approx(22), ping)]
        assert chunks[4] == (pytest.approx(27), EVENTS[2])


@pytest.mark.parametrize(
    ("action", "reset", "words"),
    [("cut", False, "cut after 3 events"), ("reset", True, "reset after 3 events")],
)
async def test_a_stream_that_breaks(autojump_clock, action, reset, words):
    """Three events, and then no end: a FIN without a last chunk, or a reset."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after={"count": 3}, **{action: True}))
        client = await bench.tunnel(f"{TARGET}:80")
        raw = client.stream
        await client.send(ASK)
        want = HEAD + b"".join(map(chunk, EVENTS[:3]))
        assert await client.read_exactly(len(want)) == want
        if reset:
            with pytest.raises(trio.BrokenResourceError):
                await client.receive()
        else:
            assert await client.receive() == b""
        assert raw.was_reset is reset
        assert (await bench.exchange()).fault == words
        assert bench.dialer.pipes[0].closed


async def test_silent_truncation(autojump_clock):
    """The proper end before the last event; the connection lives on."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(before="message_stop", end=True))
        client = await bench.tls()
        for _ in range(2):
            _, chunks = await read_stream(client)
            assert [data for _, data in chunks] == EVENTS[:-1]


async def test_a_message_that_ends_early(autojump_clock):
    """As the API ends it at its limit of tokens."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after="content_block_delta", end_early=True))
        _, chunks = await read_stream(await bench.tls())
        assert [data for _, data in chunks[:4]] == EVENTS[:4]
        assert b'"stop_reason":"max_tokens"' in chunks[-2][1]
        assert chunks[-1][1].startswith(b"event: message_stop")


@pytest.mark.parametrize("http_1_0", [False, True])
async def test_a_body_that_announced_its_length(autojump_clock, http_1_0):
    """It comes in chunks, or ends with the connection of a client that knows none."""
    body = b"".join(EVENTS)
    answer = ok(body, b"Content-Type: text/event-stream")

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(answer)

    async with open_bench(upstream=script) as bench:
        bench.rules(stream(after={"count": 2}, error=True))
        client = bench.connect()
        request = ASK.replace(b"POST ", b"POST http://api.example.com")
        if http_1_0:
            request = request.replace(b"HTTP/1.1", b"HTTP/1.0")
        message = await client.ask(request)
        assert message.header(b"content-length") is None
        assert message.header(b"transfer-encoding") == (None if http_1_0 else b"chunked")
        assert message.body.startswith(b"".join(EVENTS[:2]) + b"event: error\n")
        assert message.body.count(b"event: ") == 3


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (ok(b"{}", b"Content-Type: application/json"), "the answer is no stream"),
        (
            b"HTTP/1.1 429 Slow\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\nno",
            "the answer is no stream",
        ),
    ],
)
async def test_an_answer_that_is_no_stream(autojump_clock, answer, fault):
    """It passes untouched, its length too, and is told apart."""

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(answer)

    async with open_bench(upstream=script) as bench:
        bench.rules(stream(after={"count": 5}, cut=True))
        message = await (await bench.tls()).ask(ASK)
        assert message.head + message.body == answer
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.rule) == ("not-reached", "harm")
        assert exchange.fault == f"not reached: cut after 5 events ({fault})"


async def test_a_point_that_never_comes(autojump_clock):
    """The stream is what it was; the upstream's connection serves the next request."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(stream(after={"count": 500}, cut=True))
        client = await bench.tls()
        for _ in range(2):
            _, chunks = await read_stream(client)
            assert [data for _, data in chunks] == EVENTS
        await trio.testing.wait_all_tasks_blocked()
        assert bench.outcomes == ["not-reached", "not-reached"]
        assert len(bench.dialer.dialled) == 1


async def test_a_compressed_stream(autojump_clock):
    """It is not asked for; if it comes, what needs no events acts, and the rest is told."""
    asked: list[Message] = []
    head = HEAD.replace(b"request-id", b"Content-Encoding: gzip\r\nrequest-id")

    async def script(upstream: Peer) -> None:
        while message := await upstream.read_message():
            asked.append(message)
            await upstream.send(head + chunk(b"x" * 100) + ZERO)

    async with open_bench(upstream=script) as bench:
        bench.rules(
            {
                "name": "harm",
                "fault": {
                    "stream": [
                        {"after": {"bytes": 40}, "stall": "5s"},
                        {"at": "first-event", "drop": 1},
                    ]
                },
            }
        )
        client = await bench.tls()
        request = ASK.replace(b"Content-Length", b"Accept-Encoding: gzip, br\r\nContent-Length")
        _, chunks = await read_stream(client, request)
        assert chunks == [(pytest.approx(0), b"x" * 40), (pytest.approx(5), b"x" * 60)]
        assert asked[0].header(b"accept-encoding") == b"identity"
        assert (await bench.exchange()).fault == (
            "stall after 40 bytes, not applied: drop before event 1 (the answer is compressed)"
        )


# Delays


@pytest.mark.parametrize(
    ("before", "asked_at", "head_at", "body_at"),
    [("upstream", 7, 7, 8), ("head", 0, 7, 7), ("body", 0, 0, 8)],
)
async def test_a_delay(autojump_clock, before, asked_at, head_at, body_at):
    """Before asking, before the head, before the first byte of the body."""
    times: list[float] = []

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            times.append(trio.current_time())
            await upstream.send(HEAD)
            await trio.sleep(1)
            await upstream.send(chunk(b"data: 1\n\n") + ZERO)

    async with open_bench(upstream=script) as bench:
        bench.rules({"fault": {"delay": {"fixed": "7s", "before": before}}})
        client = await bench.tls()
        start = trio.current_time()
        await client.send(ASK)
        await client.read_until(b"\r\n\r\n")
        seen = [times[0] - start, trio.current_time() - start]
        await client.read_until(ZERO)
        seen.append(trio.current_time() - start)
        assert seen == pytest.approx([asked_at, head_at, body_at])
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.fault) == ("harmed", f"delay of 7 s before the {before}")


async def test_a_delayed_answer_of_ours(autojump_clock):
    """Its head comes late, its body later."""
    async with open_bench() as bench:
        delays = [
            {"fixed": "2s"},
            {"fixed": "3s", "before": "head"},
            {"fixed": "4s", "before": "body"},
        ]
        bench.rules({"fault": {"respond": 529, "delay": delays}})
        client = await bench.tls()
        start = trio.current_time()
        await client.send(ASK)
        assert b"529" in await client.read_until(b"\r\n\r\n")
        assert trio.current_time() - start == pytest.approx(5)
        await client.receive()
        assert trio.current_time() - start == pytest.approx(9)
        assert bench.dialer.dialled == []


@pytest.mark.parametrize(
    "fault",
    [
        {"delay": "1h"},
        {"delay": "1h", "respond": 529},
        {"delay": {"fixed": "1h", "before": "head"}, "respond": 529},
        {"delay": {"fixed": "1h", "before": "head"}},
        {"break": "hang"},
        {"break": {"how": "hang", "at": "request"}},
        {"stream": {"stall": "1h"}},
        {"stream": {"stall": "forever"}},
        {"stream": {"pace": {"bytes_per_second": 0.01}}},
        {"stream": {"stall": "forever", "upstream": "skipped"}},
    ],
)
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_client_that_leaves_meanwhile(autojump_clock, fault, cancelled):
    """It is noticed at once, and nothing is left behind; nor is if the proxy stops."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules({"fault": fault})
        client = await bench.tls()
        start = trio.current_time()
        await client.send(ASK)
        await trio.sleep(100)
        assert not [event for event in bench.events if hasattr(event, "outcome")]
        if cancelled:
            bench.cancel_sessions()
        else:
            await client.close()
        exchange = await bench.exchange()
        assert trio.current_time() - start == pytest.approx(100)
        assert exchange.outcome in ("harmed", "injected")
        assert all(pipe.closed for pipe in bench.dialer.pipes)


async def test_a_delay_that_is_longer_than_any_limit(autojump_clock):
    """It is what was asked for."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules({"fault": {"delay": "3h"}})
        client = await bench.tls()
        start = trio.current_time()
        assert (await read_stream(client))[1][0][1] == EVENTS[0]
        assert trio.current_time() - start > 3 * 3600


# Answers of ours, and none


async def test_an_answer_in_the_apis_words(autojump_clock):
    """With its headers, the marker, and a request id; the connection ends if it shall."""
    async with open_bench() as bench:
        respond = {
            "status": 429,
            "rate_limit": "input-tokens",
            "retry_after": 2,
            "request_id": "req_mine",
            "connection": "close",
        }
        bench.rules({"name": "slow-down", "fault": {"respond": respond}})
        client = await bench.tls()
        message = await client.ask(ASK)
        assert message.status == 429
        assert message.json()["request_id"] == "req_mine"
        assert message.header(b"request-id") == b"req_mine"
        assert message.header(b"retry-after") == b"2"
        assert message.header(b"anthropic-ratelimit-input-tokens-remaining") == b"0"
        assert message.header(b"x-faultinject") == b"slow-down"
        assert message.header(b"connection") == b"close"
        assert await client.rest() == b""
        assert (await bench.exchange()).outcome == "injected"


async def test_an_answer_that_is_lost(autojump_clock):
    """The upstream is asked and answers, and the client gets another answer; told as that."""
    async with open_bench(upstream=streams(gap_seconds=1)) as bench:
        bench.rules({"fault": {"respond": {"status": 529, "upstream": "answered"}}})
        client = await bench.tls()
        start = trio.current_time()
        for n in (1, 2):
            message = await client.ask(ASK)
            assert message.status == 529
            assert trio.current_time() - start == pytest.approx(n * len(EVENTS))
        await trio.testing.wait_all_tasks_blocked()
        assert bench.outcomes == ["injected", "injected"]
        told = [event.fault for event in bench.events if hasattr(event, "fault")]
        assert told[0] == "the upstream's answer, a 200, was lost"
        assert len(bench.dialer.dialled) == 1


async def test_a_made_stream(autojump_clock):
    """Nobody is asked; it is the API's smallest, with its headers, and it is harmed."""
    async with open_bench() as bench:
        bench.rules(
            stream(
                after={"event": "content_block_delta", "where": {"delta.type": "text_delta"}},
                error=True,
                upstream="skipped",
            )
        )
        client = await bench.tls()
        for _ in range(2):
            head, chunks = await read_stream(client)
            assert b"\r\nx-faultinject: harm\r\n" in head.lower()
            assert b"\r\nrequest-id: req_" in head
            names = [data.partition(b"\n")[0] for _, data in chunks]
            assert names == [
                b"event: message_start", b"event: content_block_start", b"event: ping",
                b"event: content_block_delta", b"event: error",
            ]  # fmt: skip
        await trio.testing.wait_all_tasks_blocked()
        assert bench.outcomes == ["injected", "injected"]
        assert bench.dialer.dialled == []


async def test_a_made_answer_to_a_request_that_a_rule_has_read(autojump_clock):
    """The answer is to what was read."""
    async with open_bench() as bench:
        rule = stream(cut=True, upstream="skipped") | {"match": {"model": "claude-*"}}
        bench.rules(rule)
        message = await (await bench.tls()).ask(post("/v1/messages", b'{"model": "claude-x"}'))
        assert message.json()["model"] == "claude-x"


@pytest.mark.parametrize("read", [True, False])
async def test_a_made_answer_to_a_compressed_request(autojump_clock, read):
    """The answer is to what the body says, whether a rule has read it or not."""
    body = gzip.compress(b'{"model": "claude-x"}')
    async with open_bench() as bench:
        match = {"match": {"model": "claude-*"}} if read else {}
        bench.rules(stream(cut=True, upstream="skipped") | match)
        request = post("/v1/messages", body, b"Content-Encoding: gzip")
        assert (await (await bench.tls()).ask(request)).json()["model"] == "claude-x"


async def test_a_made_answer_that_is_no_stream(autojump_clock):
    """A request that wants no stream gets none, and that is told."""
    async with open_bench() as bench:
        bench.rules(stream(cut=True, upstream="skipped"))
        message = await (await bench.tls()).ask(post("/v1/messages", b'{"model": "claude-x"}'))
        assert message.json()["model"] == "claude-x"
        exchange = await bench.exchange()
        assert exchange.outcome == "not-reached"
        assert exchange.fault == "not reached: cut after 0 bytes (the answer is no stream)"


@pytest.mark.parametrize("at", ["head", "request"])
@pytest.mark.parametrize("how", ["close", "reset", "garbage", {"how": "hang", "for": "9s"}])
async def test_a_connection_that_breaks_instead_of_an_answer(autojump_clock, at, how):
    """Behind the request's head, or instead of the answer's; nobody is asked."""
    fault = how if isinstance(how, dict) else {"how": how}
    async with open_bench() as bench:
        bench.rules({"fault": {"break": fault | {"at": at}}})
        client = bench.connect()
        raw = client.stream
        request = ASK.replace(b"POST ", b"POST http://api.example.com")
        start = trio.current_time()
        await client.send(request if at == "head" else request[:-5])
        if how == "reset":
            with pytest.raises(trio.BrokenResourceError):
                await client.receive()
        else:
            data = await client.rest()
            assert data == b"" if how != "garbage" else data.startswith(b"\0")
            assert not raw.was_reset
        assert trio.current_time() - start == pytest.approx(9 if isinstance(how, dict) else 0)
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("injected", None)
        assert bench.dialer.dialled == []


async def test_a_break_within_an_answer_of_any_kind(autojump_clock):
    """After so many bytes, whatever they are; its length is what it was."""
    answer = ok(b"0123456789")

    async def script(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(answer)

    async with open_bench(upstream=script) as bench:
        bench.rules({"fault": {"break": {"how": "close", "after": {"bytes": 4}}}})
        client = await bench.tunnel(f"{TARGET}:80")
        with pytest.raises(Cut):
            await client.ask(ASK)
        assert bytes(client.stream.other.sent).endswith(answer[:-6])
        assert (await bench.exchange()).fault == "close after 4 bytes"


# Before there is a request


async def test_a_connect_that_is_answered(autojump_clock):
    """By a proxy, as it were; the connection serves another CONNECT then."""
    async with open_bench(upstream=streams()) as bench:
        bench.rules(
            {
                "name": "p",
                "when": {"first": 1},
                "fault": {"respond": {"status": 407, "at": "connect"}},
            }
        )
        client = bench.connect()
        connect = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"
        message = await client.ask(connect)
        assert (message.status, message.body) == (407, b"407 Proxy Authentication Required\n")
        assert message.header(b"proxy-authenticate") == b'Basic realm="faultinject"'
        exchange = await bench.exchange()
        assert (exchange.method, exchange.outcome, exchange.status) == ("CONNECT", "injected", 407)
        assert (await client.ask(connect)).status == 200


async def test_a_connect_that_is_the_last_word(autojump_clock):
    """It is answered; the connection ends, as the client wants it."""
    async with open_bench() as bench:
        bench.rules({"fault": {"respond": {"status": 407, "at": "connect"}}})
        client = bench.connect()
        connect = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await client.ask(connect)).status == 407
        assert await client.rest() == b""
        assert (await bench.ended()).exchanges == 1


@pytest.mark.parametrize("how", ["close", "reset", "garbage", {"how": "hang", "for": "9s"}])
async def test_a_connect_that_breaks(autojump_clock, how):
    """Nobody is dialled."""
    fault = how if isinstance(how, dict) else {"how": how}
    async with open_bench() as bench:
        bench.rules({"fault": {"break": fault | {"at": "connect"}}})
        client = bench.connect()
        raw = client.stream
        await client.send(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        if how == "reset":
            with pytest.raises(trio.BrokenResourceError):
                await client.receive()
        else:
            data = await client.rest()
            assert data == b"" if how != "garbage" else data.startswith(b"\0")
        assert raw.was_reset is (how == "reset")
        assert (await bench.exchange()).outcome == "injected"
        assert bench.dialer.dialled == []


@pytest.mark.parametrize(
    "how", ["close", "reset", "garbage", "tls-alert", {"how": "hang", "for": "9s"}, "hang"]
)
async def test_a_handshake_that_breaks(autojump_clock, how):
    """The ClientHello was read; what follows is no TLS."""
    fault = how if isinstance(how, dict) else {"how": how}
    async with open_bench() as bench:
        bench.rules({"fault": {"break": fault | {"at": "handshake"}}})
        client = await bench.tunnel()
        raw = client.stream
        start = trio.current_time()
        with trio.move_on_after(3600 - 1), pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            await client.start_tls(trusting_context(), TARGET)
        assert raw.was_reset is (how == "reset")
        if isinstance(how, dict):
            assert trio.current_time() - start == pytest.approx(9)
        if how == "tls-alert":
            assert raw.other.sent.endswith(bytes((21, 3, 3, 0, 2, 2, 40)))
        await client.cut()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.method) == ("injected", "CONNECT")
        assert exchange.fault == f"{fault['how']} at the handshake"
        assert bench.dialer.dialled == []


async def test_a_client_that_leaves_before_a_late_alert(autojump_clock):
    """There is nobody to alert; it is told all the same."""
    async with open_bench() as bench:
        bench.rules({"fault": {"break": {"how": "tls-alert", "at": "handshake"}, "delay": "5s"}})
        client = await bench.tunnel()
        await client.send(client_hello(trusting_context(), TARGET))
        await trio.sleep(1)
        await client.close()
        await bench.ended()
        assert trio.current_time() == pytest.approx(1)
        told = "delay of 5 s before the upstream, tls-alert at the handshake"
        assert (await bench.exchange()).fault == told


async def test_a_client_that_does_not_wait_for_its_handshake(autojump_clock):
    """What it says meanwhile shortens nothing."""
    async with open_bench() as bench:
        bench.rules({"fault": {"break": {"how": "hang", "for": "9s", "at": "handshake"}}})
        client = await bench.tunnel()
        await client.send(client_hello(trusting_context(), TARGET))
        await trio.sleep(1)
        await client.send(b"hello?")
        assert await client.end() == b""
        assert trio.current_time() == pytest.approx(9)


# Bodies that rules read


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_rule_that_reads_the_body(autojump_clock, size):
    """It matches by it; a request that does not match is passed on whole, as it was sent."""
    got: list[Message] = []

    async def script(upstream: Peer) -> None:
        while message := await upstream.read_message():
            got.append(message)
            await upstream.send(ok(b"real"))

    async with open_bench(upstream=script) as bench:
        bench.rules({"match": {"model": "bad"}, "fault": {"respond": 529}})
        client = await bench.tls()
        for model, status in (("good", 200), ("bad", 529), ("good", 200)):
            body = json.dumps({"model": model, "x": "y" * size}).encode()
            assert (await client.ask(post("/v1/messages", body))).status == status
        assert [json.loads(message.body)["model"] for message in got] == ["good", "good"]


async def test_a_body_that_waits_to_be_asked_for(autojump_clock):
    """The client is told to go on by us, and so the upstream is not asked for that."""
    got: list[Message] = []

    async def script(upstream: Peer) -> None:
        while message := await upstream.read_message():
            got.append(message)
            await upstream.send(ok(b"real"))

    async with open_bench(upstream=script) as bench:
        bench.rules({"match": {"model": "bad"}, "fault": {"respond": 529}})
        client = await bench.tls()
        request = post("/v1/messages", b"{}", b"Expect: 100-continue")
        assert (await client.ask(request[:-2])).status == 100
        await client.send(b"{}")
        assert (await client.answer()).body == b"real"
        assert (got[0].header(b"expect"), got[0].body) == (None, b"{}")


async def test_a_body_that_is_too_long_to_read(autojump_clock):
    """No rule that reads it matches; it is passed on all the same, and that is told."""

    async def script(upstream: Peer) -> None:
        message = await upstream.read_message()
        assert message is not None
        await upstream.send(ok(b"%d" % len(message.body)))

    async with open_bench(upstream=script, limits=Limits(drained_body_bytes=100_000)) as bench:
        bench.rules({"match": {"stream": True}, "fault": {"respond": 529}})
        client = await bench.tls()
        body = json.dumps({"stream": True, "x": "y" * 500_000}).encode()
        assert (await client.ask(post("/v1/messages", body))).body == b"%d" % len(body)
        assert "more than 100000 bytes" in bench.of(Warned)[0].message


@pytest.mark.parametrize(
    ("body", "outcome", "status"),
    [(b"2\r\n{}\r\n", "client-gone", None), (b"2\r\n{}\r\nno\r\n", "refused", 400)],
)
async def test_a_body_that_does_not_come(autojump_clock, body, outcome, status):
    """A rule would have read it: there is nothing to decide."""
    async with open_bench() as bench:
        bench.rules({"match": {"stream": True}, "fault": {"respond": 529}})
        client = await bench.tls()
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + body)
        await trio.testing.wait_all_tasks_blocked()
        await client.close()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == (outcome, status)
        assert bench.dialer.dialled == []


async def test_rules_that_do_not_fire_before_a_request(autojump_clock):
    """The tunnel comes up, and the request is answered."""
    async with open_bench() as bench:
        never = {"when": {"after": 100}}
        bench.rules(
            {**never, "fault": {"break": {"how": "reset", "at": "connect"}}},
            {**never, "fault": {"break": {"how": "reset", "at": "handshake"}}},
            {**never, "fault": {"break": {"how": "reset", "at": "request"}}},
        )
        assert (await (await bench.tls()).ask(ASK)).status == 200


@pytest.mark.parametrize("delay", [None, "50s"])
@pytest.mark.parametrize("leaves", ["close", "reset"])
async def test_a_client_that_leaves_within_its_handshake(autojump_clock, delay, leaves):
    """It is not waited for."""
    async with open_bench() as bench:
        broken = {"break": {"how": "hang", "at": "handshake"}}
        bench.rules({"fault": broken | ({"delay": delay} if delay else {})})
        client = await bench.tunnel()
        raw = client.stream
        with trio.move_on_after(20):
            await client.start_tls(trusting_context(), TARGET)
        await raw.aclose() if leaves == "close" else raw.reset()
        assert (await bench.exchange()).rule is not None
        await bench.ended()
        assert trio.current_time() < 30


async def test_an_upstream_that_fails_before_any_point(autojump_clock):
    """The gateway's error is ours, and nothing is done to it; the faults are not reached."""
    for fault in (
        {"stream": {"after": {"bytes": 4}, "cut": True}},
        {"break": {"how": "close", "after": {"bytes": 4}}},
    ):
        async with open_bench() as bench:
            bench.dialer.failure = UpstreamError("dns", "no such name")
            bench.rules({"fault": fault})
            message = await (await bench.tls()).ask(ASK)
            assert (message.status, message.json()["error"]["kind"]) == (502, "dns")
            exchange = await bench.exchange()
            assert exchange.outcome == "upstream-error"
            assert exchange.fault is not None
            assert exchange.fault.startswith("not reached: c")


async def test_a_lost_answer_that_is_waited_for(autojump_clock):
    """The 100 that the client waits for is passed on, and nothing else."""

    async def script(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await upstream.read_exactly(2)
        await upstream.send(ok(b"real"))

    async with open_bench(upstream=script) as bench:
        bench.rules({"fault": {"respond": {"status": 529, "upstream": "answered"}}})
        client = await bench.tls()
        request = post("/v1/messages", b"{}", b"Expect: 100-continue")
        assert (await client.ask(request[:-2])).status == 100
        await client.send(b"{}")
        assert (await client.answer()).status == 529


async def test_an_upgrade_behind_a_fault(autojump_clock):
    """It is no stream of events: it goes on. One that is lost is not."""

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await upstream.send(await upstream.receive())

    ask = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with open_bench(upstream=script) as bench:
        bench.rules(stream(cut=True))
        client = await bench.tls()
        assert (await client.ask(ask)).status == 101
        await client.send(b"ping")
        assert await client.receive() == b"ping"
        await client.close()
        assert (await bench.exchange()).outcome == "upgraded"
    async with open_bench(upstream=script) as bench:
        bench.rules({"fault": {"respond": {"status": 529, "upstream": "answered"}}})
        assert (await (await bench.tls()).ask(ask)).status == 529


async def test_an_interim_answer_before_a_harmed_one(autojump_clock):
    """It passes at its time."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(early + HEAD + chunk(EVENTS[0]) + ZERO)

    async with open_bench(upstream=script) as bench:
        bench.rules({"fault": {"delay": {"fixed": "5s", "before": "head"}}})
        client = await bench.tls()
        start = trio.current_time()
        assert (await client.ask(ASK)).status == 103
        assert trio.current_time() == start
        assert (await client.answer()).body == EVENTS[0]


@pytest.mark.parametrize(("after", "seconds"), [("50ms", 0.05), ("9s", 0)])
async def test_a_time_within_a_made_stream(autojump_clock, after, seconds):
    """Its events are 20 ms apart; it may be over before."""
    async with open_bench() as bench:
        bench.rules(stream(after={"time": after}, cut=True, upstream="skipped"))
        client = await bench.tls()
        start = trio.current_time()
        await client.send(ASK)
        if seconds:
            with pytest.raises(trio.BrokenResourceError):
                await client.rest()
            assert trio.current_time() - start == pytest.approx(seconds)
            assert (await bench.exchange()).outcome == "injected"
        else:
            assert b"message_stop" in (await client.answer()).body
            assert (await bench.exchange()).outcome == "not-reached"


async def test_a_time_within_a_made_stream_that_goes_on(autojump_clock):
    """The event that is next by then is missing, and no other."""
    async with open_bench() as bench:
        bench.rules(stream(after={"time": "90ms"}, drop=1, upstream="skipped"))
        client = await bench.tls()
        _, harmed = await read_stream(client)
        bench.rules(stream(after={"count": 100}, cut=True, upstream="skipped"))
        _, whole = await read_stream(client)
        place = sum(1 for when, _ in harmed if when < 0.09)
        names = [data.partition(b"\n")[0] for _, data in whole]
        del names[place]
        assert [data.partition(b"\n")[0] for _, data in harmed] == names


async def test_a_made_answer_to_head(autojump_clock):
    """It has no body, and the next request is answered."""
    async with open_bench() as bench:
        bench.rules(stream(after={"count": 2}, error=True, upstream="skipped"))
        client = await bench.tls()
        await client.send(ASK.replace(b"POST", b"HEAD"))
        assert b"chunked" in await client.read_until(b"\r\n\r\n")
        assert (await client.ask(ASK)).status == 200


async def test_a_made_stream_for_a_body_that_is_too_long(autojump_clock):
    """It is the connection's last answer; what was asked for cannot be told."""
    async with open_bench(limits=Limits(drained_body_bytes=100_000)) as bench:
        bench.rules(stream(cut=True, upstream="skipped"))
        client = await bench.tls()
        await client.send(post("/v1/messages", b"x" * 500_000))
        answer = await client.answer()
        assert (answer.status, answer.header(b"connection")) == (200, b"close")
        assert await client.end() == b""


async def test_a_hang_ends_with_a_client_that_only_half_closes(autojump_clock):
    """Its end says that it has asked its last; there is nothing to wait for."""
    async with open_bench() as bench:
        bench.rules({"fault": {"break": "hang"}})
        client = bench.connect()
        request = post("/", b"{}", b"Connection: close").replace(b"/ ", b"http://api.example.com/ ")
        await client.send(request)
        await trio.sleep(10)
        await client.half_close()
        assert await client.rest() == b""
        assert trio.current_time() == pytest.approx(10)
        assert (await bench.exchange()).fault == "hang instead of an answer"


async def test_a_hang_is_bounded(autojump_clock):
    """By how long anything may be without a byte."""
    async with open_bench(limits=Limits(idle_seconds=1000)) as bench:
        bench.rules({"fault": {"break": "hang"}})
        client = await bench.tls()
        start = trio.current_time()
        await client.send(ASK)
        await client.end()
        assert trio.current_time() - start == pytest.approx(1000, rel=0.02)
        assert (await bench.exchange()).outcome == "injected"
