"""Plain bytes through the lanes and the simulated host: everything arrives, in order, once."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from faultinject.net.relay import Relayed, relay
from faultinject.net.timeouts import Timeout
from faultinject.plugin.duplex.lanes import BLOCK_BYTES, FILLER, LanePair
from faultinject.plugin.interface import Direction, Side
from faultinject.plugin.wakeup import wake_while_unproven
from tests.support.examples import examples
from tests.support.fault_host import FaultTunnel
from tests.support.fault_plugins import OneTunnel

MEGABYTE = 1024 * 1024
Session = Callable[[LanePair], Awaitable[None]]


async def relayed(pair: LanePair) -> None:
    """Relay as the proxy does."""
    with Timeout() as timeout:
        await relay(pair.client, pair.upstream, Relayed(), timeout, 50_000)


@asynccontextmanager
async def tunnel_serving(
    session: Session, *, raw: bool = False, socket_bytes: int = 64 * 1024
) -> AsyncIterator[tuple[FaultTunnel, LanePair]]:
    """Run a tunnel whose session is this."""
    plugin = OneTunnel()
    tunnel = FaultTunnel(plugin, raw=raw, socket_bytes=socket_bytes)
    async with tunnel.running(), trio.open_nursery() as nursery:
        nursery.start_soon(session, plugin.pair)
        yield tunnel, plugin.pair
        nursery.cancel_scope.cancel()


def noise(count: int, seed: int) -> bytes:
    """Return bytes of which no part is like another."""
    return random.Random(seed).randbytes(count)


@pytest.mark.parametrize("raw", [False, True])
async def test_megabytes_both_ways_at_once(raw: bool, autojump_clock: trio.abc.Clock) -> None:
    """5 MB up and 5 MB down, unchanged; an input costs one slot."""
    up, down = noise(5 * MEGABYTE, 1), noise(5 * MEGABYTE, 2)
    async with tunnel_serving(relayed, raw=raw) as (tunnel, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel.client.send_all, up)
            nursery.start_soon(tunnel.upstream.send_all, down)
            nursery.start_soon(tunnel.client.receive_bytes, len(down))
            nursery.start_soon(tunnel.upstream.receive_bytes, len(up))
        assert tunnel.client.received == down
        assert tunnel.upstream.received == up
        calls = [(call.side, call.direction) for call in tunnel.calls]
    for side in Side:
        other = Side.UPSTREAM if side is Side.CLIENT else Side.CLIENT
        inputs = calls.count((side, Direction.FROM_PEER))
        assert inputs == calls.count((other, Direction.TO_PEER)) == 5 * MEGABYTE // 4096


async def test_half_closes_pass_though_nobody_sees_them(autojump_clock: trio.abc.Clock) -> None:
    """Fault hands on a peer's end by itself; the other direction goes on; both end the tunnel."""
    async with tunnel_serving(relayed) as (tunnel, pair):
        await tunnel.client.send_all(b"request")
        assert await tunnel.upstream.receive_bytes(7) == b"request"
        await tunnel.client.send_eof()
        assert await tunnel.upstream.receive_all() == b"request"
        await tunnel.upstream.send_all(b"response")
        assert await tunnel.client.receive_bytes(8) == b"response"
        await tunnel.upstream.aclose()
        assert await tunnel.client.receive_all() == b"response"
        assert not pair.over.is_set(), "with no call in flight nothing tells"


async def test_a_tunnel_that_ends_with_a_call_in_flight_is_over(
    autojump_clock: trio.abc.Clock,
) -> None:
    """The cancelled call says so, and the session sees both ends."""
    ended = trio.Event()

    async def read_upstream_only(pair: LanePair) -> None:
        assert await pair.client.receive_some() == b"held"
        assert await pair.upstream.receive_some() == b""
        ended.set()

    async with tunnel_serving(read_upstream_only, raw=True) as (tunnel, pair):
        await tunnel.client.send_all(b"held")
        await trio.testing.wait_all_tasks_blocked()
        tunnel.upstream.reset()
        await ended.wait()
        assert pair.ended_because == "the host ended the tunnel"


async def test_a_closed_session_says_its_last_words(autojump_clock: trio.abc.Clock) -> None:
    """What was written before the close arrives, then the peers see their ends."""

    async def session(pair: LanePair) -> None:
        await pair.client.receive_some()
        await pair.upstream.send_all(b"ask")
        pair.up.end_turn()
        await pair.upstream.receive_some()
        await pair.client.send_all(b"answer and farewell")
        await pair.client.aclose()
        await pair.upstream.aclose()

    async with tunnel_serving(session) as (tunnel, _):
        await tunnel.client.send_all(b"request")
        assert await tunnel.upstream.receive_bytes(3) == b"ask"
        await tunnel.upstream.send_all(b"told")
        assert await tunnel.client.receive_bytes(19) == b"answer and farewell"
        await tunnel.client.send_all(b"more?")
        assert await tunnel.upstream.receive_all() == b"ask"
        await tunnel.upstream.aclose()
        assert await tunnel.client.receive_all() == b"answer and farewell"


