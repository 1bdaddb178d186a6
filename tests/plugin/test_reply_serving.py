"""The plugin in ``reply`` mode as a whole: over gRPC, by grpcio, with upstreams on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import frozen

from faultinject.authority import ConnectTo
from faultinject.events import ExchangeEnded, RelayEnded
from faultinject.plugin.interface import Close, Direction, PassThrough, Replace, Reply, Side
from faultinject.tls.leaf_cache import LeafCache
from tests.plugin.support import GIVEN_UP_SECONDS, ended
from tests.plugin.test_serving import Run, client_context, plugin
from tests.support.bench import TARGET, authority, echoes, get, post
from tests.support.peer import Peer
from tests.support.reply_host import ReplyHost
from tests.support.running import leads_to, upstream


@frozen
class Calls:
    """Calls a plugin over gRPC, on one registration, as a host that needs no other."""

    run: Run
    side: Side

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Call; take the call back if cancelled."""
        number = [Side.CLIENT, Side.UPSTREAM].index(side)
        way = [Direction.FROM_PEER, Direction.TO_PEER].index(direction)
        call = self.run.sides[self.side].start(
            "ProcessTunnelData", id=tunnel_id, side=number, direction=way, chunk=chunk
        )
        try:
            await ended(call)
        finally:
            call.cancel()  # if we were
        reply = call.result()
        kind = reply.WhichOneof("action")
        if kind == "close":
            return Close(reply.close.reason)
        if kind == "pass_through":
            return PassThrough(reply.pass_through.chunk)
        return Replace(reply.replace.modified_chunk)


def at(port: int) -> tuple[ConnectTo, ...]:
    """Have the target's name lead to a port of loopback."""
    return (leads_to(port),)


@pytest.mark.parametrize("side", Side)
async def test_tunnels_over_grpc(side: Side, tmp_path: Path) -> None:
    """From the host's calls to injected and forwarded answers, on either of the ports."""
    context = LeafCache(authority(), 10).context_for(TARGET)
    async with (
        upstream(echoes, context) as port,
        plugin(tmp_path, tunnel="reply", error_probability=0.5, connect_to=at(port)) as run,
        trio.open_nursery() as nursery,
    ):
        assert run.running.command == ""
        statuses: list[int] = []

        async def use(number: int) -> None:
            host = ReplyHost(Calls(run, side), f"tunnel-{number}")
            async with host.running():
                peer = Peer(host.client)
                await peer.start_tls(client_context(run), TARGET)
                for turn in range(4):
                    answer = await peer.ask(post(f"/{number}/{turn}", b"x" * 10_000))
                    line = b"POST /%d/%d HTTP/1.1 10000" % (number, turn)
                    assert answer.status == 429 or answer.body == line
                    statuses.append(answer.status)

        async with trio.open_nursery() as clients:
            for number in range(10):
                clients.start_soon(use, number)
        assert len(statuses) == 40
        assert set(statuses) == {200, 429}
        assert len(run.of(ExchangeEnded)) == 40
        nursery.cancel_scope.cancel()


async def test_what_is_no_target_is_passed_on_over_grpc(tmp_path: Path) -> None:
    """The host is told apart what goes on and what goes back."""
    async with plugin(tmp_path, tunnel="reply") as run:
        host = ReplyHost(Calls(run, Side.CLIENT))
        async with host.running():
            await host.client.send_all(b"\x00anything")
            assert await Peer(host.upstream).read_exactly(9) == b"\x00anything"
            await host.upstream.send_all(b"and back")
            assert await Peer(host.client).read_exactly(8) == b"and back"
    [relay] = run.of(RelayEnded)
    assert (relay.sent_bytes, relay.received_bytes) == (9, 8)


async def test_a_call_that_is_taken_back(tmp_path: Path) -> None:
    """The request's upstream is let go, and the exchange told of as given up by the client."""
    begun, gone = trio.Event(), trio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_message()
        begun.set()
        await peer.end()
        gone.set()

    context = LeafCache(authority(), 10).context_for(TARGET)
    async with (
        upstream(script, context) as port,
        plugin(tmp_path, tunnel="reply", connect_to=at(port), error_probability=0.0) as run,
    ):
        peer = Peer((host := ReplyHost(Calls(run, Side.CLIENT))).client)
        async with host.running():
            await peer.start_tls(client_context(run), TARGET)
            await peer.send(get("/"))
            await begun.wait()
            host.give_up()
            with trio.fail_after(GIVEN_UP_SECONDS):
                await gone.wait()
        [exchange] = run.of(ExchangeEnded)
        assert exchange.outcome == "client-gone"
