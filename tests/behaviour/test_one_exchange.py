"""One request and its answer: injected, forwarded, refused, or broken off."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
import trio.testing

from faultinject.errors import UpstreamError
from faultinject.events import ExchangeEnded, Warned
from faultinject.net.memory_stream import memory_stream_pair
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.http_proxy import HttpProxy
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.lease import Pacing
from faultinject.settings import ChosenPreset, Limits, WrittenRules
from tests.support.bench import TARGET, answers, get, ok, open_bench, post, stays_open
from tests.support.peer import Cut, Peer

CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: yes\r\n\r\n"
)
EXPECTING = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket")
UPGRADE = get("/ws", TARGET, *WEBSOCKET)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


# Injected


async def test_an_injected_answer_is_whole(autojump_clock):
    """A status, the API's body, its length, a date and the marker; the upstream is not dialled."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        answer = await client.ask(post("/v1/messages", b"{}"))
        assert answer.line == b"HTTP/1.1 429 Too Many Requests"
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert [name for name, _ in answer.headers] == [
            b"Date", b"Content-Type", b"Content-Length", b"X-Faultinject",
        ]  # fmt: skip
        assert bench.dialer.dialled == []
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("injected", 429)
        assert (exchange.request_bytes, exchange.response_bytes) == (2, len(answer.body))


async def test_head_gets_no_body(autojump_clock):
    """The length is that of a GET's answer, and the next answer is where it should be."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        answer = await client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (answer.status, answer.body) == (429, b"")
        assert int(answer.header(b"content-length") or 0) > 0
        assert (await client.ask(get("/"))).status == 429


@pytest.mark.parametrize("size", [1_000_000, 0])
async def test_a_body_is_read_before_the_answer(autojump_clock, size):
    """A client that looks for an answer only after its body gets it, and keeps its connection."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        for _ in range(2):
            assert (await client.ask(post("/", b"x" * size))).status == 429
        assert [event.request_bytes for event in bench.events if hasattr(event, "path")] == [
            size,
            size,
        ]


async def test_the_answer_waits_for_the_body(autojump_clock):
    """It is not sent while the client still sends."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        request = post("/", b"x" * 100)
        await client.send(request[:-1])
        await trio.testing.wait_all_tasks_blocked()
        assert client.stream.other.sent == b""
        await client.send(request[-1:])
        assert (await client.answer()).status == 429


async def test_a_chunked_body_is_read_too(autojump_clock):
    """With extensions and trailers."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        for _ in range(2):
            assert (await client.ask(CHUNKED)).status == 429


async def test_a_client_that_expects_100(autojump_clock):
    """It is told to go on, and answered then."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        assert (await client.ask(EXPECTING)).line == b"HTTP/1.1 100 Continue"
        await client.send(b"hello")
        assert (await client.answer()).status == 429
        assert (await client.ask(get("/"))).status == 429


async def test_a_client_that_expects_100_and_does_not_wait(autojump_clock):
    """Its body is there already: no 100 is owed."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        assert (await client.ask(EXPECTING + b"hello")).status == 429


async def test_a_body_beyond_the_limit(autojump_clock):
    """The answer comes before its end and says that the connection ends; it still arrives."""
    async with open_bench(probability=1, limits=Limits(drained_body_bytes=100_000)) as bench:
        client = await bench.tls()
        await client.send(post("/", b"x" * 1_000_000)[:300_000])
        answer = await client.answer()
        assert answer.status == 429
        assert answer.header(b"connection") == b"close"
        await client.send(b"x" * 100_000)
        assert await client.rest() == b""


async def test_a_body_that_stops(autojump_clock):
    """A client that does not go on is not waited for beyond the limit, and has its answer then."""
    async with open_bench(probability=1, limits=Limits(body_idle_seconds=60)) as bench:
        client = bench.connect()
        started = trio.current_time()
        await client.send(post("/", b"x" * 100)[:-1])
        answer = await client.answer()
        assert trio.current_time() - started == pytest.approx(60)
        assert (answer.status, answer.header(b"connection")) == (429, b"close")
        assert await client.rest() == b""
        assert (await bench.exchange()).outcome == "injected"


