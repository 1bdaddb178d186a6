"""The tunnel's one upstream connection, lent: carriers, promised slots, uploads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from attrs import define

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import RequestHead
from faultinject.plugin.duplex.lanes import FILLER, LanePair
from faultinject.plugin.duplex.tunnel_lease import FEW, MANY, MOST_AHEAD, TunnelLease
from faultinject.plugin.interface import Direction, Replace, Reply, Side
from faultinject.proxy.upstream.dial import Origin

ORIGIN = Origin(Authority("a.example", 443), Authority("a.example", 443))
CARRIER = b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@define
class Ends:
    """A lease whose connection speaks without TLS, and the host's calls."""

    nursery: trio.Nursery
    pair: LanePair
    lease: TunnelLease

    async def call(self, side: Side, direction: Direction, chunk: bytes = FILLER) -> list[Reply]:
        """Make a call; its answer appears in the list."""
        answers: list[Reply] = []

        async def make() -> None:
            answers.append(await self.pair.answer_chunk(side, direction, chunk))

        self.nursery.start_soon(make)
        await trio.testing.wait_all_tasks_blocked()
        return answers

    async def carried(self, use: Callable[[], Awaitable[object]], response: bytes) -> list[Reply]:
        """Do what sends a carrier, which gets this response; return the answers to its input."""
        async with trio.open_nursery() as using:
            using.start_soon(use)
            await trio.testing.wait_all_tasks_blocked()
            assert await self.call(Side.UPSTREAM, Direction.TO_PEER) == [Replace(CARRIER)]
            return await self.call(Side.UPSTREAM, Direction.FROM_PEER, response)


@pytest.fixture
async def ends(nursery: trio.Nursery) -> Ends:
    """A tunnel whose client has said something, and was heard."""
    pair = LanePair()
    lease = TunnelLease(pair)
    lease.nursery = nursery
    lease.lend(UpstreamConnection(pair.upstream, head_bytes=1000), "a.example")
    ends = Ends(nursery, pair, lease)
    await ends.call(Side.CLIENT, Direction.FROM_PEER, b"request")
    await pair.client.receive_some()
    return ends


def request(*headers: tuple[bytes, bytes]) -> RequestHead:
    """Return a POST."""
    return RequestHead(b"POST", b"/", ((b"Host", b"a"), *headers))


async def test_a_carriers_response_is_held_for_the_answer(ends: Ends) -> None:
    """It buys the slot of what is written to the client next."""
    answer = await ends.carried(ends.lease.before_local_reply, NOT_FOUND)
    assert answer == []
    await ends.pair.client.send_all(b"429")
    ends.pair.down.end_turn()
    assert await ends.call(Side.CLIENT, Direction.TO_PEER) == [Replace(b"429")]


async def test_a_way_with_nothing_to_say_yet_is_kept(ends: Ends) -> None:
    """It is let go with what is written, and not before."""
    answer = await ends.carried(ends.lease.before_local_reply, NOT_FOUND)
    ends.lease.before_pause(3, 0)
    await trio.testing.wait_all_tasks_blocked()
    assert answer == []
    await ends.pair.client.send_all(b"429")
    ends.lease.before_pause(0, 0)
    assert await ends.call(Side.CLIENT, Direction.TO_PEER) == [Replace(b"429")]


@pytest.mark.parametrize(
    ("writes", "guessed", "promised"),
    [
        (0, 0, 0),
        (2, 0, 2),
        (50, 0, MANY),
        (0, 2, 2),
        (0, 50, FEW),
        (1, 50, FEW),
        (4, 50, 4),
        (50, 50, MANY),
    ],
)
async def test_how_many_slots_are_promised(
    ends: Ends, writes: int, guessed: int, promised: int
) -> None:
    """No more than can be filled; and only a few for what may never be written."""
    answer = await ends.carried(ends.lease.before_local_reply, NOT_FOUND)
    await ends.pair.client.send_all(b"429")
    ends.lease.before_pause(writes, guessed)
    await trio.testing.wait_all_tasks_blocked()
    assert answer == [Replace(FILLER * (1 + promised))]


async def test_what_comes_before_a_carriers_response(ends: Ends) -> None:
    """It is passed over; the last input is held."""
    async with trio.open_nursery() as using:
        using.start_soon(ends.lease.before_local_reply)
        await trio.testing.wait_all_tasks_blocked()
        await ends.call(Side.UPSTREAM, Direction.TO_PEER)
        assert await ends.call(Side.UPSTREAM, Direction.FROM_PEER, HINTS) == [Replace(b"")]
        assert await ends.call(Side.UPSTREAM, Direction.FROM_PEER, NOT_FOUND) == []
    assert ends.pair.down.in_hand


async def test_a_way_for_several_writes_is_promised(ends: Ends) -> None:
    """Each goes out when it is written."""
    answer = await ends.carried(lambda: ends.lease.before_local_reply(2), NOT_FOUND)
    assert answer == [Replace(FILLER * 2)]
    for word in (b"100", b"429"):
        slot = await ends.call(Side.CLIENT, Direction.TO_PEER)
        assert slot == []
        await ends.pair.client.send_all(word)
        await trio.testing.wait_all_tasks_blocked()
        assert slot == [Replace(word)]


