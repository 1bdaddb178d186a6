"""Bytes both ways, and how a relay ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from faultinject.net.relay import Relayed, relay
from faultinject.net.timeouts import Timeout, TimeoutExpiredError
from tests.support.script import ScriptedPeer
from tests.unit.net.test_streams import Whole

IDLE_SECONDS = 10.0


@define
class Running:
    """A relay under way, and its two peers."""

    client: ScriptedPeer = field(factory=ScriptedPeer)
    upstream: ScriptedPeer = field(factory=ScriptedPeer)
    relayed: Relayed = field(factory=Relayed)
    ended: bool = False
    timeout: Timeout = field(factory=Timeout)

    async def run(
        self, wrap: Callable[[ScriptedPeer], trio.abc.Stream] = lambda peer: peer.stream
    ) -> None:
        """Relay until the end."""
        await relay(
            self.client.stream, wrap(self.upstream), self.relayed, self.timeout, IDLE_SECONDS
        )
        self.ended = True


@asynccontextmanager
async def running(
    wrap: Callable[[ScriptedPeer], trio.abc.Stream] = lambda peer: peer.stream,
) -> AsyncIterator[Running]:
    """Run a relay beside the block."""
    it = Running()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.run, wrap)
        await settled()
        yield it
        nursery.cancel_scope.cancel()


async def settled() -> None:
    """Wait until nothing more happens by itself."""
    await trio.testing.wait_all_tasks_blocked()


async def test_bytes_go_both_ways_as_they_come() -> None:
    """Untouched, and counted."""
    async with running() as it:
        it.client.says(b"\x00hello")
        await settled()
        assert it.upstream.told() == b"\x00hello"
        it.upstream.says(b"a")
        it.upstream.says(b"nswer")
        await settled()
        assert it.client.told() == b"answer"
        assert it.relayed == Relayed(sent_bytes=6, received_bytes=6)
        assert not it.ended


@pytest.mark.parametrize("first", ["client", "upstream"])
async def test_a_half_close_is_passed_on_and_the_other_way_stays_open(first: str) -> None:
    """Until both sides have ended."""
    async with running() as it:
        one, other = it.client, it.upstream
        if first == "upstream":
            one, other = other, one
        one.says(b"last")
        one.ends()
        await settled()
        assert other.told() == b"last"
        assert other.was_ended
        assert not it.ended
        other.says(b"answer")
        await settled()
        assert one.told() == b"answer"
        other.ends()
        await settled()
        assert it.ended
        assert it.relayed.error is None
        assert one.was_ended


async def test_the_streams_stay_open_for_their_owners() -> None:
    """They may have a last word of their own to say."""
    async with running() as it:
        it.client.ends()
        it.upstream.ends()
        await settled()
        assert it.ended
        assert not it.client.was_closed
        assert not it.upstream.was_closed


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_a_break_on_one_side_ends_the_relay(side: str) -> None:
    """And is told, with the operating system's reason."""
    it = Running()
    (it.client if side == "client" else it.upstream).breaks("Connection reset by peer")
    await it.run()
    assert it.relayed.error == "Connection reset by peer"


async def test_a_break_while_writing_ends_the_relay() -> None:
    """A stream that gives no reason gets a plain one."""
    it = Running()

    async def fail() -> None:
        raise trio.BrokenResourceError

    it.upstream.stream.send_stream.send_all_hook = fail
    it.client.says(b"x")
    await it.run()
    assert it.relayed == Relayed(error="the connection broke")


async def test_the_end_of_one_side_ends_tls_on_the_other() -> None:
    """It has no halves: to wait for more would be to wait for what cannot be asked for."""
    async with running(Whole) as it:
        it.client.ends()
        await settled()
        assert it.ended
        assert it.relayed.error is None


async def test_the_end_of_tls_is_a_half_close_towards_a_socket() -> None:
    """What the socket still says is passed on."""
    async with running(Whole) as it:
        it.upstream.ends()
        await settled()
        assert it.client.was_ended
        assert not it.ended
        it.client.says(b"more")
        await settled()
        assert it.upstream.told() == b"more"


async def test_a_silent_relay_ends(autojump_clock: MockClock) -> None:
    """When neither side has said anything for the idle time; a byte of either starts it anew."""
    it = Running()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def say() -> None:
            for peer in (it.client, it.upstream):
                await trio.sleep(IDLE_SECONDS - 1)
                peer.says(b"x")

        with pytest.raises(TimeoutExpiredError, match="either side of a relay"), it.timeout:
            await it.run()
    assert trio.current_time() - started == 2 * (IDLE_SECONDS - 1) + IDLE_SECONDS


async def test_a_peer_that_does_not_read_holds_up_the_other() -> None:
    """Nothing is gathered meanwhile: the next bytes are read when these are gone."""
    async with running() as it:
        gate = trio.Event()
        it.upstream.stream.send_stream.send_all_hook = gate.wait
        it.client.says(b"one")
        await settled()
        it.client.says(b"two")
        await settled()
        assert it.relayed.sent_bytes == 0
        assert await it.client.stream.receive_some() == b"two"  # still there
        gate.set()
        await settled()
        assert it.relayed.sent_bytes == 3
