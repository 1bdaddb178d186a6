"""The socket as a stream: Trio's contract but for one thing, and what is about sockets alone."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from faultinject.net import socket_stream
from faultinject.net.listener import SocketListener
from faultinject.net.socket_stream import SocketStream

Pair = tuple[SocketStream, SocketStream]


async def connected() -> Pair:
    """Connect two streams over loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        ours = await trio.open_tcp_stream("127.0.0.1", port)
        theirs = await listener.accept()
    return SocketStream(ours), SocketStream(theirs)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Two connected streams."""
    ours, theirs = await connected()
    async with ours, theirs:
        yield ours, theirs


async def test_bytes_go_both_ways_in_order_to_the_half_closed_ends(pair: Pair) -> None:
    """Much is sent both ways at once, arrives as sent, and ends when its sender ends."""
    sent = bytes(range(256)) * 8192

    async def send(stream: SocketStream) -> None:
        await stream.send_all(sent)
        await stream.send_eof()
        await stream.send_eof()  # saying it twice is fine

    async def receive(stream: SocketStream) -> None:
        received = bytearray()
        while data := await stream.receive_some():
            received += data
        assert received == sent

    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, stream)


class Wolf(socket.socket):
    """A socket that seems readable twice before it is."""

    cries = 2

    def recv(self, max_bytes: int, *_: int) -> bytes:
        """Receive, if it is no cry."""
        data = super().recv(max_bytes, socket.MSG_PEEK)
        if self.cries:
            self.cries -= 1
            raise BlockingIOError
        return super().recv(len(data))


async def test_a_socket_that_only_seems_readable(pair: Pair) -> None:
    """It is waited for."""
    ours, theirs = pair
    ours.socket = Wolf(fileno=ours.socket.detach())
    ours.socket.setblocking(False)
    await theirs.send_all(b"ab")
    assert await ours.receive_some() == b"ab"
    assert ours.socket.cries == 0


async def test_a_system_without_quick_acknowledgements(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There they are left to the kernel."""
    monkeypatch.setattr(socket_stream, "_QUICK_ACKNOWLEDGEMENT", None)
    ours, theirs = pair
    ours.acknowledge()
    await theirs.send_all(b"ab")
    assert await ours.receive_some() == b"ab"


async def test_a_receive_gives_others_their_turn_though_it_need_not_wait(pair: Pair) -> None:
    """A task that finds bytes at every receive does not keep the loop to itself."""
    ours, theirs = pair
    await theirs.send_all(b"ab")
    await ours.wait_send_all_might_not_block()
    with trio.testing.assert_checkpoints():
        assert await ours.receive_some(1) == b"a"
    with trio.testing.assert_checkpoints():
        assert await ours.receive_some(1) == b"b"


