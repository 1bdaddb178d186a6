"""TLS over a stream, in each way: Trio's contract, and what SSLStream alone does in another way."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from faultinject.net.memory_stream import MemoryStream, memory_stream_pair
from faultinject.net.streams import LINGER_SECONDS, reset
from faultinject.tls.layer import TlsLayer, TlsSide, WrapTls
from faultinject.tls.stream import PIECE_NUM_BYTES, TlsStream
from tests.support.bench import TARGET, leaves, trusting_context
from tests.support.pipes import pipe_pair
from tests.support.tls_peers import client_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
RECORD_OVERHEAD_BYTES = 22
"""TLS 1.3: a head of 5 bytes, the content's type, and a tag of 16 (RFC 8446 section 5.2)."""
Pair = tuple[TlsLayer, TlsLayer]


def wrapped(wrap_tls: WrapTls, client: trio.abc.Stream, server: trio.abc.Stream) -> Pair:
    """Put TLS on both ends of a pipe, without a handshake yet."""
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))
    theirs = wrap_tls(client, TlsSide(trusting_context(), TARGET))
    return theirs, ours


async def connected(wrap_tls: WrapTls, limit_bytes: int = 64 * 1024) -> Pair:
    """Make two ends that have shaken hands."""
    pair = wrapped(wrap_tls, *memory_stream_pair(limit_bytes))
    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(stream.do_handshake)
    return pair


async def test_the_contract(wrap_tls: WrapTls) -> None:
    """Trio's own checks of two-way streams pass."""

    async def clogged() -> Pair:
        pair = await connected(wrap_tls, 1000)
        for stream in pair:
            await stream.send_all(bytes(1000 - RECORD_OVERHEAD_BYTES))
        return pair

    await trio.testing.check_two_way_stream(partial(connected, wrap_tls), clogged)


@pytest.mark.parametrize("version", VERSIONS)
async def test_much_is_sent_both_ways_at_once(version: ssl.TLSVersion, wrap_tls: WrapTls) -> None:
    """Megabytes arrive as they were sent, through a pipe that holds little, in either version."""
    client, server = memory_stream_pair(5000)
    context = trusting_context()
    context.minimum_version = context.maximum_version = version
    theirs = wrap_tls(client, TlsSide(context, TARGET))
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))
    sent = bytes(range(256)) * 4096

    async def talk(stream: TlsLayer) -> None:
        await stream.do_handshake()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, sent)
            received = bytearray()
            while len(received) < len(sent):
                received += await stream.receive_some()
        assert received == sent

    async with theirs, ours:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk, theirs)
            nursery.start_soon(talk, ours)
        assert ours.version == theirs.version


async def test_one_receive_returns_all_records_that_have_arrived(wrap_tls: WrapTls) -> None:
    """What came in several records is decrypted at once, up to what is asked for."""
    theirs, ours = await connected(wrap_tls)
    await theirs.send_all(b"a" * 10)
    await theirs.send_all(b"b" * 10)
    assert await ours.receive_some(15) == b"a" * 10 + b"b" * 5
    with trio.testing.assert_checkpoints():
        assert await ours.receive_some() == b"b" * 5
    await theirs.send_all(b"c")
    assert await ours.receive_some() == b"c"


async def test_the_end_after_bytes_is_told_by_the_next_receive(wrap_tls: WrapTls) -> None:
    """Bytes that arrive with the peer's close_notify are returned before the end is."""
    theirs, ours = await connected(wrap_tls)
    await theirs.send_all(b"bye")
    await theirs.aclose()
    assert await ours.receive_some() == b"bye"
    assert await ours.receive_some() == b""


