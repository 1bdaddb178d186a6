"""The streams of a tunnel: Trio's contract, and when they ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from faultinject.plugin.chunk_stream import ChunkStream
from faultinject.plugin.duplex.lanes import FILLER, LanePair
from faultinject.plugin.interface import Close, Direction, Replace, Reply, Side
from tests.support.ferry import joined

A_INPUT = (Side.CLIENT, Direction.FROM_PEER)
A_SLOT = (Side.CLIENT, Direction.TO_PEER)
B_INPUT = (Side.UPSTREAM, Direction.FROM_PEER)
B_SLOT = (Side.UPSTREAM, Direction.TO_PEER)


class Calls:
    """Makes the host's calls, and keeps their answers."""

    def __init__(self, nursery: trio.Nursery, pair: LanePair) -> None:
        self.nursery = nursery
        self.pair = pair

    async def __call__(self, call: tuple[Side, Direction], chunk: bytes = FILLER) -> list[Reply]:
        """Make a call; its answer appears in the list."""
        answers: list[Reply] = []

        async def make() -> None:
            answers.append(await self.pair.answer_chunk(*call, chunk))

        self.nursery.start_soon(make)
        await trio.testing.wait_all_tasks_blocked()
        return answers


@pytest.fixture
def pair() -> LanePair:
    """A tunnel."""
    return LanePair()


@pytest.fixture
def call(nursery: trio.Nursery, pair: LanePair) -> Calls:
    """The host of the tunnel."""
    return Calls(nursery, pair)


@pytest.mark.parametrize("limit_bytes", [1000, 2**16])
async def test_the_contract(limit_bytes: int, nursery: trio.Nursery) -> None:
    """Trio's own checks of two-way streams pass, with both ends in tunnels."""

    async def make() -> tuple[ChunkStream, ChunkStream]:
        return await joined(nursery, limit_bytes)

    await trio.testing.check_two_way_stream(make, None)
    nursery.cancel_scope.cancel()


