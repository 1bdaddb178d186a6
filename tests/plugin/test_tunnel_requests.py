"""What requests may do in a tunnel behind Fault: wait for 100, come early, be long, be the last."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from faultinject.events import ExchangeEnded, SessionEnded
from faultinject.plugin.duplex.tunnel_lease import MOST_AHEAD
from tests.support.bench import TARGET, get, ok, post
from tests.support.fault_world import World, answers_all, world
from tests.support.peer import Peer

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
LONG_BODY = bytes(range(256)) * 3_000


def expecting(path: str, length: int) -> bytes:
    """Return the head of a request whose body waits for a 100."""
    return post(path, b"", b"Expect: 100-continue").replace(
        b"Content-Length: 0", b"Content-Length: %d" % length
    )


def chunked(path: str, body: bytes) -> bytes:
    """Return a request whose length is not announced."""
    lines = b"POST %b HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
    head = lines % (path.encode(), TARGET.encode())
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def check_still_usable(here: World, peer: Peer) -> None:
    """Ask once more each way."""
    for probability, status in ((1.0, 429), (0.0, 200), (1.0, 429)):
        here.bench.inject(probability)
        assert (await peer.ask(get("/again"))).status == status


@pytest.mark.parametrize("length", [5, 100_000])
async def test_a_body_that_waits_for_100_is_answered(
    length: int, autojump_clock: trio.abc.Clock
) -> None:
    """The 100 comes at once, the injected answer after the body."""
    async with world(probability=1.0) as here:
        peer = await here.tls()
        await peer.send(expecting("/1", length))
        assert await peer.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"h" * length)
        assert (await peer.answer()).status == 429
        await check_still_usable(here, peer)


@pytest.mark.parametrize("length", [5, 100_000])
async def test_a_body_that_waits_for_100_is_forwarded(
    length: int, autojump_clock: trio.abc.Clock
) -> None:
    """The 100 is the upstream's."""

    async def continues(upstream: Peer) -> None:
        while head := await upstream.read_until(b"\r\n\r\n"):
            if head.startswith(b"HEAD"):
                await upstream.send(NOT_FOUND)
                continue
            if b"Expect" in head:
                await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                await upstream.read_exactly(length)
            await upstream.send(ok(b"read"))

    async with world(script=continues) as here:
        peer = await here.tls()
        await peer.send(expecting("/1", length))
        assert await peer.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"h" * length)
        assert (await peer.answer()).body == b"read"
        await check_still_usable(here, peer)


async def test_a_body_that_cannot_be_asked_for(autojump_clock: trio.abc.Clock) -> None:
    """A rule would read it; but the request came too early for a 100 to have a way."""
    async with world() as here:
        here.bench.rules({"match": {"model": "m"}, "fault": {"respond": 529}})
        peer = await here.tls()
        early = b"".join(get(f"/{number}") for number in range(1 + MOST_AHEAD))
        await peer.send(early + expecting("/v1/messages", 5))
        said = await peer.end()
        assert said.count(b"HTTP/1.1 200 ") == 1 + MOST_AHEAD
        assert b"100 Continue" not in said
        last = here.bench.of(ExchangeEnded)[-1]
        assert (last.path, last.outcome, last.rule) == ("/v1/messages", "upstream-error", None)
        assert "ahead of their turn" in str(last.error)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("probability", [0.0, 1.0])
async def test_requests_that_come_in_one_piece(
    count: int, probability: float, autojump_clock: trio.abc.Clock
) -> None:
    """Each is answered in its turn."""
    async with world(probability=probability) as here:
        peer = await here.tls()
        await peer.send(b"".join(get(f"/{number}") for number in range(count)))
        for number in range(count):
            answer = await peer.answer()
            assert answer.status == (429 if probability else 200)
            assert probability or answer.body == b"GET /%d HTTP/1.1 0" % number
        await check_still_usable(here, peer)


@pytest.mark.parametrize("probability", [0.0, 1.0])
async def test_too_many_requests_in_one_piece(
    probability: float, autojump_clock: trio.abc.Clock
) -> None:
    """Some are answered; then the tunnel ends at once, so that the client asks the rest anew."""
    async with world(probability=probability) as here:
        peer = await here.tls()
        started = trio.current_time()
        await peer.send(b"".join(get(f"/{number}") for number in range(7)))
        said = await peer.end()
        assert said.count(b"Content-Length: ") == 1 + MOST_AHEAD
        assert trio.current_time() - started < 10
        assert "ahead of their turn" in str(here.bench.of(ExchangeEnded)[-1].error)