async def test_an_answer_that_is_not_read(autojump_clock):
    """A client that takes nothing is given up."""
    limits = Limits(send_seconds=30)
    async with open_bench(probability=1, limits=limits, error_body="x" * 100_000) as bench:
        ours, theirs = memory_stream_pair()  # which holds less than that
        async with ours, theirs:
            await theirs.send_all(get("/"))
            await Session(bench.runtime, 99, "client").run(HttpProxy(ours))
        assert "the client to read its answer" in (await bench.ended()).reason
        assert trio.current_time() == pytest.approx(30, rel=0.02)


@pytest.mark.parametrize("probability", [0, 1])
async def test_a_malformed_body_is_refused(autojump_clock, probability):
    """Nothing has been answered yet, so the client can be told."""
    async with open_bench(probability=probability) as bench:
        client = bench.connect()
        await client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno\r\n"
        )
        answer = await client.answer()
        assert (answer.status, answer.header(b"x-faultinject-error")) == (400, b"request")
        assert await client.rest() == b""
        assert bench.outcomes == ["refused"]


async def test_a_body_that_turns_out_malformed_beside_an_answer(autojump_clock):
    """It is too late to tell: the connection breaks off."""

    async def answers_early(upstream: Peer) -> None:
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await upstream.rest()

    async with open_bench(upstream=answers_early) as bench:
        client = await bench.tls()
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.read_until(b"half")
        await client.send(b"no\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await client.read_exactly(5)
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("refused", 200)


@pytest.mark.parametrize("end", ["malformed", "missing"])
async def test_a_body_that_ends_badly_behind_a_whole_answer(autojump_clock, end):
    """The client has its answer; the exchange is told as forwarded, and the connection ends."""

    async def answers_early(upstream: Peer) -> None:
        await upstream.send(ok(b"early"))
        await upstream.rest()

    async with open_bench(upstream=answers_early) as bench:
        client = bench.connect()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await client.ask(head)).body == b"early"
        if end == "malformed":
            await client.send(b"no\r\n")
        await client.half_close()
        assert await client.rest() == b""
        assert bench.outcomes == ["forwarded"]


@pytest.mark.parametrize("probability", [0, 1])
async def test_a_client_that_leaves_within_its_body(autojump_clock, probability):
    """Told as that; the upstream's connection is closed."""
    async with open_bench(probability=probability) as bench:
        client = bench.connect()
        await client.send(post("/", b"x" * 100)[:-1])
        await trio.testing.wait_all_tasks_blocked()
        await client.close()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("client-gone", None)
        assert all(pipe.closed for pipe in bench.dialer.pipes)


async def test_a_client_that_leaves_before_its_injected_answer(autojump_clock):
    """Nobody is there to read it."""
    async with open_bench(probability=1) as bench:
        client = bench.connect()
        client.stream.deafen()
        await client.send(get("/"))
        assert (await bench.exchange()).outcome == "client-gone"


# Upstream failures


@pytest.mark.parametrize(
    ("kind", "status"),
    [("dns", 502), ("connect", 502), ("tls", 502), ("certificate", 502), ("loop", 502),
     ("timeout", 504)],
)  # fmt: skip
async def test_an_upstream_that_cannot_be_reached(autojump_clock, kind, status):
    """Our own gateway error says what failed, and cannot be taken for an injected one."""
    async with open_bench() as bench:
        bench.dialer.failure = UpstreamError(kind, f"{kind} went wrong", status)
        client = await bench.tls()
        answer = await client.ask(post("/", b"x" * 100_000))
        assert answer.status == status
        error = {"type": "faultinject_error", "kind": kind, "message": f"{kind} went wrong"}
        assert answer.json() == {"error": error}
        assert answer.header(b"x-faultinject-error") == kind.encode()
        assert answer.header(b"x-faultinject") is None
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.error) == ("upstream-error", f"{kind} went wrong")
        bench.dialer.failure = None
        assert (await client.ask(get("/"))).status == 200


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"", b"disconnected"), (b"HTTP/1.1 200 OK\r\nConte", b"disconnected"),
     (b"SSH-2.0-x\r\n\r\n", b"protocol"), (b"HTTP/1.1 abc\r\n\r\n", b"protocol"),
     (b"HTTP/2 200\r\n\r\n", b"protocol"),
     (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"protocol"),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", b"protocol"),
     (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"protocol"),
     (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, b"protocol")],
)  # fmt: skip
async def test_an_upstream_that_does_not_answer_properly(autojump_clock, said, kind):
    """502, and the client's connection serves the next request."""
    async with open_bench(upstream=answers(said)) as bench:
        client = await bench.tls()
        answer = await client.ask(get("/"))
        assert (answer.status, answer.header(b"x-faultinject-error")) == (502, kind)
        bench.upstream = answers(ok(b"better"))
        assert (await client.ask(get("/"))).body == b"better"