async def test_one_registration_alone_ends_the_tunnel(autojump_clock: trio.abc.Clock) -> None:
    """No byte of a block ever counts as data without a word: the error names the mend."""
    plugin = OneTunnel()
    tunnel = FaultTunnel(plugin, sides=(Side.UPSTREAM,))
    async with tunnel.running(), trio.open_nursery() as nursery:
        nursery.start_soon(relayed, plugin.pair)
        await tunnel.client.send_all(b"request")
        await plugin.pair.over.wait()
    assert "both of its ports must be registered" in plugin.pair.ended_because
    assert not tunnel.upstream.received


# Uploads


async def carry_up(pair: LanePair) -> None:
    """Read all of the client's bytes, four inputs a turn as TLS records are, and pass them on."""
    await pair.client.receive_some()
    await pair.upstream.send_all(b"carrier")
    pair.up.end_turn()
    await pair.upstream.receive_some()
    pair.down.end_turn(promised=1)
    while True:
        await pair.upstream.send_all(
            b"".join([bytes(await pair.client.receive_some()) for _ in range(4)])
        )


async def carry_up_with_kicks(pair: LanePair) -> None:
    """Do that with the kicker beside it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake_while_unproven, pair.up, pair.down)
        await carry_up(pair)


UPLOAD = noise(48 * 4096, 3)


async def upload_slowly(tunnel: FaultTunnel) -> bytes:
    """Send an upload to an upstream that pauses; return what has arrived after an hour."""
    await tunnel.client.send_all(b"POST")
    assert await tunnel.upstream.receive_bytes(7) == b"carrier"
    await tunnel.upstream.send_all(b"carrier's response")
    with trio.move_on_after(3600):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel.client.send_all, UPLOAD)
            await trio.sleep(2)
            await tunnel.upstream.receive_bytes(len(UPLOAD))
    return bytes(tunnel.upstream.received.removeprefix(b"carrier"))


async def test_an_upload_stalls_without_kicks(autojump_clock: trio.abc.Clock) -> None:
    """P3 as the plugin meets it: this is what the kicker is for."""
    async with tunnel_serving(carry_up, socket_bytes=20_000) as (tunnel, _):
        arrived = await upload_slowly(tunnel)
    assert UPLOAD.startswith(arrived)
    assert len(arrived) < len(UPLOAD)


async def test_an_upload_goes_on_with_kicks(autojump_clock: trio.abc.Clock) -> None:
    """All of it arrives, after the pause and a few kicks."""
    async with tunnel_serving(carry_up_with_kicks, socket_bytes=20_000) as (tunnel, pair):
        started = trio.current_time()
        assert await upload_slowly(tunnel) == UPLOAD
        assert trio.current_time() - started < 4
        kicked = [
            c for c in tunnel.calls if (c.side, c.direction) == (Side.CLIENT, Direction.TO_PEER)
        ]
        assert 2 < len(kicked) < 40
        assert pair.down.slots == 1
    assert not pair.up.proves


async def test_no_kick_where_nothing_is_unproven(autojump_clock: trio.abc.Clock) -> None:
    """A fast upload, and an idle one, cost no kick at all."""
    async with tunnel_serving(carry_up_with_kicks) as (tunnel, _):
        await tunnel.client.send_all(b"POST")
        await tunnel.upstream.receive_bytes(7)
        await tunnel.upstream.send_all(b"carrier's response")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel.client.send_all, UPLOAD)
            assert await tunnel.upstream.receive_bytes(len(UPLOAD)) == UPLOAD
        await trio.sleep(3600)
        kicked = [
            c for c in tunnel.calls if (c.side, c.direction) == (Side.CLIENT, Direction.TO_PEER)
        ]
    assert len(kicked) == 1


# Every interleaving

Step = tuple[Side, int, float]
steps = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.sampled_from([1, 2, 4095, 4096, 4097, BLOCK_BYTES, BLOCK_BYTES + 1, 20_000]),
        st.sampled_from([0, 0, 0.001, 1]),
    ),
    max_size=12,
)


async def play(script: list[Step], socket_bytes: int, raw: bool) -> None:
    """Let both peers send as the script has it; everything must arrive unchanged."""
    sent = {Side.CLIENT: b"", Side.UPSTREAM: b""}
    async with tunnel_serving(relayed, raw=raw, socket_bytes=socket_bytes) as (tunnel, pair):
        peers = {Side.CLIENT: tunnel.client, Side.UPSTREAM: tunnel.upstream}
        async with trio.open_nursery() as nursery:
            for number, (side, size, pause_seconds) in enumerate(script):
                data = noise(size, number)
                sent[side] += data
                await peers[side].send_all(data)
                await trio.sleep(pause_seconds)
                if number == 0:
                    for peer in peers.values():
                        nursery.start_soon(peer.receive_bytes, 10**9)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert tunnel.upstream.received == sent[Side.CLIENT]
        assert tunnel.client.received == sent[Side.UPSTREAM]
        assert not pair.over.is_set()
        assert FILLER not in tunnel.upstream.received + tunnel.client.received


@given(steps, st.sampled_from([32 * 1024, 64 * 1024]), st.booleans())
@examples(60)
def test_any_interleaving_arrives(script: list[Step], socket_bytes: int, raw: bool) -> None:
    """Whoever sends what and when, each byte arrives once and in its place."""
    trio.run(play, script, socket_bytes, raw, clock=trio.testing.MockClock(autojump_threshold=0))