async def test_pipelined_requests_of_both_kinds(autojump_clock: trio.abc.Clock) -> None:
    """Half of them are injected."""
    async with world(probability=0.5) as here:
        peer = await here.tls()
        for _ in range(5):
            await peer.send(get("/1") + post("/2", b"x" * 3000) + get("/3"))
            statuses = [(await peer.answer()).status for _ in range(3)]
            assert set(statuses) <= {200, 429}
        assert {ended.outcome for ended in here.bench.of(ExchangeEnded)} == {
            "injected", "forwarded",
        }  # fmt: skip


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("framing", [post, chunked])
async def test_a_long_upload_to_an_upstream_that_pauses(
    framing: object, raw: bool, autojump_clock: trio.abc.Clock
) -> None:
    """Fault would stall in it for good; every byte arrives, and the tunnel is as good as new."""
    received = bytearray()

    async def pauses(upstream: Peer) -> None:
        while head := await upstream.read_until(b"\r\n\r\n"):
            if head.startswith(b"HEAD"):
                await upstream.send(NOT_FOUND)
                continue
            if b"POST" in head:
                await trio.sleep(5)
                await receive_slowly(upstream, b"chunked" in head)
            await upstream.send(ok(b"%d" % len(received)))

    async def receive_slowly(upstream: Peer, in_chunks: bool) -> None:
        if in_chunks:
            body, _ = await upstream._chunks()
            received.extend(body)
            return
        pauses_at = 0
        while len(received) < len(LONG_BODY):
            received.extend(await upstream.receive())
            if len(received) >= pauses_at:
                pauses_at += 120_000
                await trio.sleep(0.5)

    async with world(script=pauses, raw=raw) as here:
        peer = await here.tls()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, framing("/", LONG_BODY))  # type: ignore[operator]
            answer = await peer.answer()
        assert answer.body == b"%d" % len(LONG_BODY)
        assert received == LONG_BODY
        await check_still_usable(here, peer)


async def test_a_paced_upload(autojump_clock: trio.abc.Clock) -> None:
    """Small pieces lose nothing."""
    async with world() as here:
        peer = await here.tls()
        body = b"%06d\n" * 1
        pieces = [body % number for number in range(200)]
        whole = b"".join(pieces)
        await peer.send(post("/", whole)[: -len(whole)])
        for piece in pieces:
            await peer.send(piece)
            await trio.sleep(0.001)
        assert (await peer.answer()).body == b"POST / HTTP/1.1 %d" % len(whole)


async def test_an_upstream_that_closes_after_its_answer(autojump_clock: trio.abc.Clock) -> None:
    """The client hears of the end at once."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    async with world(script=once) as here:
        peer = await here.tls()
        started = trio.current_time()
        assert (await peer.ask(get("/1"))).body == b"ok"
        assert await peer.end() == b""
        assert trio.current_time() - started < 5


async def test_a_client_that_wants_the_end(autojump_clock: trio.abc.Clock) -> None:
    """An injected answer to `Connection: close` is the connection's last."""
    async with world(probability=1.0) as here:
        peer = await here.tls()
        answer = await peer.ask(get("/1", TARGET, b"Connection: close\r\n"))
        assert answer.status == 429
        assert await peer.end() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert len(here.bench.of(SessionEnded)) == 1


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 200 OK\r\nConten", b"nonsense\r\n\r\n"])
async def test_an_upstream_that_answers_no_carrier(
    last_words: bytes, autojump_clock: trio.abc.Clock
) -> None:
    """Its good-bye carries the answer as well, and then the tunnel is over."""

    async def leaves(upstream: Peer) -> None:
        await upstream.read_message()
        if last_words:
            await upstream.send(last_words)

    async with world(probability=1.0, script=leaves) as here:
        peer = await here.tls()
        assert (await peer.ask(get("/1"))).status == 429
        assert await peer.end() == b""
        assert here.bench.outcomes == ["injected"]


async def test_early_answers_are_seen(autojump_clock: trio.abc.Clock) -> None:
    """An upstream may answer a short body before its end, and a long one at it."""

    async def early(upstream: Peer) -> None:
        while head := await upstream.read_until(b"\r\n\r\n"):
            if head.startswith(b"HEAD"):
                await upstream.send(NOT_FOUND)
                continue
            await upstream.send(ok(b"early"))
            await upstream.read_exactly(100_000)

    async with world(script=early) as here:
        peer = await here.tls()
        assert (await peer.ask(post("/", b"x" * 100_000))).body == b"early"


async def test_the_watched_upstream_of_an_idle_client(autojump_clock: trio.abc.Clock) -> None:
    """Late tickets and an idle hour's beginning do no harm."""
    async with world(script=answers_all) as here:
        peer = await here.tls()
        for _ in range(3):
            await trio.sleep(600)
            assert (await peer.ask(get("/1"))).status == 200
        await trio.sleep(600)
        await check_still_usable(here, peer)
