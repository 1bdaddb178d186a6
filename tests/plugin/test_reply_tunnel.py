"""Tunnels of a host that gives answers back, with real TLS and the plugin's own upstreams."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.events import (
    ExchangeEnded,
    HandshakeFailed,
    RelayEnded,
    SessionEnded,
    Warned,
)
from faultinject.plugin.interface import Close, Direction, Replace, Side
from faultinject.plugin.reply.reply_lane import HELD_SECONDS, SESSION_OVER
from faultinject.proxy.upstream.dial import Origin
from faultinject.settings import Limits
from tests.support.bench import (
    RSA_ONLY,
    TARGET,
    answers,
    echoes,
    get,
    ok,
    outdated_context,
    post,
    rsa_leaves,
)
from tests.support.peer import Message, Peer
from tests.support.reply_host import ReplyHost
from tests.support.reply_world import one_tunnel, world
from tests.support.tls_peers import client_context, client_hello

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
FROM_CLIENT = (Side.CLIENT, Direction.FROM_PEER)
A_LONG_TIME = 1_000.0


async def test_a_client_that_knows_rsa_only(autojump_clock: trio.abc.Clock) -> None:
    """It is shown an RSA certificate."""
    async with world() as here:
        here.bench.runtime.leaves = rsa_leaves()
        peer = await here.tls(here.open(), **RSA_ONLY)
        assert (await peer.ask(get("/"))).status == 200


# Requests


@pytest.mark.parametrize("chunk_bytes", [5, 1000, 4096, 100_000])
@pytest.mark.parametrize("version", VERSIONS)
async def test_injected_and_forwarded_requests_on_one_tunnel(
    version: ssl.TLSVersion, chunk_bytes: int, autojump_clock: trio.abc.Clock
) -> None:
    """First, later, and many in a row, however the host cuts the client's bytes."""
    async with world() as here:
        peer = await here.tls(here.open(chunk_bytes=chunk_bytes), version=version)
        for number in range(12):
            injected = number % 3 == 1 or 5 < number < 9
            here.bench.inject(1.0 if injected else 0.0)
            answer = await peer.ask(get(f"/{number}"))
            assert answer.status == (429 if injected else 200), number
            assert injected or answer.body == b"GET /%d HTTP/1.1 0" % number
        assert len(here.bench.dialer.dialled) == 1


async def test_an_injected_request_costs_no_upstream(autojump_clock: trio.abc.Clock) -> None:
    """Nothing is dialled, and the answer is the reply to the request's own chunk."""
    async with one_tunnel(probability=1.0) as (here, host, peer):
        before = len(host.calls)
        answer = await peer.ask(get("/"))
        assert answer.status == 429
        assert answer.header(b"x-faultinject") is not None
        assert not here.bench.dialer.dialled
        (call,) = host.calls[before:]
        assert isinstance(call.reply, Replace)
        assert len(call.reply.data) > len(answer.body)


async def test_the_upstream_is_the_targets(autojump_clock: trio.abc.Clock) -> None:
    """By SNI; the port is the target's own, or HTTPS's."""
    for target, port in ((TARGET, 443), (f"{TARGET}:8443", 8443)):
        async with one_tunnel(targets=(target,)) as (here, _, peer):
            await peer.ask(get("/"))
            authority = Authority(TARGET, port)
            assert here.bench.dialer.dialled == [Origin(authority, authority)]


async def test_large_bodies_both_ways(autojump_clock: trio.abc.Clock) -> None:
    """1 MB up, forwarded and answered by the fault; 3 MB down, in one reply."""

    async def script(upstream: Peer) -> None:
        while request := await upstream.read_message():
            await upstream.send(ok(request.body * 3))

    body = bytes(range(256)) * 4096
    async with one_tunnel(upstream=script) as (here, host, peer):
        answer = await peer.ask(post("/", body))
        assert answer.body == body * 3
        here.bench.inject(1.0)
        assert (await peer.ask(post("/", body))).status == 429
        here.bench.inject(0.0)
        assert (await peer.ask(post("/", b"abc"))).body == b"abc" * 3
        sizes = [len(each.reply.data) for each in host.calls if isinstance(each.reply, Replace)]
        assert len([size for size in sizes if size > len(body)]) == 1


