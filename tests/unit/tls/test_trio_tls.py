"""What is left in the BIOs of `trio.SSLStream`, and who is told of it when."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from faultinject.net.memory_stream import MemoryStream, memory_stream_pair
from faultinject.net.streams import was_reset
from faultinject.tls.layer import TlsSide
from faultinject.tls.trio_tls import TrioTlsStream
from tests.support.bench import TARGET, leaves, trusting_context
from tests.support.cancelling import cancelled_at
from tests.support.pipes import pipe_pair
from tests.support.tls_peers import ByHand


async def connected(limit_bytes: int = 64 * 1024) -> tuple[ByHand, MemoryStream, TrioTlsStream]:
    """Return a client by hand, its stream, and our side, after the handshake."""
    far, near = memory_stream_pair(limit_bytes)
    client = ByHand(trusting_context(), TARGET)
    context = leaves().context_for(TARGET)
    ours = TrioTlsStream(near, TlsSide(context))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.shake_hands, far)
        await ours.do_handshake()
    return client, far, ours


async def test_three_records_in_one_input() -> None:
    """One receive returns them all, without asking the transport again."""
    client, far, ours = await connected()
    await far.send_all(b"".join(client.record(data) for data in (b"one", b"two", b"three")))
    assert await ours.receive_some() == b"onetwothree"


async def test_a_part_of_a_record_waits_for_its_rest() -> None:
    """What was whole is returned before."""
    client, far, ours = await connected()
    first, second = client.record(b"one"), client.record(b"two")
    await far.send_all(first + second[:9])
    assert await ours.receive_some() == b"one"
    await far.send_all(second[9:])
    assert await ours.receive_some() == b"two"


async def test_close_notify_behind_bytes_in_one_input() -> None:
    """The bytes come first, then the end, again and again, and it is no truncation."""
    client, far, ours = await connected()
    await far.send_all(client.record(b"bye") + client.close_notify())
    assert await ours.receive_some() == b"bye"
    for _ in range(2):
        with trio.testing.assert_checkpoints():
            assert await ours.receive_some() == b""
    assert not ours.truncated
    await ours.send_all(b"I can still speak")


async def test_a_bad_record_behind_bytes_in_one_input() -> None:
    """The bytes come first; then the failure is raised, and the peer is sent an alert, once."""
    client, far, ours = await connected()
    good, bad = client.record(b"good"), bytearray(client.record(b"bad"))
    bad[-1] ^= 1
    await far.send_all(good + bad)
    assert await ours.receive_some() == b"good"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError) as caught:
            await ours.receive_some()
        assert isinstance(caught.value.__cause__, ssl.SSLError)
    await ours.aclose()
    client.incoming.write(await far.receive_some())
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        client.tls.read()
    assert await far.receive_some() == b""


async def test_an_answer_to_bytes_before_a_bad_record() -> None:
    """It cannot be sent any more: the peer gets the alert in its place, and the error says why."""
    client, far, ours = await connected()
    good, bad = client.record(b"good"), bytearray(client.record(b"bad"))
    bad[-1] ^= 1
    await far.send_all(good + bad)
    assert await ours.receive_some() == b"good"
    with pytest.raises(trio.BrokenResourceError) as caught:
        await ours.send_all(b"answer")
    assert "BAD_RECORD_MAC" in str(caught.value.__cause__)
    client.incoming.write(await far.receive_some())
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        client.tls.read()


async def test_an_alert_that_nobody_takes() -> None:
    """The peer is gone; what is raised is what was wrong."""
    client, far, ours = await connected()
    bad = bytearray(client.record(b"bad"))
    bad[-1] ^= 1
    await far.send_all(bad)
    await far.aclose()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await ours.receive_some()
    assert "BAD_RECORD_MAC" in str(caught.value.__cause__)


async def test_an_alert_does_not_overtake_what_is_being_sent() -> None:
    """It is sent behind it, since the peer decrypts records in their order."""
    client, far, ours = await connected(1000)
    await far.send_all(b"no record")

    async def send() -> None:
        await ours.send_all(bytes(10_000))

    async def fail() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fail)
        await trio.testing.wait_all_tasks_blocked()
        received, alert = 0, ""
        while not alert:
            client.incoming.write(await far.receive_some())
            try:
                while True:
                    received += len(client.tls.read())
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                alert = str(error)
    assert received == 10_000
    assert "ALERT" in alert


async def test_our_end_while_another_task_receives() -> None:
    """What that task has in hand stays before what was read to make our end possible."""
    client, far, ours = await connected()
    received = bytearray()

    async def receive() -> None:
        while data := await ours.receive_some(2):
            received.extend(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await far.send_all(client.record(b"one") + client.record(b"two"))
        await ours.end_sending()
        await far.send_all(client.record(b"three") + client.close_notify())
    assert received == b"onetwothree"
    assert not ours.truncated
    client.incoming.write(await far.receive_some())
    with pytest.raises(ssl.SSLZeroReturnError):
        client.tls.read()


async def test_our_end_before_the_handshake_says_nothing() -> None:
    """There is nothing yet to end."""
    far, near = memory_stream_pair()
    async with TrioTlsStream(near, TlsSide(trusting_context(), TARGET)):
        pass
    assert await far.receive_some() == b""


async def test_our_end_while_the_transport_is_busy() -> None:
    """Then it is not said; the connection can be closed all the same."""
    _client, far, ours = await connected(1000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.transport.send_all, bytes(2000))
        await trio.testing.wait_all_tasks_blocked()
        await ours.end_sending()
        nursery.cancel_scope.cancel()
    await ours.aclose()
    assert len(await far.receive_some()) == 1000
    assert await far.receive_some() == b""


@pytest.mark.parametrize("shakes_hands", [True, False])
async def test_a_reset_is_told_as_such(shakes_hands: bool) -> None:
    """It is no failure of TLS: its cause is the system's, and there is no alert."""
    far, near = pipe_pair()
    client = ByHand(trusting_context(), TARGET)
    context = leaves().context_for(TARGET)
    ours = TrioTlsStream(near, TlsSide(context))
    if shakes_hands:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.shake_hands, far)
            await ours.do_handshake()
    far.reset()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await (ours.receive_some() if shakes_hands else ours.do_handshake())
    assert was_reset(caught.value)


