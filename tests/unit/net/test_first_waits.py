"""First waits on real sockets: each ends at its time, loses nothing, and leaves no trace."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from faultinject.net.memory_stream import memory_stream_pair
from faultinject.net.socket_stream import SocketStream
from faultinject.net.streams import bottom_of
from faultinject.net.timeouts import FirstWaits
from faultinject.tls.layer import TlsSide, WrapTls
from faultinject.tls.stream import TlsStream
from faultinject.tls.trio_tls import TrioTlsStream
from tests.support.bench import TARGET, leaves, trusting_context

SECONDS = 0.05


@pytest.fixture
async def waits(nursery: trio.Nursery) -> AsyncIterator[FirstWaits]:
    """First waits that somebody runs."""
    waits = FirstWaits(SECONDS)
    nursery.start_soon(waits.run)
    await trio.testing.wait_all_tasks_blocked()
    yield waits
    nursery.cancel_scope.cancel()


def pair() -> tuple[SocketStream, SocketStream]:
    """Return two connected streams."""
    ours, theirs = socket.socketpair()
    return SocketStream(ours), SocketStream(theirs)


async def received(waits: FirstWaits, stream: SocketStream) -> bytes | None:
    """Return what comes in a first wait; None if nothing does."""
    with waits.on(stream):
        return await stream.receive_some()
    return None


async def test_it_ends_at_its_time_and_loses_nothing(
    waits: FirstWaits, autojump_clock: MockClock
) -> None:
    """What comes afterwards is there for the next receive."""
    ours, theirs = pair()
    async with ours, theirs:
        for _ in range(2):
            began = trio.current_time()
            assert await received(waits, ours) is None
            assert trio.current_time() - began == pytest.approx(SECONDS)
            await trio.sleep(1)
        await theirs.send_all(b"late")
        assert await ours.receive_some() == b"late"


async def test_what_comes_in_time_is_received(waits: FirstWaits, autojump_clock: MockClock) -> None:
    """And a later receive may take as long as it likes: the time was for this block."""
    ours, theirs = pair()
    async with ours, theirs, trio.open_nursery() as nursery:
        for seconds in (0, SECONDS / 2):
            nursery.start_soon(later, seconds, theirs, b"soon")
            assert await received(waits, ours) == b"soon"
        nursery.start_soon(later, 10, theirs, b"much later")
        assert await ours.receive_some() == b"much later"


async def later(seconds: float, stream: SocketStream, data: bytes) -> None:
    """Send after a time."""
    await trio.sleep(seconds)
    await stream.send_all(data)


async def test_each_ends_at_its_own_time(waits: FirstWaits, autojump_clock: MockClock) -> None:
    """Though they overlap, and some are over before."""
    ended: dict[float, tuple[float, bytes | None]] = {}

    async def one(begins: float, comes: float | None) -> None:
        ours, theirs = pair()
        async with ours, theirs, trio.open_nursery() as nursery:
            if comes is not None:
                nursery.start_soon(later, comes, theirs, b"x")
            await trio.sleep(begins)
            got = await received(waits, ours)
            ended[begins] = (trio.current_time() - started, got)

    started = trio.current_time()
    plan = {0.0: 0.01, 0.005: None, 0.02: 0.03, 0.025: 0.045, 0.03: None, 0.049: None, 0.2: None}
    async with trio.open_nursery() as nursery:
        for begins, comes in plan.items():
            nursery.start_soon(one, begins, comes)
    for begins, comes in plan.items():
        at, got = ended[begins]
        assert at == pytest.approx(begins + SECONDS if comes is None else comes)
        assert got == (None if comes is None else b"x")


async def test_a_block_that_is_between_two_receives_ends_at_the_next(
    waits: FirstWaits, autojump_clock: MockClock
) -> None:
    """As with a cancel scope; but what has come is received before."""
    ours, theirs = pair()
    async with ours, theirs:
        got = []
        with waits.on(ours):
            await theirs.send_all(b"a")
            got.append(await ours.receive_some())
            await theirs.send_all(b"b")
            await trio.sleep(1)
            got.append(await ours.receive_some())
            await ours.receive_some()
            pytest.fail("nothing more comes")
        assert got == [b"a", b"b"]
        await theirs.send_all(b"c")
        assert await ours.receive_some() == b"c"


async def test_closing_and_cancellation_are_what_they_are(
    waits: FirstWaits, autojump_clock: MockClock
) -> None:
    """A closed stream says so, in the block as elsewhere; a cancelled block is over."""
    ours, theirs = pair()
    async with ours, theirs:
        with trio.move_on_after(SECONDS / 2) as scope:
            await received(waits, ours)
        assert scope.cancelled_caught
        await trio.sleep(1)  # nothing is left to stop
        async with trio.open_nursery() as nursery:

            async def closed() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await received(waits, ours)

            nursery.start_soon(closed)
            await trio.testing.wait_all_tasks_blocked()
            await ours.aclose()
        with waits.on(ours):
            await trio.sleep(1)
            with pytest.raises(trio.ClosedResourceError):
                await ours.receive_some()


async def test_whoever_sends_meanwhile_goes_on(
    waits: FirstWaits, autojump_clock: MockClock
) -> None:
    """A receive that is stopped does not disturb a send that waits for room."""
    ours, theirs = pair()
    much = bytes(4_000_000)
    async with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, much)
            await trio.testing.wait_all_tasks_blocked()
            assert await received(waits, ours) is None
            size = 0
            while size < len(much):
                size += len(await theirs.receive_some())
        assert size == len(much)


async def test_a_busy_stream_leaves_the_queue_asleep(
    autojump_clock: MockClock,
) -> None:
    """A thousand waits that are soon over cost a few turns of its task, not a thousand."""

    class Turns(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += "FirstWaits.run" in task.name

    waits, turns = FirstWaits(SECONDS), Turns()
    trio.lowlevel.add_instrument(turns)
    ours, theirs = pair()
    async with ours, theirs, trio.open_nursery() as nursery:
        nursery.start_soon(waits.run)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(1000):
            nursery.start_soon(later, 0.001, theirs, b"x")
            assert await received(waits, ours) == b"x"
        assert turns.count < 10
        await trio.sleep(10)
        assert turns.count < 13
        assert await received(waits, ours) is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("runs", [True, False])
async def test_other_streams_have_a_cancel_scope(runs: bool, autojump_clock: MockClock) -> None:
    """As has a socket, if nobody runs the queue."""
    waits = FirstWaits(SECONDS)
    near, far = memory_stream_pair()
    ours, theirs = pair()
    async with near, far, ours, theirs, trio.open_nursery() as nursery:
        if runs:
            nursery.start_soon(waits.run)
            await trio.testing.wait_all_tasks_blocked()
        for bottom, stream in ((near, near), (None, near), (ours, ours)):
            began = trio.current_time()
            with waits.on(bottom):
                await stream.receive_some()
                pytest.fail("nothing comes")
            assert trio.current_time() - began == pytest.approx(SECONDS)
        nursery.cancel_scope.cancel()


async def test_after_the_run_there_are_scopes_again(autojump_clock: MockClock) -> None:
    """A queue that was cancelled stops nothing any more, so nobody waits in it."""
    waits = FirstWaits(SECONDS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    ours, theirs = pair()
    async with ours, theirs:
        assert await received(waits, ours) is None


class Dripping(SocketStream):
    """A stream that may send only the first bytes of what it is given."""

    __slots__ = ("held", "most")

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected)
        self.most: int | None = None
        self.held = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hold back what is beyond `most`."""
        most = len(data) if self.most is None else self.most
        self.held += bytes(data[most:])
        await super().send_all(data[:most])


@pytest.mark.parametrize("wrap_tls", [TlsStream, TrioTlsStream])
async def test_within_a_record_of_tls(
    waits: FirstWaits, wrap_tls: WrapTls, autojump_clock: MockClock
) -> None:
    """What has come of it is kept, and the rest is waited for again."""
    ends = socket.socketpair()
    ours, theirs = SocketStream(ends[0]), Dripping(ends[1])
    server = wrap_tls(ours, TlsSide(leaves().context_for(TARGET)))
    client = wrap_tls(theirs, TlsSide(trusting_context(), TARGET))
    async with server, client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            await client.do_handshake()
        assert bottom_of(server) is ours
        theirs.most = 10
        await client.send_all(b"whole")
        with waits.on(ours):
            await server.receive_some()
            pytest.fail("it is not whole")
        theirs.most = None
        await theirs.send_all(theirs.held)
        with waits.on(ours):
            assert await server.receive_some() == b"whole"