async def test_an_upstream_that_resets(autojump_clock):
    """The reason is the system's."""

    async def resets(upstream: Peer) -> None:
        await upstream.read_message()
        upstream.stream.reset()

    async with open_bench(upstream=resets) as bench:
        answer = await bench.connect().ask(get("/"))
        assert answer.status == 502
        assert answer.json()["error"]["kind"] == "disconnected"
        assert "reset" in answer.json()["error"]["message"]


async def test_a_gateway_error_beside_a_body_beyond_the_limit_arrives(autojump_clock):
    """The client is still sending; the end is no reset, and in TLS a clean one."""
    async with open_bench(limits=Limits(drained_body_bytes=100_000)) as bench:
        bench.dialer.failure = UpstreamError("dns", "no such name")
        client = await bench.tls()
        await client.send(post("/", b"x" * 1_000_000)[:300_000])
        answer = await client.answer()
        assert (answer.status, answer.header(b"connection")) == (502, b"close")
        await client.send(b"x" * 100_000)
        assert await client.rest() == b""


async def test_the_end_after_a_gateway_error_is_clean(autojump_clock):
    """The answer was whole, so nothing is missing."""
    async with open_bench() as bench:
        bench.dialer.failure = UpstreamError("dns", "no such name")
        client = await bench.tls()
        assert (await client.ask(get("/", TARGET, b"Connection: close"))).status == 502
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "cut_off",
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"nonsense\r\n")],
)  # fmt: skip
async def test_an_upstream_that_dies_within_its_answer(autojump_clock, cut_off):
    """The client gets as much as there was, and then no clean end but a break."""
    async with open_bench(upstream=answers(*cut_off)) as bench:
        client = await bench.tls()
        await client.send(get("/"))
        with pytest.raises(trio.BrokenResourceError):  # TLS without close_notify
            await client.rest()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("upstream-error", 200)
        assert exchange.error


async def test_a_plain_answer_that_breaks_off_is_not_completed(autojump_clock):
    """No last chunk is made up."""
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    async with open_bench(upstream=answers(half)) as bench:
        client = bench.connect()
        with pytest.raises(Cut):
            await client.ask(get("/"))
        assert client.stream.other.sent == half


async def test_an_upstream_that_never_answers(autojump_clock):
    """After the longest silence there may be the connection ends, and it is told why."""
    async with open_bench(upstream=stays_open, limits=Limits(idle_seconds=100)) as bench:
        client = bench.connect()
        await client.send(get("/"))
        assert await client.rest() == b""
        assert trio.current_time() == pytest.approx(100, rel=0.02)
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("upstream-error", None)
        assert exchange.error == "broken off before the answer's end"
        assert "waiting for the upstream to answer" in (await bench.ended()).reason