async def test_the_contract_where_it_is_clogged(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    """A sender at the limit waits, is woken by a reader, a close, or a cancellation."""

    async def make() -> tuple[ChunkStream, ChunkStream]:
        return await joined(nursery, 1000)

    async def clogged() -> tuple[ChunkStream, ChunkStream]:
        ends = await make()
        for end in ends:
            with trio.move_on_after(0.01):
                while True:
                    await end.send_all(b"x" * 100)
        return ends

    await trio.testing.check_two_way_stream(make, clogged)
    nursery.cancel_scope.cancel()


def test_there_is_no_half_close() -> None:
    """Neither to be done nor to be seen, so the type does not promise it."""
    assert not issubclass(ChunkStream, trio.abc.HalfCloseableStream)


async def test_the_four_calls_meet_the_right_streams(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """A client's bytes are read from the client's stream and buy slots to the upstream."""
    from_client = await call(A_INPUT, b"request")
    assert await pair.client.receive_some() == b"request"
    await pair.upstream.send_all(b"REQUEST")
    assert from_client == []
    with trio.move_on_after(0.001):
        await pair.client.receive_some()
    assert from_client == [Replace(FILLER)]
    assert await call(B_SLOT) == [Replace(b"REQUEST")]

    from_upstream = await call(B_INPUT, b"response")
    assert await pair.upstream.receive_some() == b"response"
    await pair.client.send_all(b"RESPONSE")
    pair.down.end_turn()
    await trio.testing.wait_all_tasks_blocked()
    assert from_upstream == [Replace(FILLER)]
    assert await call(A_SLOT) == [Replace(b"RESPONSE")]


async def test_asking_is_reading_with_nothing_left(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """Reading the rest of an input does not ask, and an ask stays made when it is cancelled."""
    answer = await call(A_INPUT, b"abc")
    assert await pair.client.receive_some(2) == b"ab"
    assert await pair.client.receive_some(2) == b"c"
    await trio.testing.wait_all_tasks_blocked()
    assert answer == []
    with trio.move_on_after(0.001):
        await pair.client.receive_some()
    assert answer == [Replace(b"")]


async def test_an_ask_is_judged_when_it_is_made(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """What is written while the session waits goes with the next input."""
    answers: list[bytearray] = []

    async def read() -> None:
        answers.append(await pair.client.receive_some())
        answers.append(await pair.client.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        first = await call(A_INPUT, b"one")
        assert first == [Replace(b"")]
        await pair.upstream.send_all(b"too late")
        second = await call(A_INPUT, b"two")
    assert answers == [b"one", b"two"]
    assert second == []
    pair.up.end_turn()
    await trio.testing.wait_all_tasks_blocked()
    assert second == [Replace(FILLER)]


async def test_a_cancelled_read_loses_nothing(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """Bytes that come in the same step as the cancellation are there for the next read."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        pair.up.input(b"precious")
    assert bytes(await pair.client.receive_some()) == b"precious"


async def test_write_through_fills_promised_slots(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """In a handshake every write goes at once, where a slot is out for it."""
    hello = await call(A_INPUT, b"ClientHello")
    pair.up.write_through = True
    await pair.upstream.send_all(b"our ClientHello")
    assert hello == []
    pair.up.end_turn(promised=1)
    assert await call(B_SLOT) == [Replace(b"our ClientHello")]
    held = await call(B_SLOT)
    assert held == []
    await pair.upstream.send_all(b"Finished")
    await trio.testing.wait_all_tasks_blocked()
    assert held == [Replace(b"Finished")]


async def test_a_cancelled_call_ends_the_tunnel(pair: LanePair) -> None:
    """The streams are at their end, after what had come before."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.answer_chunk, *A_INPUT, b"last")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert pair.over.is_set()
    assert pair.ended_because == "the host ended the tunnel"
    assert await pair.client.receive_some() == b"last"
    assert await pair.client.receive_some() == b""
    assert await pair.upstream.receive_some() == b""
    for stream in (pair.client, pair.upstream):
        with pytest.raises(trio.BrokenResourceError, match="the host ended the tunnel"):
            await stream.send_all(b"x")
    assert await pair.answer_chunk(*B_INPUT, b"x") == Close("the host ended the tunnel")


@pytest.mark.parametrize("lane", [B_SLOT, A_SLOT])
async def test_a_broken_scheme_ends_the_tunnel_as_an_error(
    pair: LanePair, call: Calls, lane: tuple[Side, Direction]
) -> None:
    """Every call is closed with the reason, and whoever reads or writes hears it."""
    held = await call(A_INPUT, b"held")
    (answer,) = await call(lane, b"bytes that are no filler")
    assert isinstance(answer, Close)
    assert "both of its ports must be registered" in answer.reason
    assert held == [answer]
    assert pair.ended_because == answer.reason
    assert await pair.client.receive_some() == b"held"
    for stream in (pair.client, pair.upstream):
        with pytest.raises(trio.BrokenResourceError, match="both of its ports"):
            await stream.receive_some()


async def test_only_the_first_end_counts(pair: LanePair) -> None:
    """What comes after it is a consequence."""
    pair.end("first")
    pair.end("second", broken=True)
    assert pair.ended_because == "first"
    assert await pair.client.receive_some() == b""


async def test_a_write_that_belies_a_release_breaks_the_stream(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """The peer was told that a record of application data follows."""
    await call(B_INPUT, b"x")
    pair.down.end_turn(promised=1)
    slot = await call(A_SLOT)
    pair.down.release()
    await trio.testing.wait_all_tasks_blocked()
    assert slot == [Replace(b"\x17")]
    with pytest.raises(trio.BrokenResourceError, match="another kind followed"):
        await pair.client.send_all(b"\x15alert")


async def test_a_slot_too_many_breaks_the_stream(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """An ask that would need a fourth byte ahead of a record is an error, not a wait for ever."""
    for released in (b"\x17", b"\x03", b"\x03", None):
        await call(A_INPUT, b"x")
        assert await pair.client.receive_some() == b"x"
        pair.up.end_turn(promised=1)
        slot = await call(B_SLOT)
        if released:
            with trio.move_on_after(1):
                await pair.client.receive_some()
            assert slot == [Replace(released)]
    with pytest.raises(trio.BrokenResourceError, match="more slots were promised"):
        await pair.client.receive_some()


async def test_both_streams_closed_serve_what_is_left(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """close_notify goes out both ways, then the calls in hand are closed."""
    from_client, from_upstream = await call(A_INPUT, b"bye"), await call(B_INPUT, b"bye")
    await pair.client.send_all(b"client's close_notify")
    await pair.client.aclose()
    assert from_client == from_upstream == []
    await pair.upstream.send_all(b"upstream's close_notify")
    await pair.upstream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert from_client == from_upstream == [Replace(FILLER)]
    assert await call(A_SLOT) == [Replace(b"client's close_notify")]
    assert await call(B_SLOT) == [Replace(b"upstream's close_notify")]
    for side in (A_INPUT, B_INPUT):
        assert await call(side, b"x") == [Close("the session is over")]


async def test_views_of_other_items_are_sent_as_bytes(
    pair: LanePair, call: Calls, autojump_clock: trio.abc.Clock
) -> None:
    """A view is measured in bytes, whatever its items are."""
    await call(A_INPUT, b"x")
    await pair.upstream.send_all(memoryview(b"abcdefgh").cast("I"))
    pair.up.end_turn()
    assert await call(B_SLOT) == [Replace(b"abcdefgh")]


async def test_a_full_turn_is_let_go_and_waits(call: Calls, nursery: trio.Nursery) -> None:
    """A write beyond the limit ends the turn, and goes on as slots and inputs make room."""
    call.pair = pair = LanePair(limit_bytes=10)
    first = await call(A_INPUT, b"x")
    async with trio.open_nursery() as writing:
        writing.start_soon(pair.upstream.send_all, b"0123456789abc")
        await trio.testing.wait_all_tasks_blocked()
        assert first == [Replace(FILLER)]
        assert await call(B_SLOT) == [Replace(b"0123456789")]
    await call(A_INPUT, b"x")
    pair.up.end_turn()
    assert await call(B_SLOT) == [Replace(b"abc")]


Check = Callable[[ChunkStream], Awaitable[object]]


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: stream.send_all(b"x"),
        lambda stream: stream.receive_some(),
        lambda stream: stream.wait_send_all_might_not_block(),
    ],
)
async def test_a_closed_stream_says_so(pair: LanePair, use: Check) -> None:
    """Even where there is something to read."""
    pair.up.input(b"unread")
    await pair.client.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await use(pair.client)


async def test_what_is_known_without_waiting(pair: LanePair, call: Calls) -> None:
    """Whether there is something to read, and room for something to write."""
    assert not pair.client.has_arrived()
    await call(A_INPUT, b"abc")
    assert pair.client.has_arrived()
    await pair.client.receive_some(2)
    assert pair.client.has_arrived()
    await pair.client.receive_some(2)
    assert not pair.client.has_arrived()
    assert pair.upstream.has_room()
    await pair.upstream.send_all(bytes(pair.up.limit_bytes - 10))
    assert not pair.upstream.has_room()
    assert pair.client.has_room()
    pair.end("over")
    assert pair.client.has_arrived()
    assert not pair.client.has_room()
