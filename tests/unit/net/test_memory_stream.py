"""The stream in memory against Trio's contract, and the promises that go beyond it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from faultinject.net.memory_stream import DEFAULT_LIMIT_BYTES, MemoryStream, memory_stream_pair

LIMIT_BYTES = 10


async def clogged(limit_bytes: int) -> tuple[MemoryStream, MemoryStream]:
    """Make a stream that takes no further byte, in either direction."""
    ends = memory_stream_pair(limit_bytes)
    for end in ends:
        await end.send_all(b"x" * limit_bytes)
    return ends


@pytest.mark.parametrize("limit_bytes", [1000, DEFAULT_LIMIT_BYTES])
@pytest.mark.parametrize(
    "check", [trio.testing.check_two_way_stream, trio.testing.check_half_closeable_stream]
)
async def test_the_contract(check: Callable[..., Awaitable[None]], limit_bytes: int) -> None:
    """Trio's own checks of streams pass."""

    async def make() -> tuple[MemoryStream, MemoryStream]:
        return memory_stream_pair(limit_bytes)

    async def make_clogged() -> tuple[MemoryStream, MemoryStream]:
        return await clogged(limit_bytes)

    await check(make, make_clogged)


async def test_a_sender_waits_at_the_limit(autojump_clock: trio.abc.Clock) -> None:
    """At most the limit is held; the rest follows piece by piece as the peer reads."""
    a, b = memory_stream_pair(LIMIT_BYTES)
    sent = trio.Event()

    async def send() -> None:
        await a.send_all(bytes(range(25)))
        sent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        assert await b.receive_some() == bytes(range(10))
        await trio.testing.wait_all_tasks_blocked()
        assert not sent.is_set()
        assert await b.receive_some(3) == bytes(range(10, 13))
        await trio.testing.wait_all_tasks_blocked()
        assert await b.receive_some() == bytes(range(13, 23))
        await trio.testing.wait_all_tasks_blocked()
        assert sent.is_set()
        assert await b.receive_some() == bytes(range(23, 25))


async def test_the_directions_do_not_block_each_other() -> None:
    """A full direction leaves the other one free."""
    a, b = await clogged(LIMIT_BYTES)
    assert await a.receive_some() == b"x" * LIMIT_BYTES
    await b.send_all(b"still")
    assert await a.receive_some() == b"still"


async def test_a_cancelled_receive_loses_nothing() -> None:
    """Bytes that arrive in the same step as a cancellation are there for the next call."""
    a, b = memory_stream_pair()
    received: list[bytes] = []

    async def receive() -> None:
        received.append(bytes(await b.receive_some()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await a.send_all(b"precious")
    received.append(bytes(await b.receive_some()))
    assert b"".join(received) == b"precious"


async def test_a_cancelled_send_leaves_a_beginning() -> None:
    """What a cancelled send leaves behind is the beginning of its data, and the stream works."""
    a, b = memory_stream_pair(LIMIT_BYTES)
    with trio.move_on_after(0) as before:
        await a.send_all(b"never")
    assert before.cancelled_caught

    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.send_all, b"0123456789-----")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await b.receive_some() == b"0123456789"
    await a.send_all(b"more")
    assert await b.receive_some() == b"more"


async def test_what_was_sent_before_a_close_arrives() -> None:
    """A close leaves the peer what was sent, and then the end."""
    a, b = memory_stream_pair()
    await a.send_all(b"last words")
    await a.aclose()
    assert await b.receive_some(4) == b"last"
    assert await b.receive_some() == b" words"
    assert await b.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await b.send_all(b"are you there?")


async def test_a_close_wakes_a_peer_that_waits_to_send() -> None:
    """A sender whose peer closes learns it at once, though it waits for room."""
    a, b = await clogged(LIMIT_BYTES)

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await a.send_all(b"x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await b.aclose()


async def test_half_closing_a_closed_end_is_an_error() -> None:
    """`send_eof` says so if the end was closed; a peer that has gone does not matter to it."""
    a, b = memory_stream_pair()
    await b.aclose()
    await a.send_eof()
    with pytest.raises(trio.ClosedResourceError):
        await b.send_eof()


async def test_views_of_other_items_are_sent_as_bytes() -> None:
    """A view is measured in bytes, whatever its items are."""
    a, b = memory_stream_pair()
    await a.send_all(memoryview(b"abcdefgh").cast("I"))
    assert await b.receive_some() == b"abcdefgh"


@pytest.mark.parametrize("limit_bytes", [0, -1])
def test_a_limit_below_one_is_refused(limit_bytes: int) -> None:
    """A stream that can hold nothing could carry nothing."""
    with pytest.raises(ValueError, match="limit_bytes must be at least 1"):
        memory_stream_pair(limit_bytes)


async def test_the_usual_limit_is_kept() -> None:
    """A long message arrives whole, and never more of it at once than the limit."""
    a, b = memory_stream_pair()
    data = b"z" * (3 * DEFAULT_LIMIT_BYTES)

    async def send() -> None:
        await a.send_all(data)
        await a.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        received = b""
        while piece := await b.receive_some():
            assert len(piece) <= DEFAULT_LIMIT_BYTES
            received += piece
    assert received == data
