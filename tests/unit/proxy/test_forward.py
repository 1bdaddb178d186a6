"""One request carried to the upstream, and its answer carried back."""

from __future__ import annotations

import contextlib
from typing import cast

import pytest
import trio
import trio.testing

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.events import ExchangeEnded
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.net.streams import LINGER_SECONDS
from faultinject.proxy.exchange import Exchange
from faultinject.proxy.forward import UpstreamSource
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import Limits
from tests.support.bench import (
    TARGET,
    Bench,
    Script,
    answers,
    echoes,
    get,
    ok,
    open_bench,
    post,
)
from tests.support.peer import Cut, Message, Peer
from tests.support.pipes import pipe_pair

HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"


# Answers of every kind, to the byte


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\nX-b: 1\r\nX-A: 2\r\nx-b: 3\r\n\r\nhi",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
     b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
     b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
     b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
     b"HTTP/1.1 429 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"],
)  # fmt: skip
async def test_an_answer_is_passed_on_as_it_is(autojump_clock, answer):
    """Status, reason, headers, framing, trailers."""
    async with open_bench(upstream=answers(answer)) as bench:
        client = bench.connect()
        await client.send(get("/"))
        message = await client.answer()
        assert message.head + message.raw_body == answer


async def test_interim_answers_come_as_they_are_sent(autojump_clock):
    """103 before 200, each at its time."""

    async def hints(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await trio.sleep(5)
        await upstream.send(b"HTTP/1.1 102 Processing\r\n\r\n" + ok(b"hi"))

    async with open_bench(upstream=hints) as bench:
        client = bench.connect()
        first = await client.ask(get("/"))
        assert (first.status, trio.current_time()) == (103, pytest.approx(0))
        assert (await client.answer()).status == 102
        assert (await client.answer()).body == b"hi"
        assert trio.current_time() == pytest.approx(5)
        exchange = await bench.exchange()
        assert exchange.status == 200


async def test_the_answer_to_head(autojump_clock):
    """Its length is of a body that does not come."""

    async def heads(upstream: Peer) -> None:
        while await upstream.read_message():
            await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

    async with open_bench(upstream=heads) as bench:
        client = bench.connect()
        for _ in range(2):
            assert (await client.ask(HEAD)).header(b"content-length") == b"1000"
        assert len(bench.dialer.dialled) == 1


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_body_that_ends_with_the_connection(autojump_clock, version):
    """The client's connection ends with it, cleanly, and no framing is invented."""
    said = b"HTTP/%b 200 OK\r\nX: y\r\n\r\n" % version
    async with open_bench(upstream=answers(said, b"some", b"thing")) as bench:
        client = await bench.tls()
        await client.send(get("/"))
        assert await client.rest() == said + b"something"
        assert (await bench.exchange()).response_bytes == 9


async def test_an_http_1_0_answer_with_a_length(autojump_clock):
    """It is whole, and its connection is not used again."""
    said = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with open_bench(upstream=answers(said)) as bench:
        client = bench.connect()
        await client.send(get("/"))
        message = await client.answer()
        assert message.head + message.body == said
        assert bench.outcomes == ["forwarded"] or await bench.exchange()
        assert [pipe.closed for pipe in bench.dialer.pipes] == [True]


async def test_chunks_for_an_http_1_0_client(autojump_clock):
    """It cannot read them: the body ends with the connection."""
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    async with open_bench(upstream=answers(said)) as bench:
        client = bench.connect()
        await client.send(b"GET http://api.example.com/ HTTP/1.0\r\n\r\n")
        message = await client.answer()
        assert (message.header(b"transfer-encoding"), message.body) == (None, b"hi")


async def test_a_length_that_chunks_overrule_is_dropped(autojump_clock):
    """Two lengths in one message are how requests are smuggled (RFC 9112 section 6.3)."""
    said = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\n\r\n"
    )
    async with open_bench(upstream=answers(said)) as bench:
        message = await bench.connect().ask(get("/"))
        assert (message.header(b"content-length"), message.body) == (None, b"hi")


async def test_a_stream_is_passed_on_as_it_comes(autojump_clock):
    """Each event at its time, none gathered."""

    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            await upstream.send(b"8\r\ndata: x\n\r\n")
            await trio.sleep(1)
        await upstream.send(b"0\r\n\r\n")
        await upstream.rest()

    async with open_bench(upstream=streams) as bench:
        client = await bench.tls()
        await client.send(get("/"))
        await client.read_until(b"\r\n\r\n")
        for second in range(3):
            await client.read_until(b"data: x\n\r\n")
            assert trio.current_time() == pytest.approx(second)
        assert await client.read_until(b"0\r\n\r\n")