async def test_a_send_can_be_cancelled_though_it_need_not_wait(pair: Pair) -> None:
    """The one deviation from the contract is a missing turn, not a missing cancellation."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await pair[0].send_all(b"x")
    assert scope.cancelled_caught
    with trio.CancelScope() as scope:
        scope.cancel()
        await pair[0].receive_some()
    assert scope.cancelled_caught


async def test_a_receive_that_was_cancelled_loses_nothing(
    pair: Pair, autojump_clock: trio.abc.Clock
) -> None:
    """Bytes that come later are there for the next receive."""
    ours, theirs = pair
    with trio.move_on_after(1):
        await ours.receive_some()
    await theirs.send_all(b"later")
    assert await ours.receive_some() == b"later"


async def test_two_receivers_or_senders_at_once_are_told(pair: Pair) -> None:
    """The second one raises; the first one goes on."""
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        await theirs.send_all(b"x")
    assert ours.has_room()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(64 * 1024 * 1024))
        await trio.testing.wait_all_tasks_blocked()
        assert not ours.has_room()
        with pytest.raises(trio.BusyResourceError):
            await ours.send_all(b"x")
        with pytest.raises(trio.BusyResourceError):
            await ours.wait_send_all_might_not_block()
        nursery.cancel_scope.cancel()


async def test_closing_wakes_whoever_waits(pair: Pair) -> None:
    """What is in progress ends with ClosedResourceError, and so does every later call."""
    ours, _ = pair

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()

    async def send() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(bytes(64 * 1024 * 1024))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
    await ours.aclose()
    ours.acknowledge()  # harmless
    for call in (
        ours.receive_some,
        lambda: ours.send_all(b"x"),
        ours.wait_send_all_might_not_block,
        ours.send_eof,
    ):
        with pytest.raises(trio.ClosedResourceError):
            await call()


async def test_nothing_is_sent_after_the_end(pair: Pair) -> None:
    """A sender that has said its end is told."""
    await pair[0].send_eof()
    with pytest.raises(trio.ClosedResourceError):
        await pair[0].send_all(b"x")


async def test_a_reset_breaks_both_directions(pair: Pair) -> None:
    """A peer's RST is a broken resource, with the system's words for it."""
    ours, theirs = pair
    theirs.reset()
    theirs.reset()  # twice is fine
    with pytest.raises(trio.BrokenResourceError, match="reset"):
        await ours.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")


class Gone(socket.socket):
    """A socket whose peer has reset it, as macOS has it."""

    def setsockopt(self, *_: object) -> None:
        """Take nothing."""
        raise OSError(errno.EINVAL, "Invalid argument")


async def test_a_reset_of_what_takes_no_option_any_more_closes_it_all_the_same() -> None:
    """There is no peer left to see how."""
    stream = SocketStream(Gone())
    stream.reset()
    assert stream.socket.fileno() < 0


async def test_a_read_of_no_bytes_is_a_mistake(pair: Pair) -> None:
    """It could not be told from the peer's end."""
    with pytest.raises(ValueError, match="at least 1"):
        await pair[0].receive_some(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux delays by choice")
async def test_what_was_received_is_acknowledged_at_once(pair: Pair) -> None:
    """The kernel is told so, and says so as long as nothing has changed its mind."""
    pair[0].acknowledge()
    assert pair[0].socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


class Refusing(socket.socket):
    """A listening socket whose first connections come to nothing."""

    failures: list[OSError]

    def accept(self) -> tuple[socket.socket, object]:
        """Fail as told, then let in."""
        if self.failures:
            raise self.failures.pop(0)
        return super().accept()


@pytest.fixture
async def tcp() -> AsyncIterator[trio.SocketListener]:
    """A listener of Trio's."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield listener


def refusing(door: SocketListener, *failures: OSError) -> None:
    """Have the listener's next calls of accept(2) fail."""
    door._socket = Refusing(fileno=door._socket.detach())
    door._socket.setblocking(False)
    door._socket.failures = list(failures)


async def test_whoever_connects_becomes_a_stream(tcp: trio.SocketListener) -> None:
    """With the options of Trio's own; the listener is its owner's afterwards."""
    with SocketListener(tcp) as door:
        async with (
            await trio.open_tcp_stream(*tcp.socket.getsockname()) as client,
            await door.accept() as accepted,
        ):
            await client.send_all(b"x")
            assert await accepted.receive_some() == b"x"
            assert accepted.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert tcp.socket.fileno() >= 0


async def test_a_connection_that_comes_to_nothing_is_passed_over(tcp: trio.SocketListener) -> None:
    """As is a listener that only seems readable."""
    with SocketListener(tcp) as door:
        refusing(door, BlockingIOError(errno.EAGAIN, "no"), OSError(errno.ECONNABORTED, "left"))
        async with (
            await trio.open_tcp_stream(*tcp.socket.getsockname()),
            await door.accept() as accepted,
        ):
            assert accepted.socket.fileno() >= 0


async def test_what_else_accepting_may_meet_is_told(tcp: trio.SocketListener) -> None:
    """That the system has no room, say."""
    with SocketListener(tcp) as door:
        refusing(door, OSError(errno.EMFILE, "Too many open files"))
        async with await trio.open_tcp_stream(*tcp.socket.getsockname()):
            with pytest.raises(OSError, match="Too many open files"):
                await door.accept()


async def test_options_that_a_lost_connection_does_not_take_are_let_be() -> None:
    """Its first read says that it is lost."""
    closed = socket.socket()
    closed.close()
    assert socket_stream.set_up(closed) is closed


async def test_a_system_without_the_mark_of_unsent_bytes(
    tcp: trio.SocketListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does without."""
    monkeypatch.setattr(socket_stream, "_NOT_SENT_LOW_WATER_MARK", None)
    with SocketListener(tcp) as door:
        async with (
            await trio.open_tcp_stream(*tcp.socket.getsockname()),
            await door.accept() as accepted,
        ):
            assert accepted.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("asks_first", [True, False])
async def test_room_is_waited_for_where_there_is_none(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, asks_first: bool
) -> None:
    """Where there is some it costs no turn of the loop, if the system can be asked."""
    if not asks_first:  # as on Windows
        monkeypatch.setattr(socket_stream, "_POLL", None)
    ours, theirs = pair
    await ours.wait_send_all_might_not_block()
    with trio.CancelScope() as scope:
        scope.cancel()
        await ours.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.socket.send(bytes(1024 * 1024))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.wait_send_all_might_not_block)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        while nursery.child_tasks:
            await theirs.receive_some()
