"""The stream of a tunnel whose host gives answers back: turns, ends, and Trio's contract."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
import trio
import trio.testing

from faultinject.plugin.chunk_stream import MOST_CHUNKS
from faultinject.plugin.interface import Close, Direction, PassThrough, Replace, Reply, Side
from faultinject.plugin.reply.reply_lane import HELD_SECONDS, SESSION_OVER, ReplyLane, ReplyStream

FROM_CLIENT = (Side.CLIENT, Direction.FROM_PEER)
OF_UPSTREAM = [
    (Side.CLIENT, Direction.TO_PEER),
    (Side.UPSTREAM, Direction.FROM_PEER),
    (Side.UPSTREAM, Direction.TO_PEER),
]
Give = Callable[[bytes], Awaitable[list[Reply]]]


@pytest.fixture
def lane() -> ReplyLane:
    """A tunnel."""
    return ReplyLane()


@pytest.fixture
def stream(lane: ReplyLane) -> ReplyStream:
    """The session's stream in it."""
    return lane.client


@pytest.fixture
def give(nursery: trio.Nursery, lane: ReplyLane) -> Give:
    """Gives the tunnel a chunk of the client; its answer appears in the list."""

    async def give(chunk: bytes) -> list[Reply]:
        answers: list[Reply] = []

        async def call() -> None:
            answers.append(await lane.answer_chunk(*FROM_CLIENT, chunk))

        nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        return answers

    return give


async def ask(stream: ReplyStream) -> None:
    """Wait for what the client says next, in vain."""
    with trio.move_on_after(1):
        await stream.receive_some()


# Turns