async def test_an_upgrade_that_is_silent_for_too_long(autojump_clock):
    """It had its answer."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SWITCHED)
        await upstream.rest()

    async with open_bench(upstream=switches, limits=Limits(idle_seconds=100)) as bench:
        client = bench.connect()
        await client.ask(UPGRADE)
        await client.rest()
        assert bench.outcomes == ["upgraded"]


# Clients that leave


@pytest.mark.parametrize("seconds", [0.01, 100])
@pytest.mark.parametrize("stage", ["asked", "answering"])
async def test_a_client_that_leaves_ends_the_upstreams_work(autojump_clock, stage, seconds):
    """At once (what lasts less than a twentieth of a second is not watched), and it is told."""

    async def works_for_long(upstream: Peer) -> None:
        await upstream.read_message()
        if stage == "answering":
            await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await upstream.rest()
        ended.append(trio.current_time())

    ended: list[float] = []
    async with open_bench(upstream=works_for_long) as bench:
        client = await bench.tls()
        await client.send(get("/"))
        await trio.sleep(seconds)
        left = trio.current_time()
        await client.cut()
        await bench.ended()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.rule) == ("client-gone", None)
        assert exchange.status == (200 if stage == "answering" else None)
        assert ended == [pytest.approx(left, abs=0.05)]


async def test_a_client_that_does_not_listen_any_more(autojump_clock):
    """It is seen by the first byte that cannot be sent."""

    async def answers_later(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(10)
        await upstream.send(ok(b"too late"))
        await upstream.rest()

    async with open_bench(upstream=answers_later) as bench:
        client = bench.connect()
        started = trio.current_time()
        await client.send(get("/"))
        client.stream.deafen()
        await bench.ended()
        assert trio.current_time() - started == pytest.approx(10)
        assert bench.outcomes == ["client-gone"]


@pytest.mark.parametrize("pause", [0, 1])
async def test_a_client_that_half_closes_after_its_request(autojump_clock, pause):
    """It has said that this is its last request, and still gets its answer."""

    async def answers_later(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(pause)
        await upstream.send(ok(b"hi"))

    async with open_bench(upstream=answers_later) as bench:
        client = bench.connect()
        await client.send(get("/", TARGET, b"Connection: close"))
        await client.half_close()
        assert await client.rest() == ok(b"hi")
        assert bench.outcomes == ["forwarded"]


async def test_a_client_that_ends_without_a_word_does_not_want_its_answer(autojump_clock):
    """On a bare TCP connection too the upstream learns of it at once."""
    left = trio.Event()

    async def never_answers(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.rest()
        left.set()

    async with open_bench(upstream=never_answers) as bench:
        client = bench.connect()
        await client.send(get("/"))
        await client.half_close()
        with trio.fail_after(60):
            await left.wait()
        await bench.ended()
        assert bench.outcomes == ["client-gone"]


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
START, STOP = (b"event: message_start\ndata: {}\n\n", b"event: message_stop\ndata: {}\n\n")
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("path", "last", "rules", "outcome"),
    [
        ("/v1/messages", STOP, [], "forwarded"),
        ("/v1/chat/completions", DONE, [], "forwarded"),
        (
            "/v1/responses",
            b"event: response.completed\ndata: " + b"x" * 9000 + b"\n\n",
            [],
            "forwarded",
        ),
        ("/any", DONE, [], "forwarded"),
        ("/v1/messages", DONE, [], "client-gone"),
        ("/v1/messages", b"event: ping\ndata: {}\n\n", [], "client-gone"),
        ("/v1/messages", STOP[:-1], [], "client-gone"),
        ("/v1/messages", START[:-9], [], "client-gone"),
        (
            "/v1/messages",
            STOP,
            [{"fault": {"stream": {"after": {"count": 9}, "cut": True}}}],
            "not-reached",
        ),
        (
            "/v1/messages",
            DONE,
            [{"fault": {"stream": {"after": {"count": 9}, "cut": True}}}],
            "client-gone",
        ),
        ("/v1/messages", STOP, [{"fault": {"delay": 1}}], "harmed"),
    ],
)
async def test_a_client_that_leaves_a_stream(autojump_clock, path, last, rules, outcome):
    """At its last event it has all of it, though the body has not ended; before, it has not."""

    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(STREAM)
        for piece in (START, last):
            await upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await trio.testing.wait_all_tasks_blocked()
        await upstream.rest()

    async with open_bench(upstream=streams) as bench:
        bench.rules(*rules)
        client = await bench.tls()
        await client.send(post(path, b"{}"))
        seen = b""
        while last not in seen:
            seen += await client.receive()
        await trio.testing.wait_all_tasks_blocked()
        await client.cut()
        await bench.ended()
        [told] = bench.of(ExchangeEnded)
        assert (told.outcome, told.status) == (outcome, 200)
        assert (told.error is None) is (outcome != "client-gone")


def exchanges() -> list[Exchange]:
    """Return the exchanges that there are in this process."""
    return [each for each in gc.get_objects() if isinstance(each, Exchange)]


@pytest.mark.parametrize(
    ("sent", "deaf", "rules"),
    [
        (get("/"), False, []),
        (get("/"), True, []),
        (post("/", b"x" * 100)[:-1], False, []),
        (post("/", b"x" * 100)[:-1], False, [{"match": {"json": {"a": 1}}, "fault": {"delay": 1}}]),
        (get("/"), True, [{"fault": {"respond": {"status": 500}}}]),
        (get("/"), False, [{"fault": {"delay": 100, "respond": {"status": 500}}}]),
        (post("/", b"x" * 100)[:-1], False, [{"fault": {"delay": 100}}]),
        (get("/"), False, [{"fault": {"delay": 100}}]),
    ],
    ids=[
        "stream",
        "deaf",
        "body",
        "read for rules",
        "injected",
        "delayed",
        "read meanwhile",
        "held",
    ],
)
async def test_nothing_of_a_client_that_left_waits_for_the_garbage_collector(
    autojump_clock, sent, deaf, rules
):
    """It would be two TLS connections for each, until hundreds have left."""

    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(STREAM)
        while True:
            await upstream.send(b"3\r\n:\n\n\r\n")
            await trio.sleep(1)

    async with open_bench(upstream=streams) as bench:
        bench.rules(*rules)
        before = exchanges()  # other tests'
        gc.disable()
        try:
            client = bench.connect()
            if deaf:
                client.stream.deafen()
            await client.send(sent)
            await trio.sleep(1)
            await client.cut()
            await bench.ended()
            assert exchanges() == before
        finally:
            gc.enable()


# Upgrades


async def test_an_upgrade_becomes_a_relay(autojump_clock):
    """After the 101 bytes go both ways as they are, those that came with it included."""

    async def websocket(upstream: Peer) -> None:
        request = await upstream.read_message()
        assert request is not None
        assert request.header(b"upgrade") == b"websocket"
        await upstream.send(SWITCHED + b"\x81\x02hi")
        heard.append(await upstream.read_exactly(5))
        await upstream.send(b"\x88\x00")
        heard.append(await upstream.rest())

    heard: list[bytes] = []
    async with open_bench(upstream=websocket) as bench:
        client = bench.connect()
        await client.send(UPGRADE)
        assert (await client.answer()).status == 101
        assert await client.read_exactly(4) == b"\x81\x02hi"
        await client.send(b"\x82\x03abc")
        assert await client.read_exactly(2) == b"\x88\x00"
        await client.half_close()
        assert await client.rest() == b""
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status, exchange.error) == ("upgraded", 101, None)
        assert (exchange.request_bytes, exchange.response_bytes) == (5, 2)
        (warning,) = bench.of(Warned)
        assert "a WebSocket to api.example.com is open: rules do not reach" in warning.message
    assert heard == [b"\x82\x03abc", b""]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"preset": (ChosenPreset("overloaded"),)}, 101),
        ({"probability": 1.0}, 101),
        ({"probability": 1.0, "only": "model"}, 101),
        ({"probability": 1.0, "only": "all"}, 429),
        ({"rules": (WrittenRules("respond 503", "--rule"),)}, 503),
    ],
)
async def test_who_meets_a_request_for_a_websocket(
    autojump_clock: trio.testing.MockClock, given: dict[str, Any], status: int
) -> None:
    """Not presets and the options: their errors are for calls, and these come through it."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SWITCHED)
        await upstream.rest()

    async with open_bench(upstream=switches) as bench:
        bench.inject(**{"probability": 0.0, **given})
        client = bench.connect()
        await client.send(UPGRADE)
        assert (await client.answer()).status == status
        await client.half_close()
        await client.rest()
        exchange = await bench.exchange()
        assert (exchange.kind, exchange.observed) == ("websocket", None)