async def test_an_answer_too_large_for_a_reply(autojump_clock: trio.abc.Clock) -> None:
    """The client's connection is closed, which it notices, and the reason is told."""
    async with one_tunnel(upstream=answers(ok(b"x" * 5_000_000))) as (here, host, peer):
        await peer.send(get("/"))
        assert await peer.end() == b""
        assert host.closed == "the answer is larger than a reply can be (4000000 bytes)"
        exchange = await here.bench.exchange()
        assert exchange.error == host.closed


async def test_a_slow_upstream_holds_the_chunk(autojump_clock: trio.abc.Clock) -> None:
    """Until its answer is whole, whatever the time that takes: events that come apart too."""
    finish = trio.Event()

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(10)
        await upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            await upstream.send(b"9\r\ndata: x\n\n\r\n")
            await trio.sleep(20)
        await finish.wait()
        await upstream.send(b"0\r\n\r\n")

    async with one_tunnel(upstream=script) as (here, host, peer):
        before = len(host.calls)
        await peer.send(get("/"))
        await trio.sleep(200)
        assert host.held is not None
        assert len(host.calls) == before
        finish.set()
        assert (await peer.answer()).body == b"data: x\n\n" * 5
        assert len(host.calls) == before + 1
        assert here.bench.outcomes == ["forwarded"]


