"""Requests of one connection, one after another: how they begin, and what ends the connection."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing

from faultinject.authority import Authority
from faultinject.events import ExchangeEnded, Warned
from faultinject.settings import Limits
from tests.support.bench import TARGET, answers, get, ok, open_bench, post
from tests.support.peer import Peer

UPGRADE = b"Upgrade: websocket"


async def slowly(upstream: Peer) -> None:
    """Answer each request after ten seconds."""
    while request := await upstream.read_message():
        await trio.sleep(10)
        await upstream.send(ok(request.line))


# Requests in turn


async def test_pipelined_requests_are_answered_in_turn(autojump_clock):
    """Three in one write, injected and forwarded ones, a body among them."""
    async with open_bench() as bench:
        client = bench.connect()
        bench.inject(0.5, seed=3)  # the third of these draws fires
        await client.send(get("/1") + post("/2", b"body") + get("/3") + get("/4"))
        answered = [await client.answer() for _ in range(4)]
        await trio.testing.wait_all_tasks_blocked()
        assert [answer.status for answer in answered] == [
            {"injected": 429, "forwarded": 200}[outcome] for outcome in bench.outcomes
        ]
        assert {answer.status for answer in answered} == {200, 429}
        assert [exchange.path for exchange in bench.of(ExchangeEnded)] == ["/1", "/2", "/3", "/4"]


async def test_requests_that_come_while_another_is_answered_wait(autojump_clock):
    """They are kept, whole or in part, and reach the upstream in turn."""
    async with open_bench(upstream=slowly) as bench:
        client = bench.connect()
        await client.send(get("/1"))
        await trio.sleep(1)
        await client.send(get("/2") + get("/3")[:10])
        assert (await client.answer()).body == b"GET /1 HTTP/1.1"
        assert (await client.answer()).body == b"GET /2 HTTP/1.1"
        await client.send(get("/3")[10:])
        assert (await client.answer()).body == b"GET /3 HTTP/1.1"
        assert len(bench.dialer.dialled) == 1


async def test_more_than_the_limit_of_early_bytes_is_not_read(autojump_clock):
    """A client that sends a great deal before its turn waits, and loses nothing."""
    async with open_bench(upstream=slowly, limits=Limits(early_bytes=1000)) as bench:
        client = bench.connect()
        await client.send(get("/1"))
        await trio.sleep(1)
        for _ in range(30):
            await client.send(get("/more"))
            await trio.testing.wait_all_tasks_blocked()
        assert client.stream.other.received_bytes < 1200
        assert (await client.answer()).body == b"GET /1 HTTP/1.1"
        for _ in range(30):
            assert (await client.answer()).body == b"GET /more HTTP/1.1"


@pytest.mark.parametrize("probability", [0, 1])
async def test_connection_close_is_the_last_request(autojump_clock, probability):
    """What comes behind it is not looked at, and the end is a clean one, in TLS as well."""
    async with open_bench(probability=probability) as bench:
        client = await bench.tls()
        await client.send(get("/1", TARGET, b"Connection: close") + get("/2"))
        await client.answer()
        assert await client.rest() == b""
        assert len(bench.outcomes) == 1


@pytest.mark.parametrize("probability", [0, 1])
async def test_http_1_0_gets_one_answer(autojump_clock, probability):
    """Keep-alive was no part of it."""
    async with open_bench(probability=probability) as bench:
        client = bench.connect()
        await client.send(b"GET /old HTTP/1.0\r\n\r\n")
        assert (await client.answer()).status in (200, 429)
        assert await client.rest() == b""


# What is no request


@pytest.mark.parametrize(
    "garbage",
    [b"\x01\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"\x00" * 100,
     b"GET /\r\n\r\n",
     b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nBad header\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n"],
)  # fmt: skip
async def test_what_is_no_http_is_refused(autojump_clock, garbage):
    """An answer of our own, told as refused, and the end of the connection."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        await client.send(garbage)
        answer = await client.answer()
        assert answer.status in (400, 501, 505)
        assert answer.header(b"x-faultinject-error") == b"request"
        assert await client.rest() == b""
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("refused", answer.status)
        assert exchange.error


