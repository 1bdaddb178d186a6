"""When the plugin says that it is registered on one side only."""

from __future__ import annotations

import pytest
import trio

from faultinject.plugin.calls import Side
from faultinject.plugin.registrations import PATIENCE_SECONDS, Registrations

URLS = {Side.CLIENT: "http://127.0.0.1:50051", Side.UPSTREAM: "http://127.0.0.1:50052"}
FLAGS = "--grpc-plugin http://127.0.0.1:50051 --grpc-plugin http://127.0.0.1:50052"


def registrations(mode="duplex"):
    return Registrations(mode, dict(URLS))


@pytest.mark.parametrize("side", Side)
async def test_one_side_alone(autojump_clock, side):
    """All is well for 15 s from the first call; then the reason and the mend."""
    one = registrations()
    one.called(side)
    await trio.sleep(PATIENCE_SECONDS - 0.001)
    one.called(side)
    assert one.problem() is None
    await trio.sleep(0.001)
    assert one.problem() == (
        f"Fault uses this plugin on the {side.name.lower()}'s side of tunnels only, which cannot"
        f" work: start `fault run` with both {FLAGS}"
    )


async def test_both_sides(autojump_clock):
    """All is well for good, however long one of them is then silent."""
    both = registrations()
    both.called(Side.UPSTREAM)
    both.called(Side.CLIENT)
    for _ in range(3):
        await trio.sleep(PATIENCE_SECONDS)
        both.called(Side.CLIENT)
        assert both.problem() is None


async def test_the_missing_side_comes_late(autojump_clock):
    """All is well again: Fault was started anew, with both."""
    late = registrations()
    late.called(Side.CLIENT)
    await trio.sleep(PATIENCE_SECONDS)
    assert late.problem() is not None
    late.called(Side.UPSTREAM)
    assert late.problem() is None


async def test_nobody_calls(autojump_clock):
    """All is well: there is no host yet."""
    none = registrations()
    await trio.sleep(1000)
    assert none.problem() is None


async def test_reply_mode(autojump_clock):
    """One side is enough for a host that answers the sender."""
    reply = registrations("reply")
    reply.called(Side.CLIENT)
    await trio.sleep(1000)
    assert reply.problem() is None


def test_the_flags():
    """Both, as `fault run` takes them."""
    assert registrations().flags == FLAGS