async def test_a_carrier_of_ones_own(ends: Ends, nursery: trio.Nursery) -> None:
    """Method, path and headers are the user's; its Host is not overwritten."""
    own = RequestHead(b"GET", b"/health", ((b"Host", b"b"), (b"X", b"y")))
    ends.lease = TunnelLease(ends.pair, own)
    ends.lease.lend(UpstreamConnection(ends.pair.upstream, head_bytes=1000), "a.example")
    nursery.start_soon(ends.lease.before_local_reply)
    await trio.testing.wait_all_tasks_blocked()
    slot = await ends.call(Side.UPSTREAM, Direction.TO_PEER)
    assert slot == [Replace(b"GET /health HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n")]
    nursery.cancel_scope.cancel()


async def test_a_carrier_that_turns_into_another_protocol(
    ends: Ends, nursery: trio.Nursery
) -> None:
    """There is no response to wait for, and no way when the upstream ends."""
    upgrade = ((b"Connection", b"upgrade"), (b"Upgrade", b"x"))
    ends.lease = TunnelLease(ends.pair, RequestHead(b"GET", b"/", upgrade))
    ends.lease.lend(UpstreamConnection(ends.pair.upstream, head_bytes=1000), "a.example")

    async def fail() -> None:
        with pytest.raises(UpstreamError, match="ended the connection unasked"):
            await ends.lease.before_local_reply()

    async with trio.open_nursery() as using:
        using.start_soon(fail)
        await trio.testing.wait_all_tasks_blocked()
        await ends.call(Side.UPSTREAM, Direction.TO_PEER)
        switch = b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        assert await ends.call(Side.UPSTREAM, Direction.FROM_PEER, switch) == [Replace(b"")]
        ends.pair.end("over")


async def test_there_is_no_second_connection(ends: Ends) -> None:
    """The one is lent as if it were new; after its end, and for a second try, there is none."""
    connection = await ends.lease.open(ORIGIN)
    with pytest.raises(UpstreamError, match=r"connection to a\.example:443 has ended"):
        await ends.lease.open(ORIGIN, fresh=True)
    await ends.lease.discard(connection)
    with pytest.raises(UpstreamError, match="has ended"):
        await ends.lease.open(ORIGIN)
    with pytest.raises(UpstreamError, match="no answer can be sent"):
        await ends.lease.before_local_reply()


async def test_a_carrier_that_is_the_last_request(ends: Ends) -> None:
    """The answer still has its way, but nothing can be asked afterwards."""
    assert await ends.carried(ends.lease.before_local_reply, LAST) == []
    assert ends.lease.idle_connection is None


async def test_an_upstream_that_ends_instead(ends: Ends) -> None:
    """No response, no way."""

    async def fail() -> None:
        with pytest.raises(UpstreamError):
            await ends.lease.before_local_reply()

    async with trio.open_nursery() as using:
        using.start_soon(fail)
        await ends.call(Side.UPSTREAM, Direction.TO_PEER)
        ends.pair.end("over")


@pytest.mark.parametrize("count", [0, 1, MOST_AHEAD + 1, MOST_AHEAD + 2])
async def test_requests_that_are_here_already_get_slots(ends: Ends, count: int) -> None:
    """The client must not be asked then, and the input in hand buys their slots."""
    unread = b"GET / HTTP/1.1\r\n\r\n" * count + b"GET /rest"
    assert ends.lease.before_read(unread) is (count == 0)
    assert ends.pair.up.slots == min(count, MOST_AHEAD + 1)


@pytest.mark.parametrize("headers", [(), ((b"Content-Length", b"32768"),)])
async def test_a_short_upload_costs_nothing(
    ends: Ends, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    """No carrier is sent."""
    await ends.lease.begin_upload(request(*headers))
    ends.lease.end_upload()
    assert ends.pair.up.in_hand


@pytest.mark.parametrize(
    "header", [(b"Content-Length", b"32769"), (b"Transfer-Encoding", b"chunked")]
)
async def test_a_long_upload_is_kept_going(ends: Ends, header: tuple[bytes, bytes]) -> None:
    """From its beginning to its end a slot toward the client is kept; then it is released."""
    answer = await ends.carried(lambda: ends.lease.begin_upload(request(header)), NOT_FOUND)
    assert answer == [Replace(FILLER)]
    slot = await ends.call(Side.CLIENT, Direction.TO_PEER)
    assert ends.pair.up.proves
    assert slot == []
    ends.lease.end_upload()
    await trio.testing.wait_all_tasks_blocked()
    assert slot == [Replace(b"\x17")]
    assert not ends.pair.up.proves


async def test_leaving_closes_the_connection(ends: Ends) -> None:
    """Whatever was under way."""
    async with ends.lease:
        await ends.carried(
            lambda: ends.lease.begin_upload(request((b"Content-Length", b"99999"))), NOT_FOUND
        )
    assert ends.lease.idle_connection is None
    await trio.testing.wait_all_tasks_blocked()
    assert not ends.pair.up.proves