async def test_a_refused_client_may_go_on_sending(autojump_clock):
    """What it still sends is read away for a while, so that no reset destroys the answer."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(b"garbage\r\n\r\n")
        await client.send(b"x" * 100_000)
        assert (await client.answer()).status == 400
        await client.send(b"x" * 100_000)
        assert await client.rest() == b""
        await client.send(b"x" * 100_000)


async def test_what_names_no_host_is_no_request_to_a_target(autojump_clock):
    """Even if every host is one."""
    async with open_bench(targets=("*",)) as bench:
        client = bench.connect()
        await client.send(b"garbage\r\n\r\n")
        assert (await client.answer()).status == 400
        assert (await bench.exchange()).target == ""


async def test_a_head_that_is_too_long(autojump_clock):
    """431, whether it comes at once or in pieces."""
    async with open_bench(limits=Limits(head_bytes=1000)) as bench:
        client = bench.connect()
        await client.send(get("/", TARGET, b"X: " + b"x" * 2000)[:-4])
        answer = await client.answer()
        assert answer.status == 431
        assert await client.rest() == b""
        assert (await bench.exchange()).outcome == "refused"


async def test_a_head_without_an_end(autojump_clock):
    """431 too, once it is too long."""
    async with open_bench(limits=Limits(head_bytes=1000)) as bench:
        client = bench.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(100):
            await client.send(b"X-More: and more\r\n")
        assert (await client.answer()).status == 431


# Slow and silent clients


async def test_a_head_that_takes_too_long(autojump_clock):
    """408 when the limit is over."""
    async with open_bench(limits=Limits(head_seconds=30)) as bench:
        client = bench.connect()
        await client.send(get("/")[:20])
        started = trio.current_time()
        answer = await client.answer()
        assert answer.status == 408
        assert trio.current_time() - started == pytest.approx(30)
        assert await client.rest() == b""


async def test_a_slow_loris(autojump_clock):
    """A byte now and then does not make the limit longer."""
    async with open_bench(limits=Limits(head_seconds=30)) as bench:
        client = bench.connect()
        started = trio.current_time()

        async def drip() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
                while True:
                    await client.send(b"x")
                    await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert (await client.answer()).status == 408
            assert trio.current_time() - started == pytest.approx(30)
        assert trio.current_time() - started < 40


async def test_the_limit_of_a_head_begins_with_its_first_byte(autojump_clock):
    """A connection may be idle for long before."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        await client.ask(get("/1"))
        await trio.sleep(600)
        await client.send(get("/2")[:5])
        await trio.sleep(29)
        await client.send(get("/2")[5:])
        assert (await client.answer()).status == 429


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("used", [True, False])
async def test_an_idle_client_is_told_the_end(autojump_clock, stops, used):
    """By TLS's own word, when the proxy stops and when it was idle for too long."""
    async with open_bench(probability=1, limits=Limits(idle_seconds=50)) as bench:
        client = await bench.tls()
        if used:
            await client.ask(get("/"))
        await trio.testing.wait_all_tasks_blocked()
        if stops:
            bench.sessions[0].drain()
        assert await client.rest() == b""
        assert trio.current_time() < 1 if stops else trio.current_time() >= 49


@pytest.mark.parametrize(
    "asked",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\n\r\n",
     get("/", TARGET, b"Connection: close") + get("/2"),
     b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"],
    ids=["400", "501", "pipelined", "405"],
)  # fmt: skip
async def test_our_end_is_there_with_our_last_word(autojump_clock, asked):
    """Though the client says nothing more, and does not end its side; what it sends is read."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        await client.send(asked)
        assert (await client.rest()).startswith(b"HTTP/1.1 ")
        assert trio.current_time() < 0.1
        await client.close()
        await bench.ended()
        assert trio.current_time() < 0.1


@pytest.mark.parametrize("pieces", [[b"\r\n"], [b"\r", b"\n"]])
async def test_an_empty_line_behind_a_body_begins_no_head(autojump_clock, pieces):
    """The client is as idle as before it, however long, and its next request is answered."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        await client.ask(post("/1", b"body"))
        for piece in pieces:
            await client.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        assert [session.idle for session in bench.sessions] == [True]
        await trio.sleep(600)
        await client.send(get("/2"))
        assert (await client.answer()).status == 429
        assert bench.outcomes == ["injected", "injected"]


async def test_an_idle_connection_ends_at_its_limit(autojump_clock):
    """Without an answer: nothing was asked."""
    async with open_bench(limits=Limits(idle_seconds=100)) as bench:
        client = bench.connect()
        started = trio.current_time()
        assert await client.rest() == b""
        assert trio.current_time() - started == pytest.approx(100, rel=0.02)
        end = await bench.ended()
        assert (end.exchanges, "waiting for a request" in end.reason) == (0, True)