async def test_an_upgrade_at_a_host_that_is_no_target_needs_no_warning(autojump_clock):
    """No rule was for it."""

    async def websocket(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SWITCHED)
        await upstream.rest()

    async with open_bench(upstream=websocket) as bench:
        client = bench.connect()
        await client.send(UPGRADE.replace(b" /", b" http://other.example/", 1))
        assert (await client.answer()).status == 101
        await client.half_close()
        assert await client.rest() == b""
        assert (await bench.exchange()).outcome == "upgraded"
        assert bench.of(Warned) == []


async def test_an_upgrade_elsewhere_is_nothing_to_warn_of(autojump_clock):
    """Rules are for targets only, and one warning a host is enough."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SWITCHED)
        await upstream.rest()

    async with open_bench(upstream=switches) as bench:
        for host in (b"api.example.com", b"other.example.com", b"api.example.com"):
            client = bench.connect()
            await client.send(UPGRADE.replace(b"api.example.com", host))
            assert (await client.answer()).status == 101
            await client.half_close()
            assert await client.rest() == b""
        assert len(bench.of(Warned)) == 1


@pytest.mark.parametrize("pause", [0, 1])
async def test_an_upgrade_in_tls_with_a_client_in_a_hurry(autojump_clock, pause):
    """What the client sent before the 101 reaches the upstream."""

    async def echoes_raw(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(pause)
        await upstream.send(SWITCHED)
        while data := await upstream.receive():
            await upstream.send(data)

    async with open_bench(upstream=echoes_raw) as bench:
        client = await bench.tls()
        await client.send(UPGRADE, b"early")
        assert (await client.answer()).status == 101
        assert await client.read_exactly(5) == b"early"
        await client.close()
        await bench.ended()
        assert bench.outcomes == ["upgraded"]


@pytest.mark.parametrize("rules", [[], [{"fault": {"delay": "1s"}}]], ids=["plain", "planned"])
@pytest.mark.parametrize("field", [b"Upgrade: h2c\r\n", b"Upgrade: websocket, h2c\r\n", b""])
async def test_an_upgrade_to_what_was_not_asked_for(autojump_clock, field, rules):
    """Is the upstream's fault, and no relay: whoever believes it speaks another protocol."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 101 Switched\r\nConnection: Upgrade\r\n%b\r\nmore" % field)
        await upstream.rest()

    async with open_bench(upstream=switches) as bench:
        bench.rules(*rules)
        client = bench.connect()
        answer = await client.ask(UPGRADE)
        assert (answer.status, answer.header(b"x-faultinject-error")) == (502, b"protocol")
        to = "no protocol" if not field else "h2c"
        error = f"the answer is not HTTP/1.1: it switches to {to}, which nobody asked for"
        assert answer.json()["error"]["message"].endswith(error)
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status, exchange.error) == ("upstream-error", 502, error)
        assert not bench.of(Warned)


