"""The simulated host does what the real one does: what it loses, where it stalls, how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from attrs import define, field

from faultinject.plugin.interface import Close, Direction, PassThrough, Replace, Reply, Side
from tests.support.fault_host import Buffer, FaultTunnel, Plugin
from tests.support.fault_plugins import Echo

Answer = Callable[[Side, Direction, bytes], Awaitable[Reply | Buffer]]


@define
class Scripted:
    """A plugin that is one function."""

    answer: Answer
    cancelled: list[tuple[Side, Direction]] = field(factory=list)

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply | Buffer:
        """Ask the function."""
        try:
            return await self.answer(side, direction, chunk)
        except trio.Cancelled:
            self.cancelled.append((side, direction))
            raise


async def send_paced(stream: trio.abc.SendStream, count: int) -> bytes:
    """Send numbered lines with pauses shorter than the plugin's; return all of them."""
    lines = [b"line %d\n" % number for number in range(count)]
    for line in lines:
        await stream.send_all(line)
        await trio.sleep(0.003)
    return b"".join(lines)


def tunnel_with(plugin: Plugin | Answer, **options: object) -> FaultTunnel:
    """Make a tunnel; a function will do for a plugin."""
    if callable(plugin):
        plugin = Scripted(plugin)
    return FaultTunnel(plugin, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", Side)
async def test_p1_an_echoing_plugin_loses_bytes(side: Side, autojump_clock: trio.abc.Clock) -> None:
    """What comes while a write call is in flight is acknowledged with its reply, and is gone."""
    tunnel = FaultTunnel(Echo(), sides=(side,))
    sender, receiver = (tunnel.client, tunnel.upstream)
    if side is Side.CLIENT:
        sender, receiver = receiver, sender
    async with tunnel.running():
        sent = await send_paced(sender, 40)
        await sender.send_eof()
        received = await receiver.receive_all()
    assert received.startswith(b"line 0\n")
    assert len(received) < len(sent)


async def test_p1_does_not_touch_the_read_path(autojump_clock: trio.abc.Clock) -> None:
    """One registration toward the client reads the client's bytes without a loss."""
    tunnel = FaultTunnel(Echo(), sides=(Side.CLIENT,))
    async with tunnel.running():
        sent = await send_paced(tunnel.client, 40)
        await tunnel.client.send_eof()
        assert await tunnel.upstream.receive_all() == sent
    assert {call.direction for call in tunnel.calls} == {Direction.FROM_PEER}


async def test_p1_spares_a_full_buffer_and_a_silent_sender(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Nothing is lost of what came in one piece, or fills the buffer."""
    tunnel = FaultTunnel(Echo(), sides=(Side.UPSTREAM,))
    async with tunnel.running():
        await tunnel.client.send_all(b"x" * 8192)
        await trio.sleep(0.001)
        await tunnel.client.send_all(b"y")
        await tunnel.client.send_eof()
        assert await tunnel.upstream.receive_all() == b"x" * 8192 + b"y"


async def test_an_empty_pass_through_forwards_the_buffer_of_that_moment(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It is the one reply that carries what came during the call."""

    async def pass_through(side: Side, direction: Direction, chunk: bytes) -> Reply:
        await trio.sleep(0.01)
        return PassThrough(b"")

    tunnel = tunnel_with(pass_through, sides=(Side.UPSTREAM,))
    async with tunnel.running():
        sent = await send_paced(tunnel.client, 20)
        await tunnel.client.send_eof()
        assert await tunnel.upstream.receive_all() == sent


async def test_p2_an_empty_replace_is_asked_again_with_what_came_since(
    autojump_clock: trio.abc.Clock,
) -> None:
    """The poll that loses nothing: same bytes first, then the new ones too."""
    seen: list[bytes] = []

    async def poll_twice(side: Side, direction: Direction, chunk: bytes) -> Reply:
        seen.append(chunk)
        await trio.sleep(0.01)
        return Replace(chunk if len(seen) == 3 else b"")

    tunnel = tunnel_with(poll_twice, sides=(Side.UPSTREAM,))
    async with tunnel.running():
        await tunnel.client.send_all(b"one")
        await trio.sleep(0.005)
        await tunnel.client.send_all(b"two")
        assert await tunnel.upstream.receive_bytes(6) == b"onetwo"
    assert seen == [b"one", b"onetwo", b"onetwo"]


async def long_reply(side: Side, direction: Direction, chunk: bytes) -> Reply:
    """Swallow the upstream's bytes, and write more than the socket takes toward it."""
    return Replace(b"r" * 20_000) if direction is Direction.TO_PEER else Replace(chunk)


async def test_p3_a_reply_taken_in_part_stalls(autojump_clock: trio.abc.Clock) -> None:
    """The peer reads, there is room again, and nothing more comes."""
    tunnel = tunnel_with(long_reply, sides=(Side.UPSTREAM,), socket_bytes=16_384)
    async with tunnel.running():
        await tunnel.client.send_all(b"go")
        await trio.sleep(1)
        assert await tunnel.upstream.receive_bytes(16_384) == b"r" * 16_384
        with trio.move_on_after(3600) as waited:
            await tunnel.upstream.receive_some()
        assert waited.cancelled_caught


async def test_p3_ends_when_something_wakes_the_task(autojump_clock: trio.abc.Clock) -> None:
    """A byte in the other direction is enough."""
    tunnel = tunnel_with(long_reply, sides=(Side.UPSTREAM,), socket_bytes=16_384)
    async with tunnel.running():
        await tunnel.client.send_all(b"go")
        await trio.sleep(1)
        await tunnel.upstream.receive_bytes(16_384)
        await tunnel.upstream.send_all(b"!")
        assert await tunnel.upstream.receive_bytes(3_616) == b"r" * 3_616


async def test_a_full_socket_is_no_stall(autojump_clock: trio.abc.Clock) -> None:
    """A reply of which nothing at all was taken is written once there is room."""

    async def fitting(side: Side, direction: Direction, chunk: bytes) -> Reply:
        return Replace(b"r" * 1000) if direction is Direction.TO_PEER else Replace(chunk)

    tunnel = tunnel_with(fitting, sides=(Side.UPSTREAM,), socket_bytes=1000)
    async with tunnel.running():
        for _ in range(2):
            await tunnel.client.send_all(b"go")
            await trio.sleep(1)
        assert await tunnel.upstream.receive_bytes(2000) == b"r" * 2000


async def test_a_chunk_of_the_read_path_has_4096_bytes_at_most(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Longer data is asked about in pieces, and may be answered with more than came."""
    sizes: list[int] = []

    async def doubled(side: Side, direction: Direction, chunk: bytes) -> Reply:
        sizes.append(len(chunk))
        return Replace(chunk * 10)

    tunnel = tunnel_with(doubled, sides=(Side.CLIENT,))
    async with tunnel.running():
        await tunnel.client.send_all(b"x" * 10_000)
        assert await tunnel.upstream.receive_bytes(100_000) == b"x" * 100_000
    assert sizes == [4096, 4096, 1808]


async def test_blocks_yield_one_slot_each(autojump_clock: trio.abc.Clock) -> None:
    """n times 8192 bytes are n write calls of 8192 bytes, though the peer goes on sending."""

    async def blocks(side: Side, direction: Direction, chunk: bytes) -> Reply:
        return Replace(b"b" * 3 * 8192 if side is Side.CLIENT else b"slot")

    tunnel = tunnel_with(blocks)
    async with tunnel.running():
        await tunnel.client.send_all(b"x" * 5000)
        assert await tunnel.upstream.receive_bytes(6 * 4) == b"slot" * 6
    made = [(call.side, len(call.chunk)) for call in tunnel.calls]
    turn = [(Side.UPSTREAM, 8192)] * 3
    assert made == [(Side.CLIENT, 4096), *turn, (Side.CLIENT, 904), *turn]


async def test_the_directions_are_asked_about_at_once_and_singly(
    autojump_clock: trio.abc.Clock,
) -> None:
    """All four calls can be in flight, never two of one registration and direction."""

    async def hold_slots(side: Side, direction: Direction, chunk: bytes) -> Reply:
        if direction is Direction.TO_PEER:
            await trio.sleep_forever()
        return Replace(b"f" * 8192)

    plugin = Scripted(hold_slots)
    tunnel = tunnel_with(plugin)
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x" * 9000)
        await tunnel.upstream.send_all(b"y" * 9000)
        await trio.testing.wait_all_tasks_blocked()
        assert len(tunnel.calls) == 4
        assert not over.is_set()
    assert sorted(plugin.cancelled, key=str) == sorted(
        [(side, Direction.TO_PEER) for side in Side], key=str
    )


async def test_an_unregistered_side_is_a_bare_socket(autojump_clock: trio.abc.Clock) -> None:
    """Without a registration bytes pass, half-closes too, and nobody is asked."""
    tunnel = FaultTunnel(Echo(), sides=())
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"up" * 50_000)
        await tunnel.client.send_eof()
        assert await tunnel.upstream.receive_all() == b"up" * 50_000
        await tunnel.upstream.send_all(b"down")
        await tunnel.upstream.aclose()
        assert await tunnel.client.receive_all() == b"down"
        await over.wait()
    assert not tunnel.calls


async def test_close_on_the_read_path_is_a_half_close(autojump_clock: trio.abc.Clock) -> None:
    """The other peer sees an end of stream; the other direction lives on."""

    async def only_reads(side: Side, direction: Direction, chunk: bytes) -> Reply:
        return Close("enough") if direction is Direction.FROM_PEER else Replace(chunk)

    tunnel = tunnel_with(only_reads, sides=(Side.CLIENT,))
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x")
        assert await tunnel.upstream.receive_all() == b""
        await tunnel.upstream.send_all(b"still")
        assert await tunnel.client.receive_bytes(5) == b"still"
        await tunnel.upstream.aclose()
        await over.wait()
    assert tunnel.errors == []


@pytest.mark.parametrize("raw", [False, True])
async def test_close_on_the_write_path_is_an_error_without_an_end(
    raw: bool, autojump_clock: trio.abc.Clock
) -> None:
    """Under CONNECT the other direction lives on; a raw mapping ends at once."""

    async def close_writes(side: Side, direction: Direction, chunk: bytes) -> Reply:
        return Close("no") if direction is Direction.TO_PEER else Replace(chunk)

    tunnel = tunnel_with(close_writes, sides=(Side.UPSTREAM,), raw=raw)
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert over.is_set() is raw
        if not raw:
            await tunnel.upstream.send_all(b"still")
            assert await tunnel.client.receive_bytes(5) == b"still"
            await tunnel.upstream.aclose()
            await over.wait()
    assert tunnel.errors == ["write zero byte into writer"]


@pytest.mark.parametrize("reply", [Buffer(), Replace(b"")], ids=["buffer", "nothing"])
async def test_buffer_swallows_and_stalls_where_nothing_only_swallows(
    reply: Reply | Buffer, autojump_clock: trio.abc.Clock
) -> None:
    """After `Buffer` the read path hears nothing until the task is woken otherwise."""
    count = 0

    async def first_differs(side: Side, direction: Direction, chunk: bytes) -> Reply | Buffer:
        nonlocal count
        count += 1
        return reply if count == 1 else Replace(chunk)

    tunnel = tunnel_with(first_differs, sides=(Side.CLIENT,))
    async with tunnel.running():
        await tunnel.client.send_all(b"x" * 4096 + b"rest")
        with trio.move_on_after(3600) as waited:
            await tunnel.upstream.receive_some()
        assert waited.cancelled_caught is isinstance(reply, Buffer)


async def test_buffer_on_the_write_path_asks_again_only_when_woken(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It hangs for good unless something else happens."""
    replies: list[Reply | Buffer] = [Buffer(), Replace(b"late")]

    async def buffer_first(side: Side, direction: Direction, chunk: bytes) -> Reply | Buffer:
        return replies.pop(0) if direction is Direction.TO_PEER else Replace(chunk)

    tunnel = tunnel_with(buffer_first, sides=(Side.UPSTREAM,))
    async with tunnel.running():
        await tunnel.client.send_all(b"x")
        await trio.sleep(3600)
        assert len(replies) == 1
        await tunnel.client.send_all(b"y")
        assert await tunnel.upstream.receive_bytes(4) == b"late"


async def test_a_held_call_hides_the_peers_ends(autojump_clock: trio.abc.Clock) -> None:
    """While a client's chunk is held, neither its reset nor the upstream's end is passed on."""

    async def hold(side: Side, direction: Direction, chunk: bytes) -> Reply:
        await trio.sleep_forever()
        raise AssertionError

    plugin = Scripted(hold)
    tunnel = tunnel_with(plugin, sides=(Side.CLIENT,))
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        tunnel.client.reset()
        await trio.testing.wait_all_tasks_blocked()
        assert not over.is_set()


async def test_in_flight_calls_are_cancelled_at_the_tunnels_end(
    autojump_clock: trio.abc.Clock,
) -> None:
    """A raw mapping whose one direction fails takes the other one's call with it."""

    async def hold_client(side: Side, direction: Direction, chunk: bytes) -> Reply:
        if side is Side.CLIENT:
            await trio.sleep_forever()
        return Replace(chunk)

    plugin = Scripted(hold_client)
    tunnel = tunnel_with(plugin, raw=True)
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        tunnel.upstream.reset()
        await over.wait()
        assert plugin.cancelled == [(Side.CLIENT, Direction.FROM_PEER)]
        assert await tunnel.client.receive_all() == b""


@pytest.mark.parametrize("direction", Direction)
async def test_a_failing_call_is_an_error_of_its_direction(
    direction: Direction, autojump_clock: trio.abc.Clock
) -> None:
    """An RPC that fails ends that direction, as an I/O error would."""

    async def fail(side: Side, now: Direction, chunk: bytes) -> Reply:
        if now is direction:
            raise RuntimeError
        return Replace(chunk)

    tunnel = tunnel_with(fail, raw=True)
    async with tunnel.running() as over:
        await tunnel.client.send_all(b"x")
        await over.wait()
    assert tunnel.errors == ["the plugin failed"]


async def test_a_raw_mapping_forgets_the_other_directions_buffer(
    autojump_clock: trio.abc.Clock,
) -> None:
    """Where one direction ends, what the other one's buffer holds is lost."""
    before_pause = trio.Event()

    async def slow_writes(side: Side, direction: Direction, chunk: bytes) -> Reply:
        if direction is Direction.TO_PEER:
            await before_pause.wait()
        return Replace(chunk)

    tunnel = tunnel_with(slow_writes, sides=(Side.CLIENT,), raw=True)
    async with tunnel.running() as over:
        await tunnel.upstream.send_all(b"lost")
        await trio.testing.wait_all_tasks_blocked()
        await tunnel.client.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        before_pause.set()
        await trio.testing.wait_all_tasks_blocked()
        await tunnel.upstream.aclose()
        await over.wait()
        assert await tunnel.client.receive_all() == b""
