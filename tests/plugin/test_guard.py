"""A defect in one tunnel closes that tunnel and nothing else."""

from __future__ import annotations

import trio
import trio.testing

from faultinject.events import SessionFailed
from faultinject.plugin import guard as guard_module
from faultinject.plugin.guard import CLOSED_BY_DEFECT, TunnelGuard
from faultinject.plugin.interface import Direction, Replace, Side
from tests.plugin.support import FakeTunnels


async def answer(chunk):
    """Fail, hold, or return."""
    if chunk == b"fail":
        raise RuntimeError("a broken lane")
    if chunk == b"hold":
        await trio.sleep_forever()
    return Replace(chunk)


def new_guard():
    events = []
    return TunnelGuard(FakeTunnels(answer), events.append), events


async def ask(guard, tunnel_id, chunk, side=Side.CLIENT, direction=Direction.FROM_PEER):
    return await guard.guarded_reply(side, direction, tunnel_id, chunk)


async def test_answers_pass():
    """As they are, and the question too."""
    guard, events = new_guard()
    reply = await ask(guard, "a", b"chunk", Side.UPSTREAM, Direction.TO_PEER)
    assert reply == Replace(b"chunk")
    assert guard.tunnels.asked == [(Side.UPSTREAM, Direction.TO_PEER, "a", b"chunk")]
    assert events == []


async def test_a_defect_is_told_and_closes_its_tunnel():
    """With the traceback; later calls are not even asked, other tunnels are."""
    guard, events = new_guard()
    assert await ask(guard, "a", b"fail") == CLOSED_BY_DEFECT
    assert await ask(guard, "a", b"chunk") == CLOSED_BY_DEFECT
    assert await ask(guard, "b", b"chunk") == Replace(b"chunk")
    assert [asked[2] for asked in guard.tunnels.asked] == ["a", "b"]
    (told,) = events
    assert isinstance(told, SessionFailed)
    assert (told.client, told.error) == ("tunnel a", "RuntimeError: a broken lane")
    assert "in answer" in told.traceback


async def test_a_defect_ends_the_calls_under_way(autojump_clock):
    """Those of its tunnel: at once, by Close."""
    guard, _ = new_guard()
    replies = {}

    async def hold(tunnel_id, side):
        replies[tunnel_id, side] = await ask(guard, tunnel_id, b"hold", side)

    async with trio.open_nursery() as nursery:
        for side in Side:
            nursery.start_soon(hold, "a", side)
            nursery.start_soon(hold, "b", side)
        await trio.testing.wait_all_tasks_blocked()
        await ask(guard, "a", b"fail")
        await trio.testing.wait_all_tasks_blocked()
        assert replies == dict.fromkeys([("a", side) for side in Side], CLOSED_BY_DEFECT)
        nursery.cancel_scope.cancel()
    assert len(replies) == 2


async def test_a_cancelled_call_is_cancelled():
    """The tunnel sees it, and so does who called; nothing is told."""
    guard, events = new_guard()
    with trio.CancelScope() as scope:
        scope.cancel()
        await ask(guard, "a", b"hold")
    assert scope.cancelled_caught
    assert events == []


async def test_nothing_is_kept_of_tunnels_that_are_over(monkeypatch):
    """But the last ones that had a defect."""
    monkeypatch.setattr(guard_module, "REMEMBERED", 3)
    guard, _ = new_guard()
    for number in range(10):
        await ask(guard, f"good {number}", b"chunk")
        await ask(guard, f"bad {number}", b"fail")
    assert guard._under_way == {}
    assert list(guard._broken) == ["bad 7", "bad 8", "bad 9"]
