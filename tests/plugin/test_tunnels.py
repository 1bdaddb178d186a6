"""Tunnels and their ids: one session each, and none in the middle of one."""

from __future__ import annotations

import trio
import trio.testing

from faultinject.limits import Limits
from faultinject.plugin.calls import Close, Direction, Replace, Side
from faultinject.plugin.lane_stream import LanePair
from faultinject.plugin.lanes import FILLER
from faultinject.plugin.tunnels import FAREWELL_SECONDS, REMEMBERED, Tunnels

A_INPUT = (Side.CLIENT, Direction.FROM_PEER)
B_SLOT = (Side.UPSTREAM, Direction.TO_PEER)


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
    tunnels = Tunnels(nursery, Limits(), one_word)
    for tunnel_id, word in (("1", b"one"), ("2", b"two")):
        assert await tunnels.process(*A_INPUT, tunnel_id, word) == Replace(FILLER)
    for tunnel_id, word in (("2", b"TWO"), ("1", b"ONE")):
        assert tunnel_id in tunnels._open
        assert await tunnels.process(*B_SLOT, tunnel_id, FILLER) == Replace(word)
        await trio.testing.wait_all_tasks_blocked()
        assert tunnel_id not in tunnels._open


async def test_a_tunnel_that_is_over_is_forgotten_in_the_end(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """Its late calls are closed, and do not begin another session."""
    tunnels = Tunnels(nursery, Limits(), one_word)
    await tunnels.process(*A_INPUT, "1", b"x")
    assert len(tunnels._open) == 1
    await trio.sleep(FAREWELL_SECONDS + 1)  # nobody takes its last words
    assert not tunnels._open
    assert await tunnels.process(*A_INPUT, "1", b"x") == Close("the session is over")
    assert not tunnels._open


async def test_a_cancelled_call_forgets_the_tunnel_at_once(nursery: trio.Nursery) -> None:
    """The session sees the end, and nothing is left."""
    tunnels = Tunnels(nursery, Limits(), never_ends)
    async with trio.open_nursery() as calls:
        calls.start_soon(tunnels.process, *A_INPUT, "1", b"x")
        await trio.testing.wait_all_tasks_blocked()
        calls.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not tunnels._open


async def test_there_is_a_largest_number(nursery: trio.Nursery) -> None:
    """Beyond it a tunnel is closed with the reason."""
    tunnels = Tunnels(nursery, Limits(sessions=1), never_ends)
    nursery.start_soon(tunnels.process, *A_INPUT, "1", b"x")
    await trio.testing.wait_all_tasks_blocked()
    answer = await tunnels.process(*A_INPUT, "2", b"x")
    assert answer == Close("there are 1 tunnels already")
    nursery.cancel_scope.cancel()


async def test_what_is_remembered_is_bounded(nursery: trio.Nursery) -> None:
    """The oldest goes first."""
    tunnels = Tunnels(nursery, Limits(), one_word)
    for number in range(REMEMBERED + 1):
        pair = tunnels._open[str(number)] = LanePair()
        tunnels._forget(str(number), pair)
    assert len(tunnels._given_up) == REMEMBERED
    assert "0" not in tunnels._given_up