@pytest.mark.parametrize("said", [b"", b"GET / HT"])
async def test_a_client_that_leaves_before_a_request(autojump_clock, said):
    """There is nothing to tell."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.send(said)
        await client.close()
        assert (await bench.ended()).reason == "the client's connection was over"
        assert bench.outcomes == []


async def test_a_client_that_resets_an_idle_connection(autojump_clock):
    """Nor is there then."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        await client.ask(get("/"))
        client.stream.reset()
        await bench.ended()
        assert bench.outcomes == ["injected"]


# The origin's idle connection


async def test_the_origin_ends_an_idle_connection(autojump_clock):
    """The client sees its connection end too, as if there were no proxy."""

    async def closes_after_a_minute(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"hi"))
        await trio.sleep(60)

    async with open_bench(upstream=closes_after_a_minute) as bench:
        client = await bench.tls()
        started = trio.current_time()
        assert (await client.ask(get("/"))).body == b"hi"
        assert await client.rest() == b""
        assert trio.current_time() - started == pytest.approx(60)


async def test_the_origin_resets_an_idle_connection(autojump_clock):
    """As does a reset, which is no error."""

    async def resets_after_a_minute(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"hi"))
        await trio.sleep(60)
        upstream.stream.reset()

    async with open_bench(upstream=resets_after_a_minute) as bench:
        client = bench.connect()
        assert (await client.ask(get("/"))).body == b"hi"
        assert await client.rest() == b""
        assert bench.outcomes == ["forwarded"]


async def test_a_client_that_asks_another_origin(autojump_clock):
    """The connection to the one before waits for it."""
    async with open_bench() as bench:
        client = bench.connect()
        for host in ("one.example", "two.example", "one.example", "two.example"):
            absolute = b"GET http://%b/ HTTP/1.1\r\nHost: x\r\n\r\n" % host.encode()
            assert (await client.ask(absolute)).status == 200
        dialled = [origin.authority for origin in bench.dialer.dialled]
        assert dialled == [Authority("one.example", 80), Authority("two.example", 80)]


# What is told


async def test_an_exchange_is_told_without_what_is_secret(autojump_clock):
    """Sizes and the path; never the query, which may hold a key, nor a URL's user."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.ask(post("/v1/messages?key=secret", b"x" * 1000))
        exchange = await bench.exchange()
        assert (exchange.method, exchange.host, exchange.port) == ("POST", TARGET, 443)
        assert (exchange.path, exchange.target, exchange.rule) == ("/v1/messages", TARGET, None)
        assert exchange.request_bytes == 1000
        assert exchange.response_bytes == len(b"POST /v1/messages?key=secret HTTP/1.1 1000")
        assert "secret" not in str(exchange)


@pytest.mark.parametrize(
    "mark", ["?", "#", ";", "&", "%3F", "%3f", "%23", "%3B", "%3b", "%26", ";a/b?c=", "%23&?"]
)
async def test_a_key_behind_a_path_is_not_told(autojump_clock, mark):
    """However a client came to put it there; the origin gets it as it was sent."""
    path = f"/v1/messages/x{mark}key=secret"
    async with open_bench(targets=("api.anthropic.com",)) as bench:
        for sent in (path, f"/v1{path}", f"http://api.anthropic.com{path}"):
            answer = await bench.connect().ask(get(sent))
            assert answer.body == f"GET {path} HTTP/1.1 0".encode()
        assert [each.path for each in bench.of(ExchangeEnded)] == ["/v1/messages/x"] * 3
        assert bench.of(ExchangeEnded)[1].path_mended_from == "/v1/v1/messages/x"
        [warned] = bench.of(Warned)
        assert "/v1/v1/messages/x, which it has not" in warned.message
        assert "secret" not in str(bench.events)


@pytest.mark.parametrize("target", [b"ftp://me:secret@x/", b"//me:secret@x/"])
async def test_a_path_that_is_none_is_not_told(autojump_clock, target):
    """A URL may hold a password, whether it is refused or passes as a path."""
    async with open_bench() as bench:
        client = bench.connect()
        await client.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        exchange = await bench.exchange()
        assert exchange.path == ""
        assert "secret" not in str(exchange)


@pytest.mark.parametrize("path", ["//v1/messages", "/@scope/package"])
async def test_a_path_with_signs_of_a_url_is_told(autojump_clock, path):
    """A base URL that ends in a slash makes two; a name may begin with an at sign."""
    async with open_bench() as bench:
        await bench.connect().ask(get(path))
        assert (await bench.exchange()).path == path


async def test_a_rule_is_named_where_it_fired(autojump_clock):
    """In the event and in the answer's marker."""
    async with open_bench(probability=1) as bench:
        answer = await bench.connect().ask(get("/"))
        assert answer.header(b"x-faultinject") == b"options"
        assert (await bench.exchange()).rule == "options"


