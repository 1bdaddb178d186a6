"""Tunnels and their ids: one session each, and none in the middle of one."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing

from faultinject.plugin.duplex.duplex_tunnel import DuplexTunnel
from faultinject.plugin.duplex.lanes import FILLER, LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.plugin.interface import Close, Direction, Replace, Side
from faultinject.plugin.tunnels import FLUSH_SECONDS, REMEMBERED, Tunnels, client_name
from faultinject.proxy.session import Session
from faultinject.settings import Limits
from tests.plugin.support import make_services

A_INPUT = (Side.CLIENT, Direction.FROM_PEER)
B_SLOT = (Side.UPSTREAM, Direction.TO_PEER)


def make_tunnels(
    nursery: trio.Nursery, run: Any, limits: Limits | None = None
) -> Tunnels[LanePair]:
    """Return tunnels with sessions of this kind."""

    class Scripted(DuplexTunnel):
        async def run(self, own: trio.Nursery) -> None:
            await run(self.pair)

    def hosted(tunnel_id: str, pair: LanePair) -> Scripted:
        lease = TunnelLease(pair)
        session = Session(make_services([]), 1, client_name(tunnel_id), lease=lease)
        nothing = cast("Any", None)  # no handshake is done
        return Scripted(session, pair.client, pair=pair, lease=lease, start_tls=nothing)

    return Tunnels(nursery, limits or Limits(), LanePair, hosted)


async def one_word(pair: LanePair) -> None:
    """Read something, say its capitals to the upstream, and leave."""
    async with pair.client, pair.upstream:
        await pair.upstream.send_all((await pair.client.receive_some()).upper())


async def never_ends(pair: LanePair) -> None:
    """Wait for the tunnel's end."""
    async with pair.client, pair.upstream:
        await pair.over.wait()


async def test_each_id_is_a_session_of_its_own(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """Both registrations' calls meet in it, and its last words are served after its end."""
    tunnels = make_tunnels(nursery, one_word)
    for tunnel_id, word in (("1", b"one"), ("2", b"two")):
        assert await tunnels.process_tunnel_data(*A_INPUT, tunnel_id, word) == Replace(FILLER)
    for tunnel_id, word in (("2", b"TWO"), ("1", b"ONE")):
        assert tunnel_id in tunnels._open
        assert await tunnels.process_tunnel_data(*B_SLOT, tunnel_id, FILLER) == Replace(word)
        await trio.testing.wait_all_tasks_blocked()
        assert tunnel_id not in tunnels._open


async def test_a_tunnel_that_is_over_is_forgotten_in_the_end(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """Its late calls are closed, and do not begin another session."""
    tunnels = make_tunnels(nursery, one_word)
    await tunnels.process_tunnel_data(*A_INPUT, "1", b"x")
    assert len(tunnels._open) == 1
    await trio.sleep(FLUSH_SECONDS + 1)  # nobody takes its last words
    assert not tunnels._open
    assert await tunnels.process_tunnel_data(*A_INPUT, "1", b"x") == Close("the session is over")
    assert not tunnels._open


async def test_a_cancelled_call_forgets_the_tunnel_at_once(nursery: trio.Nursery) -> None:
    """The session sees the end, and nothing is left."""
    tunnels = make_tunnels(nursery, never_ends)
    async with trio.open_nursery() as calls:
        calls.start_soon(tunnels.process_tunnel_data, *A_INPUT, "1", b"x")
        await trio.testing.wait_all_tasks_blocked()
        calls.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not tunnels._open


async def test_there_is_a_largest_number(nursery: trio.Nursery) -> None:
    """Beyond it a tunnel is closed with the reason."""
    tunnels = make_tunnels(nursery, never_ends, Limits(sessions=1))
    nursery.start_soon(tunnels.process_tunnel_data, *A_INPUT, "1", b"x")
    await trio.testing.wait_all_tasks_blocked()
    answer = await tunnels.process_tunnel_data(*A_INPUT, "2", b"x")
    assert answer == Close("there are 1 tunnels already")
    nursery.cancel_scope.cancel()


async def test_what_is_remembered_is_bounded(nursery: trio.Nursery) -> None:
    """The oldest goes first."""
    tunnels = make_tunnels(nursery, one_word)
    for number in range(REMEMBERED + 1):
        pair = tunnels._open[str(number)] = LanePair()
        tunnels._scopes[str(number)] = trio.CancelScope()
        tunnels._forget(str(number), pair)
    assert len(tunnels._given_up) == REMEMBERED
    assert "0" not in tunnels._given_up
