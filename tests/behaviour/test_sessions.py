"""Whole sessions: what they end with, what they leave behind, and what no bytes can do to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from faultinject.events import (
    ClientHelloRead,
    Event,
    ExchangeEnded,
    SessionEnded,
    SessionFailed,
    SessionStarted,
)
from faultinject.settings import Limits
from tests.support.bench import TARGET, Bench, get, ok, open_bench, post, trusting_context
from tests.support.examples import examples
from tests.support.peer import Cut, Peer
from tests.support.tls_peers import client_hello

# What is told


async def test_a_session_is_told_from_its_start_to_its_end(autojump_clock):
    """With a number of its own and how many requests it had."""
    async with open_bench(probability=1) as bench:
        for _ in range(2):
            client = bench.connect()
            await client.ask(get("/"))
            await client.ask(get("/"))
            await client.close()
            await bench.ended()
        assert [started.session for started in bench.of(SessionStarted)] == [1, 2]
        ended = bench.of(SessionEnded)
        assert [(end.session, end.exchanges) for end in ended] == [(1, 2), (2, 2)]


async def test_a_defect_ends_its_session_alone(autojump_clock):
    """It is told with its traceback; the neighbour's open exchange goes on."""

    class Defective:
        """A rule set that breaks."""

        def has(self, stage: object) -> bool:
            raise ZeroDivisionError("a defect")

    async def slowly(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(10)
        await upstream.send(ok(b"unharmed"))
        await upstream.rest()

    async with open_bench(upstream=slowly, defects=True) as bench:
        neighbour, client = await bench.tls(), await bench.tls()
        await neighbour.send(get("/"))
        await trio.sleep(1)
        bench.runtime.rule_set = Defective()  # type: ignore[assignment]
        await client.send(get("/"))
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        [failed] = bench.of(SessionFailed)
        assert (failed.session, failed.error) == (2, "ZeroDivisionError: a defect")
        assert "Traceback" in failed.traceback
        assert bench.of(SessionEnded)[0].reason == "a defect in faultinject"
        assert (await neighbour.answer()).body == b"unharmed"


@pytest.mark.parametrize("kind", [SessionStarted, ClientHelloRead, ExchangeEnded])
async def test_a_listener_that_breaks_ends_its_session_alone(autojump_clock, kind):
    """A listener must not raise; if it does, that costs one session."""
    async with open_bench(probability=1, defects=True) as bench:

        def breaks(event: Event) -> None:
            bench.events.append(event)
            if isinstance(event, kind) and event.session == 1:
                raise ZeroDivisionError("a defect")

        bench.runtime.listener = breaks
        with suppress(trio.BrokenResourceError, Cut):  # at the latest, its answer is on its way
            await (await bench.tls()).ask(get("/"))
        await bench.ended()
        [failed] = bench.of(SessionFailed)
        assert failed.error == "ZeroDivisionError: a defect"
        assert (await (await bench.tls()).ask(get("/"))).status == 429


async def test_draining_ends_what_is_idle_and_lets_the_rest_finish(autojump_clock):
    """An idle session ends at once, an open exchange's session after its answer."""

    async def slowly(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(10)
        await upstream.send(ok(b"in time"))
        await upstream.rest()

    async with open_bench(upstream=slowly) as bench:
        idle, busy = bench.connect(), await bench.tls()
        await busy.send(get("/"))
        await trio.sleep(1)
        bench.runtime.draining = True
        for session in bench.sessions:
            session.drain()
        assert await idle.rest() == b""
        assert trio.current_time() == pytest.approx(1)
        assert (await busy.answer()).body == b"in time"
        assert await busy.rest() == b""


async def test_draining_ends_what_becomes_idle_later(autojump_clock):
    """A silent tunnel at once; one that speaks TLS when its handshake is done."""
    async with open_bench() as bench:
        silent, speaking = await bench.tunnel(), await bench.tunnel()
        await trio.testing.wait_all_tasks_blocked()
        bench.runtime.draining = True
        bench.sessions[0].drain()
        assert await silent.rest() == b""
        await speaking.start_tls(trusting_context(), TARGET)
        assert await speaking.rest() == b""
        assert trio.current_time() == pytest.approx(0)
        assert bench.of(SessionEnded)[0].reason == "the proxy stops"


async def test_a_session_that_is_cut_off_says_so(autojump_clock):
    """It was not the client that ended it."""
    async with open_bench() as bench:
        await bench.tunnel()
        bench.cancel_sessions()
        assert (await bench.ended()).reason == "the proxy stopped"


# Hostile bytes

SEEDS = [
    get("/v1/messages"),
    post("/", b"body"),
    b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT other.example:1 HTTP/1.0\r\n\r\n",
    b"GET http://other.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"\r\n\r\n",
    b"\r\n",
    client_hello(trusting_context(alpn=["http/1.1"]), TARGET),
    b"\x16\x03\x01",
]
"""Fragments from which something is likely to be understood in part."""

pieces = st.lists(
    st.one_of(
        st.sampled_from(SEEDS),
        st.sampled_from(SEEDS).flatmap(
            lambda seed: st.integers(0, len(seed)).map(lambda cut: seed[:cut])
        ),
        st.binary(max_size=40),
    ),
    max_size=6,
)


async def talk(bench: Bench, client: Peer, sent: list[bytes]) -> None:
    """Say all that, end, and wait until the session has ended too."""
    try:
        for piece in sent:
            await client.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        await client.half_close()
        await client.rest()
    except trio.BrokenResourceError:
        pass  # we were told enough
    await bench.ended()


def run_with_clock(main: Callable[[], Awaitable[None]]) -> None:
    """Run a main function of its own, which hypothesis needs, with a clock that jumps."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(examples(150), derandomize=True)
@given(sent=pieces, probability=st.sampled_from([0.0, 1.0]))
def test_no_bytes_to_the_port_are_a_defect(sent, probability):
    """Any bytes: the session ends by itself, and is never told as failed."""

    async def main() -> None:
        async with open_bench(probability=probability, limits=Limits(head_bytes=500)) as bench:
            await talk(bench, bench.connect(), sent)

    run_with_clock(main)


@settings(examples(150), derandomize=True)
@given(sent=pieces, authority=st.sampled_from([f"{TARGET}:443", "other.example:443"]))
def test_no_bytes_within_a_tunnel_are_a_defect(sent, authority):
    """The same within a tunnel."""

    async def main() -> None:
        async with open_bench() as bench:
            await talk(bench, await bench.tunnel(authority), sent)

    run_with_clock(main)


@settings(examples(100), derandomize=True)
@given(sent=pieces)
def test_no_bytes_within_tls_are_a_defect(sent):
    """And within the tunnel's TLS."""

    async def main() -> None:
        async with open_bench(probability=0.5) as bench:
            client = await bench.tls()
            try:
                for piece in sent:
                    await client.send(piece)
                await client.close()
            except trio.BrokenResourceError:
                pass
            await bench.ended()

    run_with_clock(main)


ANSWERS = [
    ok(b"hi"),
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Content-Length: 5\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
]


@settings(examples(200), derandomize=True)
@given(
    said=st.lists(st.one_of(st.sampled_from(ANSWERS), st.binary(max_size=20)), max_size=6),
    asked=st.sampled_from([get("/"), get("/", TARGET, b"Connection: upgrade", b"Upgrade: x"),
                           get("/").replace(b"1.1", b"1.0"), get("/").replace(b"GET", b"HEAD"),
                           post("/", b"x" * 10)]),
)  # fmt: skip
def test_no_bytes_of_an_upstream_are_a_defect(said, asked):
    """An upstream may answer whatever it likes."""

    async def says(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        for piece in said:
            await upstream.send(piece)
            await trio.testing.wait_all_tasks_blocked()

    async def main() -> None:
        async with open_bench(upstream=says) as bench:
            await talk(bench, bench.connect(), [asked])

    run_with_clock(main)