def test_session_tickets_are_refused() -> None:
    """An alert would overtake them, and the peer could not decrypt it."""
    _far, near = memory_stream_pair()
    with pytest.raises(ValueError, match="num_tickets=2"):
        TrioTlsStream(near, TlsSide(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))


async def test_a_cancelled_receive_loses_nothing() -> None:
    """At whichever step it is cancelled, and however the records are cut."""
    step, was_reached = 0, True
    while was_reached:
        step += 1
        client, far, ours = await connected()
        received = bytearray()
        data = client.record(b"one") + client.record(b"two") + client.record(b"three")

        async def send(data: bytes = data, far: MemoryStream = far) -> None:
            for start in range(0, len(data), 40):
                await far.send_all(data[start : start + 40])
                await trio.testing.wait_all_tasks_blocked()

        scope = trio.CancelScope()
        with cancelled_at(step, scope.cancel) as cancelling:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                with scope:
                    while len(received) < 11:
                        received += await ours.receive_some()
                while len(received) < 11:
                    received += await ours.receive_some()
        assert received == b"onetwothree"
        was_reached = cancelling.reached
    assert step > 10


@pytest.mark.parametrize("is_server", [True, False])
async def test_a_handshake_is_cancelled_at_each_step(is_server: bool) -> None:
    """The peer sees the end or the handshake, and nothing is left waiting."""
    step, was_reached = 0, True
    while was_reached:
        step += 1
        far, near = memory_stream_pair()
        context = leaves().context_for(TARGET)
        server = TrioTlsStream(near, TlsSide(context))
        client = TrioTlsStream(far, TlsSide(trusting_context(), TARGET))
        ours, theirs = (server, client) if is_server else (client, server)

        async def shake(stream: TrioTlsStream = theirs) -> None:
            try:
                await stream.do_handshake()
                assert await stream.receive_some() == b""
            except trio.BrokenResourceError:
                pass

        scope = trio.CancelScope()
        with cancelled_at(step, scope.cancel) as cancelling, trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shake)
                with scope:
                    await ours.do_handshake()
                await ours.aclose()
        was_reached = cancelling.reached
    assert step > 5
