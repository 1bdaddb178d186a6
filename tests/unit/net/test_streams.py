"""Streams with a prefix, and the ways to end one."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, check_half_closeable_stream, memory_stream_pair

from faultinject.net.streams import LINGER_SECONDS, CloseMode, PrefixedStream, close, half_close
from tests.support.pipes import pipe_pair
from tests.support.script import ScriptedPeer


class Whole(trio.abc.Stream):
    """A stream that has no halves, as TLS."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.inner = peer.stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


# With a prefix


async def test_a_reset_goes_through_if_there_is_one() -> None:
    """A stream that has none stays open."""
    peer = ScriptedPeer()
    PrefixedStream(b"x", Whole(peer)).reset()
    await peer.stream.send_all(b"still open")
    ours, theirs = pipe_pair()
    PrefixedStream(b"x", ours).reset()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_the_prefix_comes_first() -> None:
    """Then what the stream brings, and its end."""
    peer = ScriptedPeer(b"world")
    peer.ends()
    stream = PrefixedStream(b"hello", peer.stream)
    assert [await stream.receive_some() for _ in range(3)] == [b"hello", b"world", b""]


async def test_the_prefix_may_be_taken_in_pieces() -> None:
    """However small they are wanted."""
    peer = ScriptedPeer(b"lo")
    stream = PrefixedStream(b"hel", peer.stream)
    assert [await stream.receive_some(2) for _ in range(3)] == [b"he", b"l", b"lo"]


async def test_the_other_way_is_the_streams_own() -> None:
    """Sending, half-closing, closing."""
    peer = ScriptedPeer()
    stream = PrefixedStream(b"x", peer.stream)
    await stream.wait_send_all_might_not_block()
    await stream.send_all(b"data")
    assert peer.told() == b"data"
    await stream.send_eof()
    assert peer.was_ended
    assert not peer.was_closed
    await stream.aclose()
    assert peer.was_closed


async def test_it_keeps_trios_contract() -> None:
    """That of a stream that can be half-closed."""

    async def make() -> tuple[PrefixedStream, PrefixedStream]:
        one, two = memory_stream_pair()
        return PrefixedStream(b"", one), PrefixedStream(b"", two)

    await check_half_closeable_stream(make, None)


# Half-closing


async def test_a_stream_is_half_closed_if_it_can_be() -> None:
    """One without halves is left as it is."""
    for wrap, ended in ((lambda peer: peer.stream, True), (Whole, False)):
        peer = ScriptedPeer()
        await half_close(wrap(peer))
        assert peer.was_ended is ended


@pytest.mark.parametrize("error", [trio.BrokenResourceError, trio.ClosedResourceError])
async def test_half_closing_towards_a_gone_peer_is_fine(error: type[Exception]) -> None:
    """It will not read anything anyway."""

    class Gone(Whole, trio.abc.HalfCloseableStream):
        async def send_eof(self) -> None:
            raise error

    await half_close(Gone(ScriptedPeer()))


# Closing


async def test_when_all_was_said_and_read_the_stream_is_just_closed() -> None:
    """Nothing of the peer is waited for."""
    peer = ScriptedPeer()
    await close(peer.stream, CloseMode.CLEAN)
    assert peer.was_closed
    assert peer.was_ended


async def test_what_the_peer_still_sends_is_read_first(autojump_clock: MockClock) -> None:
    """After our half was closed, until it closes its own; a reset would else destroy our words."""
    peer = ScriptedPeer(b"more")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(close, peer.stream, CloseMode.LINGER)
        await trio.testing.wait_all_tasks_blocked()
        assert peer.was_ended
        assert not peer.was_closed
        peer.says(b"even more")
        await trio.testing.wait_all_tasks_blocked()
        assert not peer.was_closed
        peer.ends()
    assert peer.was_closed


async def test_a_peer_that_never_ends_is_cut_off(autojump_clock: MockClock) -> None:
    """After a while."""
    peer = ScriptedPeer()
    started = trio.current_time()
    await close(peer.stream, CloseMode.LINGER)
    assert peer.was_closed
    assert trio.current_time() - started == LINGER_SECONDS


async def test_a_peer_that_breaks_off_meanwhile_is_gone() -> None:
    """That is no error any more."""
    peer = ScriptedPeer()
    peer.breaks()
    await close(peer.stream, CloseMode.LINGER)
    assert peer.was_closed


async def test_a_broken_ending_says_nothing_more() -> None:
    """The peer sees that something is missing."""

    class Talkative(Whole):
        async def aclose(self) -> None:
            try:
                await self.inner.send_all(b"farewell")
            finally:
                await self.inner.aclose()

    peer = ScriptedPeer(b"unread")
    await close(Talkative(peer), CloseMode.TRUNCATE)
    assert peer.told() == b""
    assert peer.was_closed


async def test_a_cancelled_close_closes_all_the_same(autojump_clock: MockClock) -> None:
    """The stream is nobody else's to close."""
    peer = ScriptedPeer()
    with trio.move_on_after(LINGER_SECONDS / 2):
        await close(peer.stream, CloseMode.LINGER)
    assert peer.was_closed