async def test_a_streamed_upload_is_carried_as_it_comes(autojump_clock: trio.abc.Clock) -> None:
    """Each chunk is answered at once; only the last waits for the upstream."""
    arrived = bytearray()

    async def script(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        while len(arrived) < 300:
            arrived.extend(await upstream.receive())
        await trio.sleep(A_LONG_TIME / 10)
        await upstream.send(ok(b"thanks"))

    async with one_tunnel(upstream=script) as (_, host, peer):
        await peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n")
        for number in range(3):
            await trio.testing.wait_all_tasks_blocked()
            assert host.held is None
            assert len(arrived) == 100 * number
            await peer.send(b"x" * 100)
        await trio.testing.wait_all_tasks_blocked()
        assert host.held is not None
        assert (await peer.answer()).body == b"thanks"


async def test_an_answer_that_comes_before_the_uploads_end(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It is the reply to what the client sends next; the rest goes on to the upstream."""

    async def script(upstream: Peer) -> None:
        while head := await upstream.read_until(b"\r\n\r\n"):
            await upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            if head.startswith(b"POST"):
                assert await upstream.read_exactly(200) == b"x" * 200

    async with one_tunnel(upstream=script) as (_, host, peer):
        await peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert host.held is None
        await peer.send(b"x" * 100)
        assert (await peer.answer()).status == 413
        await peer.send(b"x" * 100)
        here_is_room = await peer.ask(get("/again"))
        assert here_is_room.status == 413


async def test_pipelined_requests(autojump_clock: trio.abc.Clock) -> None:
    """Those of one chunk are all answered in its reply."""
    async with one_tunnel() as (_, host, peer):
        before = len(host.calls)
        await peer.send(get("/1") + get("/2") + get("/3"))
        for number in (1, 2, 3):
            assert (await peer.answer()).body == b"GET /%d HTTP/1.1 0" % number
        assert len(host.calls) == before + 1


@pytest.mark.parametrize("injected", [False, True])
async def test_a_body_that_waits_for_a_100(injected: bool, autojump_clock: trio.abc.Clock) -> None:
    """An injected answer brings its own 100; an upstream's comes with the body's first chunk."""

    async def script(upstream: Peer) -> None:
        await upstream.read_until(b"\r\n\r\n")
        await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await upstream.send(ok(await upstream.read_exactly(3)))

    async with one_tunnel(upstream=script, probability=float(injected)) as (_, host, peer):
        head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        await peer.send(head)
        if injected:
            assert (await peer.answer()).status == 100
        await trio.sleep(1)  # a client waits no longer than it likes
        assert host.held is None
        answer = await peer.ask(b"abc")
        if not injected:
            assert answer.status == 100
            answer = await peer.answer()
        assert answer.status == (429 if injected else 200)


async def test_an_upgraded_tunnel(autojump_clock: trio.abc.Clock) -> None:
    """What the upstream says then is the reply to what the client says next."""

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(1)
        await upstream.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        while data := await upstream.receive():
            await upstream.send(data)

    upgrade = get("/", TARGET, b"Connection: Upgrade", b"Upgrade: websocket")
    async with one_tunnel(upstream=script) as (here, host, peer):
        assert (await peer.ask(upgrade)).status == 101
        await peer.send(b"one")
        await trio.testing.wait_all_tasks_blocked()
        assert host.held is None
        await peer.send(b"two")
        assert await peer.read_exactly(3) == b"one"
        await peer.close()
        await trio.testing.wait_all_tasks_blocked()
        assert here.bench.outcomes == ["upgraded"]


# Upstream connections


async def test_an_upstream_belongs_to_its_tunnel(autojump_clock: trio.abc.Clock) -> None:
    """And one that has ended meanwhile is not asked."""

    async def script(upstream: Peer) -> None:
        request = await upstream.read_message()
        assert request is not None
        await upstream.send(ok(request.line))
        with trio.move_on_after(5):
            await echoes(upstream)

    async with world(upstream=script) as here:
        one, two = [await here.tls(here.open()) for _ in range(2)]
        for peer in (one, two, one):
            assert (await peer.ask(get("/"))).status == 200
        assert len(here.bench.dialer.dialled) == 2
        await trio.sleep(10)
        assert (await one.ask(post("/", b"body"))).body == b"POST / HTTP/1.1"
        assert len(here.bench.dialer.dialled) == 3


async def test_an_upstream_that_cannot_be_had(autojump_clock: trio.abc.Clock) -> None:
    """The client gets our 502 and may go on."""
    async with one_tunnel() as (here, _, peer):
        here.bench.dialer.failure = UpstreamError("connect", "nobody is there")
        assert (await peer.ask(get("/"))).status == 502
        here.bench.dialer.failure = None
        assert (await peer.ask(get("/"))).status == 200


@pytest.mark.parametrize("reset", [False, True])
async def test_an_answer_that_breaks_off(reset: bool, autojump_clock: trio.abc.Clock) -> None:
    """The client must not wait for the rest: its connection is closed, or TLS ends behind it."""

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await trio.testing.wait_all_tasks_blocked()
        if reset:
            upstream.stream.reset()  # type: ignore[attr-defined]

    async with one_tunnel(upstream=script) as (here, host, peer):
        await peer.send(get("/"))
        if reset:
            assert await peer.end() == b""
            assert host.closed == "the connection was reset"
        else:
            assert (await peer.end()).endswith(b"half")
        assert here.bench.outcomes == ["upstream-error"]


async def test_a_body_that_ends_with_its_connection(autojump_clock: trio.abc.Clock) -> None:
    """Its end is TLS's own, in the same reply; then the tunnel is over."""
    async with one_tunnel(upstream=answers(b"HTTP/1.1 200 OK\r\n\r\n", b"until the end")) as (
        here,
        host,
        peer,
    ):
        await peer.send(get("/"))
        assert (await peer.rest()).endswith(b"\r\n\r\nuntil the end")
        await peer.close()
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(host.calls[-1].reply, Close)
        assert not here.open_tunnels


# Left alone


async def passes(host: ReplyHost, first: bytes) -> None:
    """Assert that a tunnel is passed on, from its first bytes, whole and both ways."""
    sent = first + bytes(range(256)) * 100
    client, upstream = Peer(host.client), Peer(host.upstream)
    await client.send(sent[:700], sent[700:])
    assert await upstream.read_exactly(len(sent)) == sent
    await upstream.send(b"whatever" * 1000)
    assert await client.read_exactly(8000) == b"whatever" * 1000
    assert host.closed is None


@pytest.mark.parametrize("chunk_bytes", [10, 4096])
@pytest.mark.parametrize(
    "upstream_call", [(Side.CLIENT, Direction.TO_PEER), (Side.UPSTREAM, Direction.FROM_PEER)]
)
async def test_a_host_that_is_no_target(
    chunk_bytes: int, upstream_call: tuple[Side, Direction], autojump_clock: trio.abc.Clock
) -> None:
    """It is the host's, bytes equal, from the first on, wherever its ClientHello was cut."""
    async with world() as here:
        host = here.open(chunk_bytes=chunk_bytes, upstream_call=upstream_call)
        hello = client_hello(client_context(), "other.example.org")
        await passes(host, hello)
        here.bench.runtime.draining = True
        host.give_up()
        await here.tunnels.drain()
        [relay] = here.bench.of(RelayEnded)
        assert (relay.host, relay.reason) == ("other.example.org", "not a target")
        assert (relay.sent_bytes, relay.received_bytes) == (len(hello) + 25600, 8000)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", id="HTTP"),
        pytest.param(b"\x00\x01garbage", id="garbage"),
        pytest.param(b"EHLO me\r\n", id="mail"),
        pytest.param(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", id="no ClientHello"),
        pytest.param(client_hello(client_context(), None), id="no name"),
        pytest.param(b"\x16\x03\x01\x40\x00\x01" + b"\x00" * 40_000, id="endless"),
    ],
)
async def test_what_has_no_name_of_a_target(first: bytes, autojump_clock: trio.abc.Clock) -> None:
    """Only SNI can name one."""
    async with world() as here:
        await passes(here.open(), first)


async def test_a_target_without_http_1_1(autojump_clock: trio.abc.Clock) -> None:
    """It is passed on, with a warning."""
    async with world() as here:
        host = here.open()
        await passes(host, client_hello(client_context(alpn=["h2"]), TARGET))
        here.tunnels._open[host.tunnel_id].end("enough")
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels
        [warned] = here.bench.of(Warned)
        assert warned.message == f"{TARGET} is relayed: the client offers only h2"


async def test_an_upstream_that_greets(autojump_clock: trio.abc.Clock) -> None:
    """Its words go on before the client has said any."""
    async with world() as here:
        host = here.open()
        await host.upstream.send_all(b"220 hello\r\n")
        assert await Peer(host.client).read_exactly(11) == b"220 hello\r\n"
        await passes(host, b"EHLO me\r\n")


# Ends


async def test_a_client_without_tls_1_2(autojump_clock: trio.abc.Clock) -> None:
    """It gets an alert as its reply, then the tunnel is over, and the reason is told."""
    async with world() as here:
        host = here.open()
        error = await Peer(host.client).fail_tls(outdated_context(), TARGET)
        assert "PROTOCOL_VERSION" in str(error)
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.reason == "the client offers no TLS 1.2 or later"
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels


async def test_a_client_that_refuses_our_certificate(autojump_clock: trio.abc.Clock) -> None:
    """Its alert is read, told, and answered by a close."""
    async with world() as here:
        host = here.open()
        await Peer(host.client).fail_tls(client_context(), TARGET)
        await trio.testing.wait_all_tasks_blocked()
        [failed] = here.bench.of(HandshakeFailed)
        assert failed.refused
        assert host.closed == SESSION_OVER
        assert not here.open_tunnels


async def test_garbage_in_the_handshake(autojump_clock: trio.abc.Clock) -> None:
    """It is answered by an alert, and then by a close."""
    async with world() as here:
        host = here.open()
        client = Peer(host.client)
        await client.send(client_hello(client_context(version=VERSIONS[0]), TARGET))
        await client.receive()
        await client.send(b"garbage" * 10)
        assert (await client.receive())[:1] == b"\x15"
        assert len(here.bench.of(HandshakeFailed)) == 1
        await client.send(b"more")
        assert await client.end() == b""
        assert host.closed == SESSION_OVER


async def test_garbage_after_the_handshake(autojump_clock: trio.abc.Clock) -> None:
    """It ends the tunnel."""
    async with one_tunnel() as (here, host, peer):
        await peer.ask(get("/"))
        client = Peer(host.client)
        await client.send(b"garbage" * 10)
        assert await client.receive() != b""
        await client.send(b"more")
        assert await client.end() == b""
        assert host.closed == SESSION_OVER
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels


async def test_what_is_no_http(autojump_clock: trio.abc.Clock) -> None:
    """It is refused in words, and the connection ends, all in one reply."""
    async with one_tunnel() as (here, _, peer):
        await peer.send(b"nonsense\r\n\r\n")
        assert (await peer.rest()).startswith(b"HTTP/1.1 400 ")
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels


async def test_a_client_that_says_goodbye(autojump_clock: trio.abc.Clock) -> None:
    """Its close_notify ends the tunnel at once."""
    async with one_tunnel() as (here, host, peer):
        await peer.ask(get("/"))
        assert isinstance(peer.stream, trio.SSLStream)
        with trio.move_on_after(1):
            await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels
        assert host.closed is not None or isinstance(host.calls[-1].reply, Replace)


async def test_a_host_that_ends_a_tunnel_in_the_middle_of_a_request(
    autojump_clock: trio.abc.Clock,
) -> None:
    """The upstream's work ends too, and nothing is left."""
    gone = trio.Event()

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await upstream.end()
        gone.set()

    async with one_tunnel(upstream=script) as (here, host, peer):
        await peer.send(get("/"))
        await trio.sleep(100)
        host.give_up()
        await gone.wait()
        await trio.testing.wait_all_tasks_blocked()
        [exchange] = here.bench.of(ExchangeEnded)
        assert exchange.outcome == "client-gone"
        assert not here.open_tunnels
        late = await here.tunnels.process_tunnel_data(*FROM_CLIENT, host.tunnel_id, b"late")
        assert late == Close("the session is over")


async def test_a_host_that_gives_up_at_once(autojump_clock: trio.abc.Clock) -> None:
    """There was no tunnel to speak of: nothing is told of a relay."""
    async with world() as here:
        with trio.CancelScope() as scope:
            scope.cancel()
            await here.tunnels.process_tunnel_data(*FROM_CLIENT, "tunnel", b"GET / HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert len(here.bench.of(SessionEnded)) == 1
        assert here.bench.of(RelayEnded) == []


async def test_a_client_that_resets_between_requests(autojump_clock: trio.abc.Clock) -> None:
    """Nothing tells of it; the tunnel ends when it has been idle for long enough."""
    async with one_tunnel(limits=Limits(idle_tunnel_seconds=30)) as (here, host, peer):
        await peer.ask(get("/"))
        host.client.reset()
        await trio.sleep(29)
        assert here.open_tunnels == 1
        await trio.sleep(2)
        assert not here.open_tunnels
        [ended] = here.bench.of(SessionEnded)
        assert ended.reason == "nothing came for too long while waiting for a request"


async def test_an_idle_tunnel_that_is_used_after_its_end(autojump_clock: trio.abc.Clock) -> None:
    """The client's connection is closed, with the reason."""
    async with one_tunnel(limits=Limits(idle_tunnel_seconds=30)) as (_, host, peer):
        await peer.ask(get("/"))
        await trio.sleep(A_LONG_TIME)
        await peer.send(get("/"))
        assert await peer.end() == b""
        assert host.closed == SESSION_OVER


async def test_an_idle_relay_is_over_too(autojump_clock: trio.abc.Clock) -> None:
    """Each chunk lets it live on."""
    async with world(limits=Limits(idle_tunnel_seconds=30)) as here:
        host = here.open()
        await passes(host, b"\x00first")
        for _ in range(3):
            await trio.sleep(25)
            await host.client.send_all(b"x")
        await trio.sleep(35)
        assert not here.open_tunnels
        assert len(here.bench.of(RelayEnded)) == 1


async def test_a_call_about_a_relay_that_is_taken_back(autojump_clock: trio.abc.Clock) -> None:
    """It ends the relay."""
    async with world() as here:
        host = here.open()
        await passes(host, b"\x00first")
        with trio.CancelScope() as taken_back:
            taken_back.cancel()
            await here.tunnels.process_tunnel_data(*FROM_CLIENT, host.tunnel_id, b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert len(here.bench.of(RelayEnded)) == 1
        assert not here.open_tunnels


async def test_an_upstream_that_never_answers(autojump_clock: trio.abc.Clock) -> None:
    """The call is held no longer than the limit, and the tunnel ends."""

    async def script(upstream: Peer) -> None:
        await upstream.end()

    async with one_tunnel(upstream=script) as (here, host, peer):
        began = trio.current_time()
        await peer.send(get("/"))
        assert await peer.end() == b""
        assert trio.current_time() - began == pytest.approx(HELD_SECONDS, abs=1)
        assert host.closed == "there was no answer within 600 s"
        await trio.testing.wait_all_tasks_blocked()
        assert not here.open_tunnels


async def test_a_handshake_that_does_not_go_on(autojump_clock: trio.abc.Clock) -> None:
    """It ends within its limit, before and after the ClientHello's end."""
    async with world() as here:
        hello = client_hello(client_context(), TARGET)
        for first in (hello[:100], hello):
            await here.open().client.send_all(first)
        await trio.sleep(Limits().handshake_seconds * 2 + 60)
        assert not here.open_tunnels


async def test_draining(autojump_clock: trio.abc.Clock) -> None:
    """Idle tunnels end, one at work is finished first, new ones are closed."""

    async def script(upstream: Peer) -> None:
        await upstream.read_message()
        await trio.sleep(3)
        await upstream.send(ok(b"done"))

    async with world(upstream=script) as here:
        busy = await here.tls(here.open())
        await here.tls(here.open())
        await passes(here.open(), b"\x00x")
        got: list[Message] = []

        async def use() -> None:
            got.append(await busy.ask(get("/")))

        here.nursery.start_soon(use)
        await trio.testing.wait_all_tasks_blocked()
        here.bench.runtime.draining = True
        await here.tunnels.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert [message.body for message in got] == [b"done"]
        assert isinstance(await here.tunnels.process_tunnel_data(*FROM_CLIENT, "new", b"x"), Close)
        assert not here.open_tunnels


async def test_a_hundred_tunnels_at_once(uncollected: None, autojump_clock: trio.abc.Clock) -> None:
    """Each with mixed requests; none gets another's answer."""
    async with world() as here:

        async def use(number: int) -> None:
            peer = await here.tls(here.open())
            for turn in range(4):
                await trio.sleep((number * 7 + turn * 3) % 11 / 1000)
                here.bench.inject(turn % 2)
                answer = await peer.ask(post(f"/{number}/{turn}", b"x" * 5000))
                line = b"POST /%d/%d HTTP/1.1 5000" % (number, turn)
                assert answer.status == 429 or answer.body == line

        async with trio.open_nursery() as clients:
            for number in range(100):
                clients.start_soon(use, number)
        assert here.open_tunnels == 100
        assert len(here.bench.outcomes) == 400
        assert {"injected", "forwarded"} == set(here.bench.outcomes)