@pytest.mark.parametrize("gap_seconds", [0.001, 0.03, 0.2])
async def test_a_client_that_ends_within_a_stream(autojump_clock, gap_seconds):
    """That is seen at once, even where the next piece is never long in coming."""

    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while trio.current_time() < 100:
            await upstream.send(b"8\r\ndata: x\n\r\n")
            await trio.sleep(gap_seconds)

    async with open_bench(upstream=streams) as bench:
        client = bench.connect()
        await client.send(get("/"))
        await trio.sleep(1)
        await client.half_close()  # what is sent to it still arrives
        await bench.exchange()
        assert trio.current_time() == pytest.approx(1)
        assert bench.outcomes == ["client-gone"]


# Requests of every kind


async def received(bench: Bench, request: bytes) -> Message:
    """Return what the upstream gets for a request."""
    got: list[Message] = []

    async def keeps(upstream: Peer) -> None:
        while message := await upstream.read_message():
            got.append(message)
            await upstream.send(ok(b"hi"))

    bench.upstream = keeps
    client = bench.connect()
    assert (await client.ask(request)).body == b"hi"
    return got[0]


async def test_a_request_reaches_the_upstream_as_it_is(autojump_clock):
    """Order, case and values of its headers, and its body."""
    head = (
        b"POST http://x.example/a%20b?c=%3d HTTP/1.1\r\naccept: */*\r\nHOST: x.example\r\n"
        b"X-One: 1\r\nx-one: 2\r\nContent-length: 5\r\n\r\n"
    )
    async with open_bench() as bench:
        message = await received(bench, head + b"hello")
        assert message.head == head.replace(b"http://x.example", b"")
        assert message.body == b"hello"


async def test_a_chunked_request_stays_chunked(autojump_clock):
    """Its trailers included."""
    async with open_bench() as bench:
        message = await received(
            bench,
            b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: yes\r\n\r\n",
        )
        assert message.body == b"hello world"
        assert message.raw_body.endswith(b"0\r\nX-Trailer: yes\r\n\r\n")


async def test_a_length_beside_chunks_does_not_reach_the_upstream(autojump_clock):
    """As in answers."""
    async with open_bench() as bench:
        message = await received(
            bench,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhi\r\n0\r\n\r\n",
        )
        assert message.header(b"content-length") is None
        assert message.body == b"hi"


