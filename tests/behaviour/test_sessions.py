"""Whole sessions: what they end with, what they leave behind, and what no bytes can do to them."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from faultinject.errors import UpstreamError
from faultinject.events import (
    ClientHelloRead,
    Event,
    ExchangeEnded,
    SessionEnded,
    SessionFailed,
    SessionStarted,
)
from faultinject.settings import Limits
from tests.support.bench import TARGET, Bench, echoes, get, ok, open_bench, post, trusting_context
from tests.support.llm_api import chunk
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


# Cancellation


async def test_a_session_that_is_cut_off_says_so(autojump_clock):
    """It was not the client that ended it."""
    async with open_bench() as bench:
        await bench.tunnel()
        bench.cancel_sessions()
        assert (await bench.ended()).reason == "the proxy stopped"


class CancelAtStep(trio.abc.Instrument):
    """Cancels a bench's sessions when the tasks of the run have made so many steps."""

    def __init__(self, bench: Bench, step: int) -> None:
        self.bench = bench
        self.left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.bench.cancel_sessions()


Scene = Callable[[Bench], Awaitable[None]]


async def injects(bench: Bench) -> None:
    """An injected answer over TLS."""
    bench.inject(1)
    client = await bench.tls()
    await client.ask(post("/", b"x" * 1000))
    await client.close()


async def forwards(bench: Bench) -> None:
    """Two forwarded answers over TLS, the second on a connection that dies first."""

    async def once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"hi"))
        await upstream.read_message()

    bench.upstream = once
    client = await bench.tls()
    await client.ask(get("/1"))
    bench.upstream = echoes
    await client.ask(get("/2"))
    await client.close()