async def test_a_peer_that_just_ends_has_ended(wrap_tls: WrapTls) -> None:
    """Without close_notify too, as HTTP clients have it; nothing is then said to it."""
    client, server = memory_stream_pair()
    theirs, ours = wrapped(wrap_tls, client, server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(ours.do_handshake)
    await client.send_eof()
    assert await ours.receive_some() == b""
    await ours.aclose()
    assert await client.receive_some() == b""


async def test_whether_a_peer_said_its_end_is_known(wrap_tls: WrapTls) -> None:
    """One without close_notify may be an attacker's (RFC 9112 section 9.8)."""
    for orderly in (True, False):
        theirs, ours = await connected(wrap_tls)
        await (theirs.aclose() if orderly else theirs.transport.aclose())
        assert await ours.receive_some() == b""
        assert ours.truncated is not orderly


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_peer_says_behind_our_end_is_read(
    version: ssl.TLSVersion, wrap_tls: WrapTls
) -> None:
    """What was there by then, what comes later, and its end; nothing can be sent any more."""
    client, server = memory_stream_pair()
    context = trusting_context()
    context.minimum_version = context.maximum_version = version
    theirs = wrap_tls(client, TlsSide(context, TARGET))
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(ours.do_handshake)
    for data in (b"one", b"two", b"three"):
        await theirs.send_all(data)
    assert await ours.receive_some(3) == b"one"
    await ours.end_sending()
    await ours.end_sending()  # twice is fine
    assert await theirs.receive_some() == b""
    await theirs.send_all(b"four")
    received = b""
    while len(received) < 12:
        received += await ours.receive_some(4)
    assert received == b"twothreefour"
    await theirs.aclose()
    assert await ours.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")


async def test_what_arrived_is_not_lost_to_our_end_or_the_peers(wrap_tls: WrapTls) -> None:
    """Both have ended before anything was read."""
    theirs, ours = await connected(wrap_tls)
    await theirs.send_all(b"bye")
    await ours.receive_some(1)
    await theirs.aclose()
    await ours.end_sending()
    assert await ours.receive_some() == b"ye"
    assert await ours.receive_some() == b""
    assert not ours.truncated


async def test_bytes_behind_the_peers_end_are_not_looked_at() -> None:
    """They come in one read with its last words and close_notify, and nobody waits for more."""
    client, server = memory_stream_pair()
    theirs, ours = wrapped(TlsStream, client, server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(ours.do_handshake)
    theirs._tls.write(b"bye")
    with pytest.raises(ssl.SSLWantReadError):
        theirs._tls.unwrap()
    await client.send_all(theirs._outgoing.read() + bytes(20_000))
    assert await ours.receive_some() == b"bye"
    assert await ours.receive_some() == b""
    assert not ours.truncated


@pytest.mark.parametrize("num_bytes", [PIECE_NUM_BYTES - 1, PIECE_NUM_BYTES + 1, 200_000])
async def test_what_passed_takes_little_room(num_bytes: int) -> None:
    """A memory BIO grows with what it holds, never shrinks, and an idle connection has four."""
    held: list[int] = []

    class Watched:
        def __init__(self, bio: ssl.MemoryBIO) -> None:
            self._bio = bio

        def __getattr__(self, name: str) -> Any:
            return getattr(self._bio, name)

        def write(self, data: Any) -> int:
            count = self._bio.write(data)
            held.append(self._bio.pending)
            return count

        def read(self) -> bytes:
            held.append(self._bio.pending)
            return self._bio.read()

    theirs, ours = await connected(TlsStream, 1_000_000)
    ours._outgoing = Watched(ours._outgoing)  # type: ignore[assignment]
    ours._incoming = Watched(ours._incoming)  # type: ignore[assignment]
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.send_all, bytes(num_bytes))
            received = 0
            while received < num_bytes:
                received += len(await receiver.receive_some())
    assert sum(held) > 2 * num_bytes
    assert max(held) < PIECE_NUM_BYTES + 100
    assert not ours._arrived.obj  # what a view shows stays in memory


async def test_our_own_end_is_said(wrap_tls: WrapTls) -> None:
    """The peer reads close_notify, and need not guess whether something is missing."""
    theirs, ours = await connected(wrap_tls)
    await ours.aclose()
    assert await theirs.receive_some() == b""
    await ours.aclose()  # twice is fine
    for call in (ours.receive_some, lambda: ours.send_all(b"x")):
        with pytest.raises(trio.ClosedResourceError):
            await call()


async def test_a_farewell_that_nobody_takes_ends(
    autojump_clock: MockClock, wrap_tls: WrapTls
) -> None:
    """A peer that reads nothing does not keep the connection open."""
    _theirs, ours = await connected(wrap_tls, 1000)
    with trio.move_on_after(1):
        await ours.transport.send_all(bytes(100_000))
    started = trio.current_time()
    await ours.aclose()
    assert trio.current_time() - started == LINGER_SECONDS
    with pytest.raises(trio.ClosedResourceError):
        await ours.transport.receive_some()


async def test_closing_while_another_task_sends(wrap_tls: WrapTls) -> None:
    """The transport is closed at once; the sender is told."""
    theirs, ours = await connected(wrap_tls, 1000)

    async def send() -> None:
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await ours.send_all(bytes(1_000_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0) as scope:
            await ours.aclose()
    assert scope.cancelled_caught
    await theirs.aclose()


async def test_garbage_breaks_the_stream(wrap_tls: WrapTls) -> None:
    """Bytes that are no record are a broken resource whose cause says so; the peer is told."""
    client, server = memory_stream_pair()
    theirs, ours = wrapped(wrap_tls, client, server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(ours.do_handshake)
    await client.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError) as caught:
        await ours.receive_some()
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    with pytest.raises(trio.BrokenResourceError) as told:
        await theirs.receive_some()
    assert "ALERT" in str(told.value.__cause__)
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")
    for stream in (ours, theirs):
        await stream.aclose()


async def test_a_failed_handshake_sends_its_alert(wrap_tls: WrapTls) -> None:
    """The peer learns why, as the client that speaks no TLS does here."""
    client, server = memory_stream_pair()
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))
    await client.send_all(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
    with pytest.raises(trio.BrokenResourceError):
        await ours.do_handshake()
    assert (await client.receive_some())[:1] == b"\x15"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_that_is_not_trusted(
    version: ssl.TLSVersion, wrap_tls: WrapTls
) -> None:
    """The server learns it by an alert (RFC 8446 section 6.2)."""
    client, server = memory_stream_pair()
    context = client_context(version=version)
    theirs = wrap_tls(client, TlsSide(context, TARGET))
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))

    async def distrust() -> None:
        with pytest.raises(trio.BrokenResourceError, match="CERTIFICATE_VERIFY_FAILED"):
            await theirs.do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(distrust)
        with pytest.raises(trio.BrokenResourceError) as caught:  # noqa: PT012
            await ours.do_handshake()
            await ours.receive_some()  # in TLS 1.3 a server is through before its client
    assert "UNKNOWN_CA" in str(caught.value.__cause__)


