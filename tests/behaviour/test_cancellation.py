"""Sessions that are cancelled wherever they stand: nothing is left behind, and all is reported.

The scenes are run again and again, and cancelled in another state each time. What must hold then is
what each bench asserts when it is left: no task, no connection, no place of a rule and no attempt
is open, and the events are balanced.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from faultinject.errors import UpstreamError
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.fake.fake_api import FakeApi, FakeUpstream
from tests.support.bench import TARGET, Bench, echoes, get, ok, open_bench, post
from tests.support.cancelling import cancelled_in_new_state
from tests.support.fault_world import HandshakesOnly, upstream_context
from tests.support.llm_api import chunk
from tests.support.peer import Cut, Peer

CALL = "/v1/messages"
GIVEN_UP_SECONDS = 1000.0
"""A scene that takes so long hangs."""

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
    """A 101 and some bytes both ways, by base URL and within TLS."""

    async def switches(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        await upstream.send(await upstream.receive())

    bench.upstream = switches
    for client in (bench.connect(), await bench.tls()):
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
    await client.send(post(CALL, b'{"stream": true}', b"Connection: close"))
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


async def pipelines(bench: Bench) -> None:
    """By base URL: a request behind another, and a client that leaves within the second answer."""

    async def streams(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(ok(b"1"))
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await upstream.send(b"data: 1\n\n")
        await upstream.rest()

    bench.upstream = streams
    client = bench.connect()
    await client.send(get("/1") + get("/2"))
    await client.answer()
    await client.read_until(b"data: 1\n\n")
    await client.close()


async def uploads(bench: Bench) -> None:
    """By base URL: an upload that goes on behind its answer, and behind its upstream's end."""

    async def answers_early(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(b"HTTP/1.1 413 No\r\n\r\nno")
        await upstream.half_close()
        await upstream.rest()

    bench.upstream = answers_early
    client = bench.connect()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head + chunk(b"1"))
    await client.rest()
    await client.send(chunk(b"2"), chunk(b""))
    await client.close()


async def counts(bench: Bench) -> None:
    """By base URL: an attempt that a rule fails, one that the API fails, and one that passes."""

    async def fails_once(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 529 X\r\nContent-Length: 4\r\n\r\nbusy")
        await upstream.read_message()
        await upstream.send(ok(b"hi"))
        await upstream.rest()

    bench.upstream = fails_once
    bench.rules(
        {"when": {"first": 1, "per": "attempt-group"}, "fault": {"respond": 529}},
        {"when": {"limit": {"at_a_time": 1}}, "fault": {"delay": 1}},
    )
    client = bench.connect()
    head, body = post(CALL, b'{"model": "m"}', b"Expect: 100-continue").split(b"{", 1)
    statuses = []
    for _ in range(3):
        assert (await client.ask(head)).status == 100
        statuses.append((await client.ask(b"{" + body)).status)
    assert statuses == [529, 529, 200]
    await client.close()


async def tells_its_upstream(bench: Bench) -> None:
    """By base URL: upstreams in TLS, one after the other, which are told the end."""

    async def serves(upstream: Peer) -> None:
        context = upstream_context(None)
        await echoes(Peer(trio.SSLStream(upstream.stream, context, server_side=True)))

    async def dial(origin: Origin) -> trio.abc.Stream:
        stream = await bench.dialer.dial(origin)
        try:
            return await HandshakesOnly().start_tls(stream, origin)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    bench.upstream, bench.runtime.dial = serves, dial
    client = bench.connect()
    await client.ask(get("/1", TARGET))
    await client.ask(get("/2", TARGET, b"Connection: close"))
    await client.rest()


async def fakes(bench: Bench) -> None:
    """A stream of the fake API."""
    api = FakeApi(text="hi", gap_seconds=0)
    bench.runtime.dial = FakeUpstream(
        bench.nursery, lambda _: True, bench.dialer.dial, bench.events.append, api
    ).dial
    client = await bench.tls()
    await client.ask(post(CALL, b'{"model": "m", "stream": true, "messages": []}'))
    await client.close()


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
        pipelines,
        uploads,
        counts,
        tells_its_upstream,
        fakes,
    ],
    ids=lambda scene: scene.__name__,
)
async def test_cancellation_anywhere_leaves_nothing_behind(autojump_clock, scene):
    """Cancelled in each state that its sessions come to: all is closed, all that began has ended.

    Afterwards a client that asks is served as if nothing had happened.
    """
    tried: set[object] = set()
    done = False
    while not done:
        async with open_bench() as bench:
            happened = partial(len, bench.events)
            with cancelled_in_new_state(tried, happened, bench.cancel_sessions):
                try:
                    with trio.fail_after(GIVEN_UP_SECONDS):
                        await scene(bench)
                except (trio.BrokenResourceError, Cut, AssertionError):
                    assert bench.cancelled
            await bench.ended()
            done = not bench.cancelled
            bench.check_nothing_is_left()
            bench.start_afresh(echoes)
            assert (await bench.connect().ask(get("/after"))).body == b"GET /after HTTP/1.1 0"
    assert len(tried) > 15