async def test_an_upgrade_that_is_declined(autojump_clock):
    """It is an answer like any other."""
    async with open_bench() as bench:
        client = bench.connect()
        assert (await client.ask(UPGRADE)).status == 200
        assert (await client.ask(get("/"))).status == 200


async def test_an_upgrade_that_is_injected(autojump_clock):
    """So is that."""
    async with open_bench() as bench:
        bench.inject(1.0, only="all")
        client = bench.connect()
        assert (await client.ask(UPGRADE)).status == 429
        assert (await client.ask(get("/"))).status == 429


async def test_an_upgrade_that_breaks(autojump_clock):
    """The end is told with its reason."""

    async def resets_then(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(SWITCHED)
        await upstream.receive()
        upstream.stream.reset()

    async with open_bench(upstream=resets_then) as bench:
        client = bench.connect()
        await client.ask(UPGRADE)
        await client.send(b"x")
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.error) == ("upgraded", "Connection reset by peer")


async def test_an_upgrade_whose_upstream_is_gone_at_once(autojump_clock):
    """Early bytes of the client cannot be passed on."""

    async def switches_and_leaves(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(1)
        upstream.stream.deafen()
        await upstream.send(SWITCHED)
        await trio.sleep(1)

    async with open_bench(upstream=switches_and_leaves) as bench:
        client = bench.connect()
        await client.send(UPGRADE, b"early")
        await client.answer()
        await client.rest()
        exchange = await bench.exchange()
        assert exchange.outcome == "upgraded"
        assert exchange.error


# The way of our own answers


@pytest.mark.parametrize("fails", ["before", "within"])
async def test_an_answer_that_has_no_way_is_an_upstream_error(autojump_clock, fails):
    """Where the answer needs the upstream's help, its failure is told as such."""

    class NoWay(Pacing):
        async def before_local_reply(self, writes: int = 1, unread: bytes = b"") -> None:
            if fails == "before":
                raise UpstreamError("disconnected", "no way")

        def before_pause(self, writes: int, guessed: int) -> None:
            raise UpstreamError("disconnected", "no way")

    async with open_bench() as bench:
        bench.rules({"fault": {"respond": 500, "delay": 1}})
        ours, theirs = memory_stream_pair()
        lease = bench.runtime.new_lease()
        lease.pacing = NoWay()
        session = Session(bench.runtime, 99, "client", lease=lease)
        await theirs.send_all(get("/"))
        await session.run(HttpProxy(ours))
        assert await theirs.receive_some() == b""
        assert bench.outcomes == ["upstream-error"]


async def test_a_body_that_has_no_way_is_an_upstream_error(autojump_clock):
    """The 100 that asks for it wants the upstream's help too."""

    class NoWay(Pacing):
        async def before_local_reply(self, writes: int = 1, unread: bytes = b"") -> None:
            raise UpstreamError("disconnected", "no way")

    async with open_bench() as bench:
        bench.rules({"match": {"json": {"a": 1}}, "fault": {"respond": 500}})
        ours, theirs = memory_stream_pair()
        lease = bench.runtime.new_lease()
        lease.pacing = NoWay()
        session = Session(bench.runtime, 99, "client", lease=lease)
        request = post("/", b'{"a": 1}', b"Expect: 100-continue")
        await theirs.send_all(request.partition(b"{")[0])
        await session.run(HttpProxy(ours))
        assert await theirs.receive_some() == b""
        assert bench.outcomes == ["upstream-error"]


# Pages in browsers

PAGE = b"Origin: http://localhost:3000"


async def test_a_page_sees_an_injected_answer(autojump_clock):
    """Any may, as long as nothing is known of the API; without a page nothing is said of it."""
    async with open_bench(probability=1) as bench:
        client = await bench.tls()
        answer = await client.ask(post("/v1/messages", b"{}", PAGE))
        assert (answer.status, answer.header(b"access-control-allow-origin")) == (429, b"*")
        assert b"retry-after" in (answer.header(b"access-control-expose-headers") or b"")
        answer = await client.ask(post("/v1/messages", b"{}"))
        assert answer.header(b"access-control-allow-origin") is None


async def test_a_page_sees_it_as_it_sees_the_api(autojump_clock):
    """The API's own answer is passed on as it is, and the next, which a rule gives, is alike."""
    allowed = (b"Access-Control-Allow-Origin: http://localhost:3000", b"Vary: Origin")
    async with open_bench(upstream=answers(ok(b"{}", *allowed))) as bench:
        bench.rules({"when": {"after": 1}, "fault": {"respond": {"failure": "overloaded"}}})
        client = await bench.tls()
        first = await client.ask(post("/v1/messages", b"{}", PAGE))
        assert [name for name, _ in first.headers] == [
            b"Access-Control-Allow-Origin", b"Vary", b"Content-Length",
        ]  # fmt: skip
        answer = await client.ask(post("/v1/messages", b"{}", PAGE))
        assert (answer.status, answer.header(b"vary")) == (529, b"Origin")
        assert answer.header(b"access-control-allow-origin") == b"http://localhost:3000"
        assert answer.header(b"access-control-expose-headers") is None


async def test_a_page_sees_our_own_errors_and_what_is_made(autojump_clock):
    """A 502 is no secret to it, nor is a stream that no API was asked for."""
    async with open_bench() as bench:
        bench.dialer.failure = UpstreamError("refused", "nobody listens")
        client = await bench.tls()
        answer = await client.ask(post("/v1/messages", b"{}", PAGE))
        assert (answer.status, answer.header(b"access-control-allow-origin")) == (502, b"*")
        made = {"stream": {"after": {"count": 5}, "end": True, "upstream": "skipped"}}
        bench.rules({"fault": made})
        answer = await client.ask(post("/v1/messages", b'{"stream": true}', PAGE))
        assert (answer.status, answer.header(b"access-control-allow-origin")) == (200, b"*")


async def test_of_a_preflight_no_attempt_is_noted(autojump_clock):
    """It belongs to no call, whether its client waits for the answer or leaves."""
    rule = {"name": "hang", "match": {"method": "OPTIONS"}, "fault": {"break": "hang"}}
    async with open_bench(rules=(WrittenRules([rule], "test"),)) as bench:
        client = bench.connect()
        await client.send(
            b"OPTIONS /x HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\n"
            b"Access-Control-Request-Method: POST\r\n\r\n"
        )
        await trio.testing.wait_all_tasks_blocked()
        await client.close()
        assert (await bench.exchange()).observed is None