async def test_a_chunk_is_answered_when_the_session_asks_for_more(
    stream: ReplyStream, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """With all that was written until then; reading what is left of a chunk does not ask."""
    answer = await give(b"abc")
    assert await stream.receive_some(2) == b"ab"
    await stream.send_all(b"1")
    assert await stream.receive_some(2) == b"c"
    await stream.send_all(b"2")
    await trio.sleep(HELD_SECONDS / 2)
    assert answer == []
    await ask(stream)
    assert answer == [Replace(b"12")]


async def test_a_chunk_from_which_nothing_follows(
    stream: ReplyStream, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """It is answered with nothing, at the ask."""
    answer = await give(b"half a rec")
    assert await stream.receive_some() == b"half a rec"
    await ask(stream)
    assert answer == [Replace(b"")]


async def test_an_ask_is_judged_when_it_is_made(
    stream: ReplyStream, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """What is written while the client is waited for goes with the answer to its next chunk."""
    await ask(stream)
    await stream.send_all(b"early")
    answer = await give(b"x")
    assert answer == []
    await stream.receive_some()
    await stream.send_all(b", late")
    await ask(stream)
    assert answer == [Replace(b"early, late")]


async def test_an_ask_that_does_not_end_the_turn(
    lane: ReplyLane, stream: ReplyStream, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """A client that is only watched has its chunk held."""
    answer = await give(b"x")
    await stream.receive_some()
    lane.ends_turn = lambda: False
    await ask(stream)
    await stream.send_all(b"whole")
    assert answer == []
    lane.ends_turn = lambda: True
    await ask(stream)
    assert answer == [Replace(b"whole")]


async def test_chunks_wait_for_their_turn(
    stream: ReplyStream, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """A host that calls too early loses nothing, and mixes nothing up."""
    one, two = await give(b"one"), await give(b"two")
    assert await stream.receive_some() == b"one"
    await stream.send_all(b"ONE")
    assert await stream.receive_some() == b"two"
    assert (one, two) == ([Replace(b"ONE")], [])
    await ask(stream)
    assert two == [Replace(b"")]


async def test_an_empty_chunk_fetches_what_there_is(stream: ReplyStream, give: Give) -> None:
    """At once, whatever the session does."""
    await stream.send_all(b"words")
    assert await give(b"") == [Replace(b"words")]
    assert await give(b"") == [Replace(b"")]


@pytest.mark.parametrize("call", OF_UPSTREAM)
async def test_other_chunks_go_on_unchanged(lane: ReplyLane, call: tuple[Side, Direction]) -> None:
    """They are no business of a session with the client."""
    assert await lane.answer_chunk(*call, b"chunk") == PassThrough(b"chunk")


async def test_a_cancelled_read_loses_nothing(lane: ReplyLane, stream: ReplyStream) -> None:
    """Bytes that come in the same step as the cancellation are read, or left for the next read."""
    received: list[bytes] = []

    async def read() -> None:
        received.append(await stream.receive_some())

    for cancels_first in (True, False):
        async with trio.open_nursery() as reading:
            reading.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            if cancels_first:
                reading.cancel_scope.cancel()
            lane.bring(b"precious")
            reading.cancel_scope.cancel()
        if not received:
            await read()
        assert received.pop() == b"precious"


# Leaving it to the host


async def test_passing_on(
    lane: ReplyLane, stream: ReplyStream, give: Give, nursery: trio.Nursery
) -> None:
    """What was swallowed goes on with the chunk in hand; from then on every chunk as it is."""
    counts: list[tuple[int, int]] = []
    await give(b"lo")
    assert await stream.receive_some() == b"lo"
    reading = trio.CancelScope()

    async def read_on() -> None:
        with reading:
            await stream.receive_some()

    nursery.start_soon(read_on)
    await trio.testing.wait_all_tasks_blocked()
    answer = await give(b"ok")
    nursery.start_soon(lane.pass_on, b"look", lambda *count: counts.append(count))
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [PassThrough(b"look")]
    assert await give(b"more") == [PassThrough(b"more")]
    assert await lane.answer_chunk(*OF_UPSTREAM[0], b"answer") == PassThrough(b"answer")
    assert counts == [(4, 0), (4, 0), (0, 6)]
    lane.end("enough")
    await trio.testing.wait_all_tasks_blocked()
    assert await give(b"late") == [Close("enough")]


async def test_passing_on_a_chunk_of_which_only_the_beginning_was_read(
    lane: ReplyLane, stream: ReplyStream, give: Give, nursery: trio.Nursery
) -> None:
    """All of it goes on, and nothing of it is kept."""
    counts: list[tuple[int, int]] = []
    answer = await give(b"a long chunk")
    assert await stream.receive_some(6) == b"a long"
    nursery.start_soon(lane.pass_on, b"a long", lambda *count: counts.append(count))
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [PassThrough(b"a long chunk")]
    assert counts == [(12, 0)]
    assert stream.take_unread() == b""
    lane.end("enough")


async def test_passing_on_a_chunk_that_was_not_read(
    lane: ReplyLane, give: Give, nursery: trio.Nursery
) -> None:
    """It goes on behind what was read before."""
    answer = await give(b"look")
    nursery.start_soon(lane.pass_on, b"do ", lambda *_count: None)
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [PassThrough(b"do look")]
    lane.end("enough")


# Ends


async def test_the_last_words_answer_the_chunk_in_hand(
    lane: ReplyLane, stream: ReplyStream, give: Give
) -> None:
    """And the next one is closed."""
    answer = await give(b"bye")
    await stream.send_all(b"close_notify")
    await stream.aclose()
    await lane.flushed()
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Replace(b"close_notify")]
    assert await give(b"more") == [Close(SESSION_OVER)]


async def test_the_last_words_wait_for_the_next_chunk(
    lane: ReplyLane, stream: ReplyStream, give: Give, nursery: trio.Nursery
) -> None:
    """If none is in hand."""
    await stream.send_all(b"close_notify")
    await stream.aclose()
    served = trio.Event()

    async def wait() -> None:
        await lane.flushed()
        served.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    assert not served.is_set()
    assert await give(b"more") == [Replace(b"close_notify")]
    await served.wait()
    assert await give(b"more") == [Close(SESSION_OVER)]


async def test_without_last_words_it_closes_at_once(
    lane: ReplyLane, stream: ReplyStream, give: Give
) -> None:
    """Nothing is left to wait for."""
    answer = await give(b"bye")
    await stream.aclose()
    await lane.flushed()
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Close(SESSION_OVER)]


async def test_a_reset_closes_at_once(stream: ReplyStream, give: Give) -> None:
    """What was written is forgotten."""
    answer = await give(b"x")
    await stream.send_all(b"half an answ")
    stream.reset()
    await trio.aclose_forcefully(stream)
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Close("the connection was reset")]


async def test_a_forced_end_has_its_last_words(stream: ReplyStream, give: Give) -> None:
    """Nothing else could end the client's connection behind the half answer."""
    answer = await give(b"x")
    await stream.send_all(b"half an answ, ")
    with trio.move_on_after(0) as forced:
        forced.cancel()
        try:
            await stream.send_all(b"close_notify")
        finally:
            await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Replace(b"half an answ, close_notify")]
    assert await give(b"more") == [Close(SESSION_OVER)]


async def test_a_cancelled_call_ends_the_tunnel(
    lane: ReplyLane, stream: ReplyStream, autojump_clock: trio.abc.Clock
) -> None:
    """The session reads what had come, then the end, and can say nothing more."""
    with trio.move_on_after(1):
        await lane.answer_chunk(*FROM_CLIENT, b"last")
    assert await stream.receive_some() == b"last"
    assert await stream.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError, match="the host ended the tunnel"):
        await stream.send_all(b"x")
    assert await lane.answer_chunk(*FROM_CLIENT, b"x") == Close("the host ended the tunnel")


