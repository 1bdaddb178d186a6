"""When the plugin says that it is registered on one side only."""

from __future__ import annotations

import pytest
import trio

from faultinject.plugin.interface import Side
from faultinject.plugin.registrations import MISSING_AFTER_SECONDS, ROUND_SECONDS, Registrations

URLS = {Side.CLIENT: "http://127.0.0.1:50051", Side.UPSTREAM: "http://127.0.0.1:50052"}
FLAGS = "--grpc-plugin http://127.0.0.1:50051 --grpc-plugin http://127.0.0.1:50052"
COMMAND = f"fault run {FLAGS} --upstream https://api.example.com"
MISSING = {Side.CLIENT: URLS[Side.UPSTREAM], Side.UPSTREAM: URLS[Side.CLIENT]}


def registrations(mode="duplex"):
    return Registrations(mode, dict(URLS), COMMAND)


@pytest.mark.parametrize("side", Side)
async def test_one_side_alone(autojump_clock, side):
    """All is well for 15 s from the first call; then the reason and the mend."""
    one = registrations()
    one.called(side)
    await trio.sleep(MISSING_AFTER_SECONDS - 0.001)
    one.called(side)
    assert one.problem() is None
    await trio.sleep(0.001)
    assert one.problem() == (
        f"Fault uses this plugin on the {side.name.lower()}'s side of tunnels only, which cannot"
        f" work: --grpc-plugin {MISSING[side]} is missing. Start it with both: {COMMAND}"
    )


async def test_both_sides(autojump_clock):
    """All is well for good, however long one of them is then silent."""
    both = registrations()
    both.called(Side.UPSTREAM)
    both.called(Side.CLIENT)
    for _ in range(3):
        await trio.sleep(MISSING_AFTER_SECONDS)
        both.called(Side.CLIENT)
        assert both.problem() is None


async def test_the_missing_side_comes_late(autojump_clock):
    """All is well again: Fault was started anew, with both."""
    late = registrations()
    late.called(Side.CLIENT)
    await trio.sleep(MISSING_AFTER_SECONDS)
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


# What is said when a tunnel comes


@pytest.mark.parametrize("side", Side)
async def test_a_tunnel_on_one_side_alone(autojump_clock, side):
    """Is known at once after the host's first round, which the other side has its time in."""
    told = []
    one = Registrations("duplex", dict(URLS), COMMAND, told.append)
    one.polled(side)
    started = trio.current_time()
    assert await one.is_alone(side)
    assert trio.current_time() - started == ROUND_SECONDS
    assert await one.is_alone(side)
    assert trio.current_time() - started == ROUND_SECONDS
    (words,) = told
    assert MISSING[side] in words
    assert words.endswith(f"Start it with both: {COMMAND}")
    await trio.sleep(MISSING_AFTER_SECONDS)
    assert one.problem() == words
    assert told == [words]


async def test_a_tunnel_within_the_first_round(autojump_clock):
    """Waits for the other side, and no longer."""
    both = registrations()
    both.polled(Side.CLIENT)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def rest_of_the_round():
            await trio.sleep(ROUND_SECONDS / 2)
            both.polled(Side.UPSTREAM)

        started = trio.current_time()
        assert not await both.is_alone(Side.CLIENT)
        assert trio.current_time() - started == ROUND_SECONDS / 2
    for side in Side:
        assert not await both.is_alone(side)
    assert both.problem() is None


async def test_a_tunnel_before_the_first_round(autojump_clock):
    """Nothing is known yet: Fault runs on when a plugin is started anew."""
    early = registrations()
    early.called(Side.CLIENT)
    await trio.sleep(ROUND_SECONDS)
    assert not await early.is_alone(Side.CLIENT)
    early.polled(Side.CLIENT)
    early.called(Side.UPSTREAM)
    assert not await early.is_alone(Side.CLIENT)


async def test_a_tunnel_of_a_host_that_answers_the_sender(autojump_clock):
    """Needs one side only."""
    reply = registrations("reply")
    reply.polled(Side.CLIENT)
    await trio.sleep(ROUND_SECONDS)
    assert not await reply.is_alone(Side.CLIENT)