async def test_two_framings_end_the_connection(autojump_clock):
    """A request with both is answered, and nothing behind it is (RFC 9112 section 6.1)."""
    async with open_bench(upstream=answers(ok(b"hi"))) as bench:
        client = bench.connect()
        await client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + get("/hidden")
        )
        assert (await client.answer()).status == 200
        assert await client.rest() == b""
        assert bench.outcomes == ["forwarded"]


# WebSockets


async def test_a_websocket_is_refused_if_that_is_wanted(autojump_clock):
    """Before any rule is asked, so that what it counts are requests that it can answer."""
    async with open_bench(probability=1, refuse_websocket=True) as bench:
        client = bench.connect()
        answer = await client.ask(get("/v1/responses", TARGET, UPGRADE, b"Connection: Upgrade"))
        assert (answer.status, answer.header(b"upgrade")) == (426, b"HTTP/1.1")
        assert answer.header(b"x-faultinject") is None
        assert answer.header(b"x-faultinject-error") == b"request"
        assert "--refuse-websocket" in answer.json()["error"]["message"]
        assert await client.rest() == b""
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status, exchange.rule) == ("refused", 426, None)
        assert (exchange.path, exchange.target) == ("/v1/responses", "api.example.com")


@pytest.mark.parametrize(
    ("host", "header"), [("other.example.com", UPGRADE), ("api.example.com", b"Upgrade: h2c")]
)
async def test_no_other_upgrade_is_refused(autojump_clock, host, header):
    """Nor any on a host that is no target."""
    async with open_bench(refuse_websocket=True) as bench:
        ask = get(f"http://{host}/", host, header, b"Connection: Upgrade")
        assert (await bench.connect().ask(ask)).status == 200


def streamed(kind: bytes) -> bytes:
    """Return an answer of a content type."""
    return ok(b'{"a": 1}\n', b"Content-Type: " + kind)


JSON_SEQ, EVENTS = streamed(b"application/json-seq"), streamed(b"text/event-stream")
CUT = {"name": "cut", "fault": {"stream": {"after": {"count": 9}, "cut": True}}}
OF_STREAMS = {"name": "of streams", "match": {"stream": True}, "fault": {"respond": 500}}
UNKNOWN = "api.example.com answers with a stream of application/json-seq, which is not recognised"
UNASKED = "api.example.com answers with a stream to a request whose body does not ask for one"


async def test_a_stream_to_a_request_that_cannot_be_read(autojump_clock):
    """It may ask for one: that it does not is not said."""

    async def answers_all(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(EVENTS)

    async with open_bench(upstream=answers_all) as bench:
        bench.rules(OF_STREAMS)
        body = b'{"stream":true,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        assert (await (await bench.tls()).ask(post("/rows", body))).status == 200
        [told] = [event.message for event in bench.of(Warned)]
        assert "to a request whose body could not be read as JSON: rules with stream" in told


@pytest.mark.parametrize(
    ("rule", "answer", "warning"),
    [
        (CUT, JSON_SEQ, UNKNOWN),
        (OF_STREAMS, JSON_SEQ, UNKNOWN),
        (OF_STREAMS, EVENTS, UNASKED),
        (CUT, EVENTS, None),
        (OF_STREAMS, ok(b"{}"), None),
        ({"fault": {"respond": 500}, "match": {"path": "/other"}}, JSON_SEQ, None),
    ],
)
async def test_a_stream_that_is_not_recognised(autojump_clock, rule, answer, warning):
    """Rules for streams do nothing to it, and that is said, once."""

    async def answers_all(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(answer)

    async with open_bench(upstream=answers_all) as bench:
        bench.rules(rule)
        client = await bench.tls()
        for _ in range(2):
            assert (await client.ask(post("/rows", b"{}"))).status == 200
        told = [event.message for event in bench.of(Warned)]
        assert [each.partition(":")[0] for each in told] == ([] if warning is None else [warning])
        if rule is CUT and answer is JSON_SEQ:
            faults = {each.fault for each in bench.of(ExchangeEnded)}
            words = "the answer is a stream of application/json-seq, which is not recognised"
            assert faults == {f"not reached: cut after 9 events ({words})"}