async def test_a_call_is_not_held_for_ever(
    lane: ReplyLane, give: Give, autojump_clock: trio.abc.Clock
) -> None:
    """The tunnel ends at the limit."""
    answer = await give(b"x")
    await trio.sleep(HELD_SECONDS + 1)
    assert answer == [Close("there was no answer within 600 s")]
    assert lane.over is not None


async def test_an_answer_too_large_for_a_reply_ends_the_tunnel(
    lane: ReplyLane, stream: ReplyStream, give: Give
) -> None:
    """The client would wait for its rest in vain."""
    lane.limit_bytes = 10
    answer = await give(b"x")
    await stream.send_all(b"0123456789")
    with pytest.raises(trio.BrokenResourceError, match="larger than a reply can be"):
        await stream.send_all(b"a")
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Close("the answer is larger than a reply can be (10 bytes)")]


async def test_between_turns_a_writer_waits_for_room(autojump_clock: trio.abc.Clock) -> None:
    """Then the client's next chunk fetches what there is."""
    lane = ReplyLane(limit_bytes=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.client.send_all, bytes(range(15)))
        await trio.testing.wait_all_tasks_blocked()
        assert await lane.answer_chunk(*FROM_CLIENT, b"") == Replace(bytes(range(10)))
        await trio.testing.wait_all_tasks_blocked()
        assert await lane.answer_chunk(*FROM_CLIENT, b"") == Replace(bytes(range(10, 15)))


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: stream.send_all(b"x"),
        lambda stream: stream.receive_some(),
        lambda stream: stream.wait_send_all_might_not_block(),
    ],
)
async def test_a_closed_stream_says_so(
    lane: ReplyLane, stream: ReplyStream, use: Callable[[ReplyStream], Awaitable[object]]
) -> None:
    """Even where there is something to read."""
    lane.bring(b"unread")
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await use(stream)


async def test_chunks_that_nobody_reads(lane: ReplyLane) -> None:
    """A session may answer some before it reads them, but it is no store for them."""
    for _ in range(MOST_CHUNKS):
        lane.bring(b"x")
        lane.replies.give(Replace())
        assert await lane.replies.wait() == Replace()
    words = f"more than {MOST_CHUNKS} chunks came that were not read"
    assert await lane.answer_chunk(*FROM_CLIENT, b"x") == Close(words)
    assert lane.over == words


# Trio's contract


class Spoken(ReplyStream):
    """A stream whose lane is told when something was written, or it was closed."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await super().send_all(data)
        cast("Fetched", self._sink).moved.unpark_all()

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            cast("Fetched", self._sink).moved.unpark_all()


class Fetched(ReplyLane):
    """A tunnel of which each answer is fetched as soon as there is one, and goes to another."""

    def __init__(self) -> None:
        super().__init__(limit_bytes=2**22)
        self.client = Spoken(self, self)
        self.answers, self._answers = trio.open_memory_channel[bytes](math.inf)
        self.moved = trio.lowlevel.ParkingLot()

    def _take_written(self) -> bytes:
        data = super()._take_written()
        self.answers.send_nowait(data)
        return data

    async def fetch(self) -> None:
        """Ask for what there is, with empty chunks, when there is something."""
        while isinstance(await self.answer_chunk(*FROM_CLIENT, b""), Replace):
            if not self._written and self.over is None:
                await self.moved.park()
        self.answers.close()

    async def bring_to(self, other: Fetched) -> None:
        """Give the answers to another stream, as chunks."""
        async for data in self._answers:
            for start in range(0, len(data), 1000):
                await other.answer_chunk(*FROM_CLIENT, data[start : start + 1000])
        other.end("the client is gone")
        other.moved.unpark_all()


async def test_the_contract(nursery: trio.Nursery) -> None:
    """Trio's own checks of two-way streams pass, as far as a turn is not larger than a reply."""

    async def make() -> tuple[ReplyStream, ReplyStream]:
        one, two = Fetched(), Fetched()
        for lane, other in ((one, two), (two, one)):
            nursery.start_soon(lane.fetch)
            nursery.start_soon(lane.bring_to, other)
        return one.client, two.client

    await trio.testing.check_two_way_stream(make, None)
    nursery.cancel_scope.cancel()


async def test_a_clogged_stream(autojump_clock: trio.abc.Clock) -> None:
    """Between turns a sender at the limit waits until what it wrote is fetched, or it is closed."""
    one = ReplyLane(limit_bytes=100).client
    await one.send_all(b"x" * 100)
    for use in (lambda: one.send_all(b"x"), one.wait_send_all_might_not_block):
        with trio.move_on_after(1) as waited:
            await use()
        assert waited.cancelled_caught
    async with trio.open_nursery() as writing:
        writing.start_soon(closed, one)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await one.send_all(b"x")
        await one.aclose()


async def closed(stream: ReplyStream) -> None:
    """Write until the stream is closed."""
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")