async def test_a_large_body_goes_up_as_it_comes(autojump_clock):
    """The upstream sees its beginning before its end is sent."""

    async def counts(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        assert await upstream.read_exactly(10) == b"x" * 10
        first_ten.set()
        await upstream.read_exactly(999_990)
        await upstream.send(ok(b"all"))
        await upstream.rest()

    first_ten = trio.Event()
    async with open_bench(upstream=counts) as bench:
        client = await bench.tls()
        request = post("/", b"x" * 1_000_000)
        await client.send(request[:500])
        await first_ten.wait()
        assert (await client.ask(request[500:])).body == b"all"


async def test_expect_100_is_the_upstreams_to_answer(autojump_clock):
    """Its 100 comes through, and the body goes up then."""

    async def continues(upstream: Peer) -> None:
        head = await upstream.read_until(b"\r\n\r\n")
        assert b"Expect: 100-continue\r\n" in head
        await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await upstream.read_exactly(5) == b"hello"
        await upstream.send(ok(b"thanks"))
        await upstream.rest()

    async with open_bench(upstream=continues) as bench:
        client = bench.connect()
        first = await client.ask(post("/", b"", b"Expect: 100-continue").replace(b": 0", b": 5"))
        assert first.status == 100
        await client.send(b"hello")
        assert (await client.answer()).body == b"thanks"


async def test_expect_100_may_be_declined(autojump_clock):
    """The body was never sent, so the connection ends with the answer."""

    async def declines(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        await upstream.rest()

    async with open_bench(upstream=declines) as bench:
        client = bench.connect()
        answer = await client.ask(post("/", b"", b"Expect: 100-continue").replace(b": 0", b": 5"))
        assert answer.status == 417
        assert await client.rest() == b""
        assert bench.outcomes == ["forwarded"]


# Early answers


EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
LAST_EARLY = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CLOSING_EARLY = b"HTTP/1.1 413 Too Large\r\n\r\nno room"


@pytest.mark.parametrize("answer", [EARLY, LAST_EARLY])
@pytest.mark.parametrize("expects", [False, True])
async def test_an_answer_before_the_body_does_not_stop_it(autojump_clock, answer, expects):
    """The upstream gets all of it, as it does without a proxy; the answer is there at once."""
    got: list[bytes] = []

    async def reads_on(upstream: Peer) -> None:
        head = await upstream.read_until(b"\r\n\r\n")
        await upstream.send(answer)
        got.append(await upstream.read_exactly(300_000))
        if b"close" not in answer:
            await echoes(upstream)
        assert (b"100-continue" in head) is expects

    async with open_bench(upstream=reads_on) as bench:
        client = await bench.tls()
        request = post("/", b"x" * 300_000, *([b"Expect: 100-continue"] if expects else []))
        await client.send(request[:-300_000])
        assert (await client.answer()).status == 413
        await trio.sleep(100)
        await client.send(request[-300_000:])
        if b"close" in answer:
            assert await client.rest() == b""
        else:
            assert (await client.ask(get("/next"))).body == b"GET /next HTTP/1.1 0"
        assert bench.outcomes[0] == "forwarded"
    assert got == [b"x" * 300_000]
    assert len(bench.dialer.dialled) == 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("answer", [EARLY, LAST_EARLY, CLOSING_EARLY])
async def test_the_end_behind_an_early_answer_is_there_at_once(autojump_clock, answer, tls):
    """The client may wait for it before it gives its upload up."""

    async def too_large(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(answer)

    async with open_bench(upstream=too_large) as bench:
        client = await bench.tls() if tls else bench.connect()
        await client.send(post("/", b"x" * 300_000)[:100_000])
        assert await client.rest() == answer
        assert trio.current_time() < 1
        if tls:
            await client.close()
        else:
            await client.half_close()
        await bench.ended()
        assert trio.current_time() < 1
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.error) == ("forwarded", None)


async def test_an_upload_goes_on_behind_the_end_of_an_early_answer(autojump_clock):
    """An upstream that has ended its side may read on (nginx lingers so)."""
    got: list[bytes] = []

    async def lingers(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(CLOSING_EARLY)
        await upstream.half_close()
        got.append(await upstream.rest())

    async with open_bench(upstream=lingers) as bench:
        client = bench.connect()
        request = post("/", b"x" * 50_000)
        await client.send(request[:-50_000])
        assert await client.rest() == CLOSING_EARLY
        for at in range(-50_000, 0, 1000):
            await trio.sleep(1)
            await client.send(request[at : at + 1000 or None])
        await client.half_close()
        await bench.ended()
    assert got == [b"x" * 50_000]


async def test_what_nobody_reads_is_thrown_away_while_it_comes(autojump_clock):
    """A client that sends all before it reads still gets its answer; one that stops is let go."""

    async def gone(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(CLOSING_EARLY)

    async with open_bench(upstream=gone) as bench:
        client = bench.connect()
        await client.send(post("/", b"x" * 100)[:-100])
        for _ in range(50):
            await trio.sleep(1)
            await client.send(b"x")
        assert await client.rest() == CLOSING_EARLY
        await bench.ended()
        assert trio.current_time() == pytest.approx(50 + LINGER_SECONDS, abs=0.1)
        assert bench.outcomes == ["forwarded"]


async def test_an_upstream_that_resets_behind_an_early_answer(autojump_clock):
    """The client's side ends, and the answer is not lost."""

    async def resets(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(EARLY)
        await answered.wait()
        upstream.stream.reset()

    answered = trio.Event()
    async with open_bench(upstream=resets) as bench:
        client = bench.connect()
        await client.send(post("/", b"x" * 300_000)[:100_000])
        assert (await client.answer()).status == 413
        answered.set()
        assert await client.rest() == b""
        assert bench.outcomes in ([], ["forwarded"])


async def test_words_that_nobody_asked_for_behind_an_early_answer(autojump_clock):
    """They are no answer to the next request, and do not end the upload."""

    async def chatters(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(EARLY)
        await answered.wait()
        await upstream.send(ok(b"wrong"))
        await upstream.rest()

    answered = trio.Event()
    async with open_bench(upstream=chatters) as bench:
        client = bench.connect()
        request = post("/", b"x" * 300_000)
        await client.send(request[:100_000])
        assert (await client.answer()).status == 413
        answered.set()
        await trio.testing.wait_all_tasks_blocked()
        bench.upstream = echoes
        await client.send(request[100_000:])
        assert (await client.ask(get("/next"))).body == b"GET /next HTTP/1.1 0"


async def test_an_upload_that_stops_behind_its_answer(autojump_clock):
    """It is waited for as long as for anything else."""

    async def early(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(EARLY)
        await upstream.rest()

    async with open_bench(upstream=early, limits=Limits(idle_seconds=50)) as bench:
        client = bench.connect()
        await client.send(post("/", b"x" * 300_000)[:100_000])
        assert (await client.answer()).status == 413
        assert await client.end() == b""
        assert trio.current_time() == pytest.approx(50, abs=1)
        assert "the rest of a request" in (await bench.ended()).reason
        assert bench.outcomes == ["forwarded"]


async def test_an_answer_of_an_upstream_that_does_not_listen(autojump_clock):
    """It said all before it stopped reading: the answer decides, not the failure to send."""

    async def deaf(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        upstream.stream.deafen()
        heard.set()
        await trio.sleep(1)
        await upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep(1)

    heard = trio.Event()
    async with open_bench(upstream=deaf) as bench:
        client = bench.connect()
        request = post("/", b"x" * 300_000)
        await client.send(request[:1000])
        await heard.wait()
        await client.send(request[1000:200_000])
        assert (await client.answer()).status == 413
        await client.send(request[200_000:])
        await bench.exchange()
        assert bench.outcomes == ["forwarded"]


async def test_an_upstream_that_has_ended_before_it_was_asked(autojump_clock):
    """Whoever waits for its answer is told so."""
    ours, theirs = pipe_pair()
    await theirs.send_eof()
    authority = Authority("a.example", 443)
    origin = Origin(authority, authority)
    source = UpstreamSource(cast("Exchange", None), RequestHead(b"GET", b"/", ()), origin)
    source._lent = UpstreamConnection(ours, head_bytes=1000)
    with pytest.raises(UpstreamError, match="ended the connection unasked") as caught:
        await source.receive()
    assert caught.value.kind == "disconnected"


# Asking once more


async def used(bench: Bench, then: str) -> Peer:
    """Return a client whose upstream connection was used, and does this at the next request."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"first"))
        if then == "reads":
            await upstream.read_message()
        elif then == "begins":
            await upstream.read_message()
            await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif then == "begins a head":
            await upstream.read_message()
            await upstream.send(b"HTTP/1.1 200")
        elif then == "resets":
            await upstream.read_message()
            upstream.stream.reset()
        elif then == "is deaf":
            upstream.stream.deafen()
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(100)
        elif then == "breaks the protocol":
            await upstream.read_message()
            await upstream.send(b"nonsense\r\n\r\n")

    bench.upstream = once
    client = await bench.tls()
    assert (await client.ask(get("/first"))).body == b"first"
    bench.upstream = echoes
    return client


IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]


def bodyless(method: str) -> bytes:
    return get("/again").replace(b"GET", method.encode(), 1)


@pytest.mark.parametrize("then", ["reads", "resets", "is deaf"])
@pytest.mark.parametrize("method", IDEMPOTENT)
async def test_a_request_that_may_be_repeated_is_sent_again_once(autojump_clock, then, method):
    """The upstream had ended the connection while the request was on its way: RFC 9110 9.2.2."""
    async with open_bench() as bench:
        client = await used(bench, then)
        await client.send(bodyless(method))
        assert (await client.answer(method=method.encode())).status == 200
        assert len(bench.dialer.dialled) == 2
        assert bench.outcomes[0] == "forwarded"


@pytest.mark.parametrize("then", ["reads", "resets", "is deaf"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "QUERY-IT"])
async def test_a_request_that_may_have_been_acted_on_is_not_repeated(autojump_clock, then, method):
    """Not even if its connection was used before; the client's ends, as it would have directly."""
    async with open_bench() as bench:
        client = await used(bench, then)
        with pytest.raises((Cut, trio.BrokenResourceError)):
            await client.ask(post("/again", b"body").replace(b"POST", method.encode(), 1))
        assert len(bench.dialer.dialled) == 1
        await trio.testing.wait_all_tasks_blocked()
        exchange = bench.of(ExchangeEnded)[-1]
        assert (exchange.outcome, exchange.status) == ("upstream-error", None)
        assert f"not sent again, because {method} is not idempotent" in (exchange.error or "")


@pytest.mark.parametrize("how", ["ends", "speaks"])
async def test_a_connection_that_is_known_to_be_over_is_not_asked(autojump_clock, how):
    """Not a byte was sent: any request may go over a new connection, and is sent once."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"first"))
        if how == "speaks":
            await upstream.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    async with open_bench(upstream=once) as bench:
        client = await bench.tls()
        assert (await client.ask(get("/first"))).body == b"first"
        await trio.testing.wait_all_tasks_blocked()
        bench.upstream = echoes
        assert (await client.ask(post("/again", b"body"))).body == b"POST /again HTTP/1.1 4"
        assert len(bench.dialer.dialled) == 2


async def test_no_client_gets_a_connection_of_another(autojump_clock):
    """The second client's first request is on a connection of its own."""
    async with open_bench() as bench:
        one = bench.connect()
        await one.ask(get("/one"))
        two = bench.connect()
        await two.ask(get("/two"))
        await one.close()
        await trio.testing.wait_all_tasks_blocked()
        await bench.connect().ask(get("/three"))
        assert len(bench.dialer.dialled) == 3


async def test_a_body_that_is_still_coming_is_sent_again_whole(autojump_clock):
    """What was remembered first, what comes later then."""

    async def cuts(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"first"))
        await upstream.read_until(b"\r\n\r\n")
        await upstream.read_exactly(10)

    async with open_bench(upstream=cuts) as bench:
        client = await bench.tls()
        await client.ask(get("/"))
        bench.upstream = echoes
        request = post("/again", b"x" * 100).replace(b"POST", b"PUT", 1)
        await client.send(request[:-50])
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.ask(request[-50:])).body == b"PUT /again HTTP/1.1 100"


async def test_a_new_connection_that_dies_is_not_replaced(autojump_clock):
    """Nothing says that it would be better with another: 502."""
    async with open_bench(upstream=answers()) as bench:
        assert (await bench.connect().ask(get("/"))).status == 502
        assert len(bench.dialer.dialled) == 1


async def test_there_is_no_third_try(autojump_clock):
    """The new connection dies as well: 502."""
    async with open_bench() as bench:
        client = await used(bench, "reads")
        bench.upstream = answers()
        assert (await client.ask(get("/again"))).status == 502
        assert len(bench.dialer.dialled) == 2


@pytest.mark.parametrize("then", ["begins", "begins a head", "breaks the protocol"])
async def test_what_was_answered_is_not_asked_again(autojump_clock, then):
    """Even a 100 means that the upstream is at work."""
    async with open_bench() as bench:
        client = await used(bench, then)
        await client.send(get("/again"))
        while (answer := await client.answer()).status == 100:
            pass
        assert answer.status == 502
        assert len(bench.dialer.dialled) == 1


async def test_a_body_too_large_to_remember_is_not_sent_again(autojump_clock):
    """More than a megabyte is gone once it is sent: the connection ends."""
    async with open_bench() as bench:
        client = await used(bench, "reads")
        with pytest.raises((Cut, trio.BrokenResourceError)):
            await client.ask(post("/again", b"x" * 1_200_000).replace(b"POST", b"PUT", 1))
        assert len(bench.dialer.dialled) == 1
        await trio.testing.wait_all_tasks_blocked()
        assert "more than 1048576 bytes" in (bench.of(ExchangeEnded)[-1].error or "")


async def test_the_new_connection_may_fail_to_be_dialled(autojump_clock):
    """That is its own error."""
    async with open_bench() as bench:
        client = await used(bench, "reads")
        bench.dialer.failure = UpstreamError("timeout", "nobody there", 504)
        answer = await client.ask(get("/again"))
        assert (answer.status, answer.header(b"x-faultinject-error")) == (504, b"timeout")


async def test_a_connection_that_was_told_to_close_is_not_used_again(autojump_clock):
    """``Connection: close`` of the upstream; the client's ends with it."""

    async def closes(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"bye", b"Connection: close"))

    async with open_bench(upstream=closes) as bench:
        client = bench.connect()
        assert (await client.ask(get("/"))).body == b"bye"
        assert await client.rest() == b""


async def test_an_upstream_that_speaks_out_of_turn_is_not_used_again(autojump_clock):
    """More than its answer: the next request gets another connection or none."""
    async with open_bench(upstream=answers(ok(b"hi") + b"HTTP/1.1 200 OK\r\n\r\n")) as bench:
        client = bench.connect()
        assert (await client.ask(get("/"))).body == b"hi"
        bench.upstream = echoes
        await client.send(get("/2"))
        assert b"GET /2" in await client.receive()
        assert len(bench.dialer.dialled) == 2


# What ends at the proxy (`tests/unit/http/test_hop_by_hop.py` has the rest)


async def test_an_upgrade_of_the_next_hop_is_not_asked_of_the_origin(autojump_clock):
    """Java's client asks every plain-HTTP peer for h2c; rules would not reach what follows."""
    seen: list[Message] = []

    async def notes(upstream: Peer) -> None:
        while (request := await upstream.read_message()) is not None:
            seen.append(request)
            await upstream.send(ok(b""))

    ask = (
        b"POST http://api.example.com/ HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    async with open_bench(upstream=notes) as bench:
        client = bench.connect()
        assert (await client.ask(ask)).status == 200
        assert (await client.ask(ask)).status == 200
    assert [b"pgrade" in each.head or b"HTTP2" in each.head for each in seen] == [False, False]


async def test_fields_and_trailers_for_one_hop_end_here(autojump_clock):
    """In both directions."""
    seen: list[Message] = []

    async def notes(upstream: Peer) -> None:
        request = await upstream.read_message()
        assert request is not None
        seen.append(request)
        await upstream.send(
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\nX-Sum: 3\r\n\r\n"
        )

    async with open_bench(upstream=notes) as bench:
        client = bench.connect()
        await client.send(
            b"POST http://api.example.com/ HTTP/1.1\r\nHost: x\r\nConnection: X-Secret\r\n"
            b"X-Secret: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await trio.sleep(1)
        await client.send(b"2\r\nhi\r\n0\r\nHost: other\r\nX-Sum: 4\r\n\r\n")
        answer = await client.answer()
    (request,) = seen
    assert b"ecret" not in request.head
    assert request.raw_body.endswith(b"0\r\nX-Sum: 4\r\n\r\n")
    assert b"-Hop" not in answer.head
    assert answer.header(b"x-end") == b"2"
    assert answer.raw_body.endswith(b"0\r\nX-Sum: 3\r\n\r\n")


# What drips


def dripping(start: bytes) -> Script:
    """Return an upstream that says something, and then a byte a second without an end."""

    async def drips(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(start)
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await trio.sleep(1)
                await upstream.send(b"a")

    return drips


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"HTTP/1.1 200 OK\r\nA: ", 504), (CHUNKS + b"2;", 200), (CHUNKS + b"0\r\nA: ", 200)],
    ids=["head", "chunk line", "trailers"],
)
async def test_an_answers_line_that_drips_ends(autojump_clock, start, status):
    """In the time that a head may take, counted from its first byte."""
    async with open_bench(upstream=dripping(start)) as bench:
        client = bench.connect()
        began = trio.current_time()
        await client.send(get("/", TARGET, b"Connection: close"))
        with contextlib.suppress(trio.BrokenResourceError):
            assert b"HTTP/1.1 %d " % status in await client.rest()
        assert trio.current_time() - began == pytest.approx(30, abs=3)
        exchange = await bench.exchange()
        assert (exchange.outcome, exchange.status) == ("upstream-error", status)
        assert exchange.error == "the answer is too slow: a line of it did not end within 30 s"


@pytest.mark.parametrize("start", [b"2;", b"0\r\nA: "], ids=["chunk line", "trailers"])
async def test_a_requests_line_that_drips_ends(autojump_clock, start):
    """As a head that does."""
    ask = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
    async with open_bench() as bench:
        client = bench.connect()
        began = trio.current_time()
        await client.send(ask + start)

        async def drip() -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while True:
                    await trio.sleep(1)
                    await client.send(b"a")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            assert (await client.answer()).status == 408
            assert trio.current_time() - began == pytest.approx(30, abs=3)
            nursery.cancel_scope.cancel()
        exchange = await bench.exchange()
        assert exchange.outcome == "refused"
        assert exchange.error == "the request is too slow: a line of it did not end within 30 s"


async def test_a_body_that_drips_goes_on(autojump_clock):
    """A stream is one, and each of its lines has its own time."""

    async def drips(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(CHUNKS)
        for _ in range(5):
            for byte in (b"2", b"\r\nh", b"i", b"\r\n"):
                await trio.sleep(14)
                await upstream.send(byte)
        await upstream.send(b"0\r\n\r\n")

    async with open_bench(upstream=drips) as bench:
        assert (await bench.connect().ask(get("/"))).body == b"hi" * 5