async def changes_origins(bench: Bench) -> None:
    """A client asks an origin, another one, and the first again."""
    client = bench.connect()
    await client.ask(get("/1"))
    await client.ask(b"GET http://other.example/ HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.ask(get("/2"))
    await client.close()


async def relays(bench: Bench) -> None:
    """A tunnel that is not looked into."""
    client = await bench.tunnel("other.example:443")
    await client.send(get("/", "other.example"))
    await client.answer()
    await client.close()


async def upgrades(bench: Bench) -> None:
    """A 101 and some bytes both ways."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        await upstream.send(await upstream.receive())

    bench.upstream = switches
    client = bench.connect()
    await client.ask(get("/", TARGET, b"Connection: upgrade", b"Upgrade: x"))
    await client.send(b"x")
    await client.receive()
    await client.close()


async def waits_for_a_greeting(bench: Bench) -> None:
    """A silent tunnel to a target whose upstream speaks first."""

    async def greets(upstream: Peer) -> None:
        await upstream.send(b"220\r\n")
        await upstream.receive()

    bench.upstream = greets
    client = await bench.tunnel()
    await client.receive()
    await client.close()


async def fails(bench: Bench) -> None:
    """A refusal, and an upstream that cannot be reached."""
    await bench.connect().ask(b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n")
    bench.dialer.failure = UpstreamError("dns", "no such name")
    await bench.connect().ask(b"CONNECT other.example:1 HTTP/1.1\r\nHost: x\r\n\r\n")
    client = bench.connect()
    await client.ask(get("/", TARGET, b"Connection: close"))
    await client.rest()


async def _is_harmed(bench: Bench, rule: dict[str, Any]) -> None:
    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        await upstream.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        await upstream.send(chunk(b"data: 1\n\n"), chunk(b"data: 2\n\n"), chunk(b""))
        await upstream.rest()

    bench.upstream = streams
    bench.rules(rule, {"match": {"model": "none"}, "fault": {"respond": 500}})
    client = await bench.tls()
    await client.send(post("/v1/messages", b'{"stream": true}', b"Connection: close"))
    await client.end()


async def is_late(bench: Bench) -> None:
    """A stream with a delay before each part of it."""
    delays = [{"fixed": 1, "before": what} for what in ("upstream", "head", "body")]
    await _is_harmed(bench, {"fault": {"delay": delays}})


async def is_harmed(bench: Bench) -> None:
    """A stream with a stall and an error in it."""
    stalls = {"after": {"count": 1}, "stall": 1}
    fails = {"after": {"count": 2}, "error": True}
    await _is_harmed(bench, {"fault": {"stream": [stalls, fails]}})


async def is_made(bench: Bench) -> None:
    """A stream that no upstream sent, and that is reset."""
    resets = {"after": {"count": 2}, "reset": True, "upstream": "skipped"}
    await _is_harmed(bench, {"fault": {"stream": resets}})


async def closes(bench: Bench) -> None:
    """No answer at all."""
    await _is_harmed(bench, {"fault": {"break": {"how": "close", "at": "request"}}})


async def garbles(bench: Bench) -> None:
    """Late garbage."""
    await _is_harmed(bench, {"fault": {"break": {"how": "garbage"}, "delay": 1}})


async def loses(bench: Bench) -> None:
    """An answer in the place of the upstream's own, which is lost."""
    await _is_harmed(bench, {"fault": {"respond": {"status": 529, "upstream": "answered"}}})


async def refuses(bench: Bench) -> None:
    """A CONNECT that is answered, and one that is not."""
    bench.rules(
        {"when": {"limit": 1}, "fault": {"respond": {"status": 407, "at": "connect"}}},
        {"fault": {"break": {"how": "hang", "for": 1, "at": "connect"}}},
    )
    connect = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"
    client = bench.connect()
    await client.ask(connect)
    await client.send(connect)
    await client.end()


async def hangs(bench: Bench) -> None:
    """A handshake that is not answered."""
    bench.rules({"fault": {"break": {"how": "hang", "for": 1, "at": "handshake"}}})
    with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
        await bench.tls()


@contextmanager
def cancelled_at(bench: Bench, step: int) -> Iterator[None]:
    """Cancel the sessions of a bench at a step of the block."""
    instrument = CancelAtStep(bench, step)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


@pytest.mark.parametrize(
    "scene",
    [
        injects,
        forwards,
        changes_origins,
        relays,
        upgrades,
        waits_for_a_greeting,
        fails,
        is_late,
        is_harmed,
        is_made,
        closes,
        garbles,
        loses,
        refuses,
        hangs,
    ],
    ids=lambda scene: scene.__name__,
)
async def test_cancellation_anywhere_leaves_nothing_behind(autojump_clock, scene):
    """Cancelled at its n-th step, for every n: no task and no connection is left.

    Afterwards a client that asks is served as if nothing had happened.
    """
    step, done = 0, False
    while not done:
        step += 1
        async with open_bench() as bench:
            with cancelled_at(bench, step):
                try:
                    with trio.fail_after(1000):
                        await scene(bench)
                except (trio.BrokenResourceError, Cut, AssertionError):
                    assert bench.cancelled
            await bench.ended()
            done = not bench.cancelled
            assert all(pipe.closed for pipe in bench.doors)
            bench.start_afresh(echoes)
            assert (await bench.connect().ask(get("/after"))).body == b"GET /after HTTP/1.1 0"
    assert step > 20


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


@settings(max_examples=150, derandomize=True)
@given(sent=pieces, probability=st.sampled_from([0.0, 1.0]))
def test_no_bytes_to_the_port_are_a_defect(sent, probability):
    """Any bytes: the session ends by itself, and is never told as failed."""

    async def main() -> None:
        async with open_bench(probability=probability, limits=Limits(head_bytes=500)) as bench:
            await talk(bench, bench.connect(), sent)

    run_with_clock(main)


@settings(max_examples=150, derandomize=True)
@given(sent=pieces, authority=st.sampled_from([f"{TARGET}:443", "other.example:443"]))
def test_no_bytes_within_a_tunnel_are_a_defect(sent, authority):
    """The same within a tunnel."""

    async def main() -> None:
        async with open_bench() as bench:
            await talk(bench, await bench.tunnel(authority), sent)

    run_with_clock(main)


@settings(max_examples=100, derandomize=True)
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


@settings(max_examples=200, derandomize=True)
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