async def test_a_handshake_whose_beginning_was_read_already(wrap_tls: WrapTls) -> None:
    """To see whether it is TLS at all, and for whom."""
    client, server = memory_stream_pair()
    theirs = wrap_tls(client, TlsSide(trusting_context(), TARGET))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        hello = bytes(await server.receive_some())
        context = leaves().context_for(TARGET)
        ours = wrap_tls(server, TlsSide(context, received=hello))
        await ours.do_handshake()
    assert ours.version == theirs.version == "TLSv1.3"
    assert ours.alpn is None


@pytest.mark.parametrize("end", [MemoryStream.send_eof, MemoryStream.aclose])
async def test_a_handshake_whose_peer_is_gone(
    end: Callable[[MemoryStream], Awaitable[None]], wrap_tls: WrapTls
) -> None:
    """It fails, whether or not there is anybody to send an alert to."""
    client, server = memory_stream_pair()
    ours = wrap_tls(server, TlsSide(leaves().context_for(TARGET)))
    await client.send_all(b"\x16\x03\x01")
    await end(client)
    with pytest.raises(trio.BrokenResourceError):
        await ours.do_handshake()


async def test_a_read_of_no_bytes_is_a_mistake() -> None:
    """It could not be told from the peer's end."""
    _, ours = await connected(TlsStream)
    with pytest.raises(ValueError, match="at least 1"):
        await ours.receive_some(0)
    assert ours._read(1) is None  # what came with the handshake
    with pytest.raises(TypeError):
        await ours.receive_some(1.5)  # type: ignore[arg-type]


async def test_a_receiver_that_has_to_answer_waits_for_the_sender() -> None:
    """A key update makes the receiving task send; it takes its turn behind the sending task."""
    theirs, ours = await connected(TlsStream, 20_000)
    done = trio.Event()

    async def send() -> None:
        await ours.send_all(bytes(200_000))
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ours._flush)
        await trio.testing.wait_all_tasks_blocked()
        while not done.is_set():
            await theirs.receive_some()


async def test_a_receiver_shakes_hands_if_nobody_has() -> None:
    """What TLS then has to say is sent between two reads."""
    theirs, ours = wrapped(TlsStream, *memory_stream_pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_shake_hands_and_send, theirs, b"hi")
        assert await ours.receive_some() == b"hi"


async def _shake_hands_and_send(stream: TlsLayer, data: bytes) -> None:
    await stream.do_handshake()
    await stream.send_all(data)


async def test_what_others_have_sent_already_is_not_sent_again() -> None:
    """Of two that wait for the sender, the first sends for both."""
    theirs, ours = await connected(TlsStream, 20_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(40_000))
        await trio.testing.wait_all_tasks_blocked()
        ours._tls.write(b"the last")
        nursery.start_soon(ours._flush)
        nursery.start_soon(ours._flush)
        received = bytearray()
        while not received.endswith(b"the last"):
            received += await theirs.receive_some()
    assert len(received) == 40_000 + len(b"the last")


async def test_a_reset_goes_through_to_the_transport(wrap_tls: WrapTls) -> None:
    """Nothing is said; where the transport cannot be reset it is the caller's to close."""
    theirs, ours = await connected(wrap_tls)
    ours.reset()
    await reset(ours)
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    assert await theirs.receive_some() == b""
    far, near = pipe_pair()
    wrap_tls(near, TlsSide(trusting_context(), TARGET)).reset()
    assert far.was_reset
