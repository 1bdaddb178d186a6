"""The upstream connections of one client connection."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.http.h1.connection import UpstreamConnection
from faultinject.http.message import End, Part, RequestHead
from faultinject.net import socket_stream
from faultinject.net.memory_stream import memory_stream_pair
from faultinject.net.socket_stream import SocketStream
from faultinject.net.streams import Layered
from faultinject.net.timeouts import FirstWaits
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.lease import Lease
from faultinject.proxy.upstream.pool import PoolLease
from faultinject.settings import Limits
from faultinject.tls.layer import TlsSide
from faultinject.tls.leaf_cache import LeafCache
from faultinject.tls.stream import TlsStream
from tests.support.bench import TARGET, authority, trusting_context
from tests.support.script import ScriptedPeer


def origin(name: str) -> Origin:
    return Origin(Authority(name, 443), Authority(name, 443))


A, B = origin("a.example"), origin("b.example")
GET = RequestHead(b"GET", b"/", ((b"Host", b"h"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@define
class Upstreams:
    """What is dialled: a peer a time, in order."""

    dialled: list[tuple[str, ScriptedPeer]] = field(factory=list)

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Open a connection to a new peer."""
        await trio.lowlevel.checkpoint()
        if origin.authority.host == "gone.example":
            raise UpstreamError("dns", "cannot look up gone.example")
        peer = ScriptedPeer()
        self.dialled.append((origin.authority.host, peer))
        return peer.stream

    def lease(self, **limits: int) -> PoolLease:
        """Return a client connection's lease."""
        return PoolLease(self.dial, Limits(**limits), FirstWaits(0.05))

    @property
    def names(self) -> list[str]:
        """Whom was dialled."""
        return [name for name, _ in self.dialled]

    @property
    def open(self) -> list[int]:
        """Which connections are open, by their place."""
        return [place for place, (_, peer) in enumerate(self.dialled) if not peer.was_closed]

    def peer(self, place: int) -> ScriptedPeer:
        """Return the peer of a connection."""
        return self.dialled[place][1]


async def exchange(lease: Lease, connection: UpstreamConnection, peer: ScriptedPeer) -> None:
    """Make a whole exchange on a connection that was lent, and give it back."""
    await connection.send(GET, End())
    peer.says(OK)
    await connection.receive()
    await lease.release(connection)


async def test_a_client_keeps_its_connection_from_request_to_request() -> None:
    """As if there were no proxy."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        assert lease.idle_connection is None
        connection = await lease.open(A)
        assert not connection.was_used
        await exchange(lease, connection, upstreams.peer(0))
        assert lease.idle_connection is connection
        assert await lease.open(A) is connection
        assert connection.was_used
        assert lease.idle_connection is None
        assert upstreams.names == ["a.example"]


async def test_no_connection_passes_from_one_client_to_another() -> None:
    """An origin may know a client by its connection: it ends with its client."""
    upstreams = Upstreams()
    for place in range(2):
        async with upstreams.lease() as lease:
            await exchange(lease, await lease.open(A), upstreams.peer(place))
        assert upstreams.open == []


async def test_a_connection_in_the_middle_of_an_exchange_goes_with_its_client() -> None:
    """It is good for nothing else."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        connection = await lease.open(A)
        await connection.send(GET, End())
    assert upstreams.open == []


@pytest.mark.parametrize(
    "other",
    [
        B,
        Origin(A.authority, A.address, tls=False),
        Origin(A.authority, Authority("10.0.0.1", 443)),
        Origin(Authority("a.example", 8443), Authority("a.example", 8443)),
    ],
)
async def test_origins_are_told_apart_by_name_address_and_tls(other: Origin) -> None:
    """A connection is for the one it was dialled for, and waits for it."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        await exchange(lease, await lease.open(A), upstreams.peer(0))
        await exchange(lease, await lease.open(other), upstreams.peer(1))
        assert (await lease.open(A)).was_used
        assert upstreams.open == [0, 1]
    assert upstreams.open == []


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_no_more_connections_are_kept_than_may(limit: int) -> None:
    """The one that was not used for the longest goes."""
    upstreams = Upstreams()
    async with upstreams.lease(upstream_connections=limit) as lease:
        for place in range(5):
            await exchange(
                lease, await lease.open(origin(f"{place}.example")), upstreams.peer(place)
            )
        assert upstreams.open == list(range(5 - limit, 5))
        await exchange(
            lease, await lease.open(origin(f"{5 - limit}.example")), upstreams.peer(5 - limit)
        )  # it is the last to go now
        await lease.open(origin("new.example"))
        kept = {5, *([] if limit == 1 else [5 - limit]), *range(5 - limit + 2, 5)}
        assert set(upstreams.open) == kept


@pytest.mark.parametrize("how", ["ends", "says", "breaks"])
@pytest.mark.parametrize("meanwhile", [True, False])
async def test_a_connection_that_ended_meanwhile_is_replaced(how: str, meanwhile: bool) -> None:
    """And so is one whose upstream said anything: it would be the answer to the next request."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        await exchange(lease, await lease.open(A), upstreams.peer(0))
        if meanwhile:
            await exchange(lease, await lease.open(B), upstreams.peer(1))
        peer = upstreams.peer(0)
        {"ends": peer.ends, "says": lambda: peer.says(OK), "breaks": peer.breaks}[how]()
        assert not (await lease.open(A)).was_used
        assert 0 not in upstreams.open


@pytest.fixture
def hurried_clock() -> MockClock:
    """A clock on which any step takes seconds, as on a machine that has no time for us."""
    return MockClock(rate=1e6)


@pytest.mark.parametrize("how", ["ends", "says"])
async def test_what_has_arrived_is_seen_however_slow_the_machine_is(
    hurried_clock: MockClock, how: str
) -> None:
    """Through TLS too, behind what is TLS's own: nothing is asked of a connection that is over."""
    near, far = memory_stream_pair()
    context = LeafCache(authority(), 10).context_for(TARGET)
    context.num_tickets = 2
    theirs = TlsStream(far, TlsSide(context))
    ours = TlsStream(near, TlsSide(trusting_context(), TARGET))

    async def dial(_: Origin) -> trio.abc.Stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(theirs.do_handshake)
            nursery.start_soon(ours.do_handshake)
        return ours

    async with PoolLease(dial, Limits(), FirstWaits(0.05)) as lease:
        connection = await lease.open(A)
        assert near.has_arrived()
        assert await connection.still_idle()  # session tickets have come, and no more
        await (theirs.aclose() if how == "ends" else theirs.send_all(OK))
        assert not await connection.still_idle()
        await theirs.aclose()


async def test_a_fresh_connection_can_be_asked_for() -> None:
    """Even where another waits."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        await exchange(lease, await lease.open(A), upstreams.peer(0))
        assert not (await lease.open(A, fresh=True)).was_used
        assert upstreams.open == [0, 1]


async def test_a_connection_can_be_given_up() -> None:
    """The next request gets a new one."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        await lease.discard(await lease.open(A))
        assert upstreams.open == []
        assert lease.idle_connection is None
        assert not (await lease.open(A)).was_used
        assert upstreams.open == [1]


async def test_exchanges_at_once_have_a_connection_each() -> None:
    """As HTTP/1.1 has it; each connection then waits for the next exchange."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        first, second = await lease.open(A), await lease.open(A)
        await exchange(lease, second, upstreams.peer(1))
        assert lease.idle_connection is second
        await exchange(lease, first, upstreams.peer(0))
        assert {await lease.open(A), await lease.open(A)} == {first, second}
        assert upstreams.open == [0, 1]
    assert upstreams.open == []


async def test_what_cannot_be_dialled_leaves_the_others_as_they_are() -> None:
    """And is the caller's to tell."""
    upstreams = Upstreams()
    async with upstreams.lease() as lease:
        await exchange(lease, await lease.open(A), upstreams.peer(0))
        with pytest.raises(UpstreamError, match="cannot look up"):
            await lease.open(origin("gone.example"))
        assert lease.idle_connection is None
        assert (await lease.open(A)).was_used
    assert upstreams.open == []


async def test_a_cancelled_client_leaves_no_connection_behind() -> None:
    """Neither the one in hand nor those that wait."""
    upstreams = Upstreams()
    with trio.CancelScope() as scope:
        async with upstreams.lease() as lease:
            for place, each in enumerate((A, B, origin("c.example"))):
                await exchange(lease, await lease.open(each), upstreams.peer(place))
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert upstreams.names == ["a.example", "b.example", "c.example"]
    assert upstreams.open == []


class Layer(Layered):
    """A layer over a stream that only knows whether its last word was said, and when."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self.said: list[str] = []

    async def end_sending(self) -> None:
        await trio.lowlevel.checkpoint()
        self.said.append("end")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.transport.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.said.append("closed")
        await self.transport.aclose()


UPLOAD = RequestHead(b"POST", b"/", ((b"Host", b"h"), (b"Content-Length", b"3")))


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    ("request_parts", "answer", "in_order"),
    [
        ((), b"", True),
        ((GET, End()), OK, True),
        ((GET, End()), LAST, True),
        ((GET, End()), b"", True),
        ((GET, End()), OK[:-10], True),
        ((UPLOAD, b"ab"), b"", False),
        ((UPLOAD, b"ab"), OK, False),
    ],
    ids=["unused", "idle", "last", "unanswered", "half", "upload", "answered early"],
)
async def test_a_connection_ends_in_good_order_if_its_request_was_sent(
    request_parts: tuple[Part, ...], answer: bytes, in_order: bool, cancelled: bool
) -> None:
    """So that TLS says close_notify (RFC 8446 section 6.1), even as the proxy stops."""
    near, far = memory_stream_pair()
    stream = Layer(near)

    async def dial(_: Origin) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return stream

    with trio.CancelScope() as scope:
        async with PoolLease(dial, Limits(), FirstWaits(0.05)) as lease:
            connection = await lease.open(A)
            if request_parts:
                await connection.send(*request_parts)
            if answer:
                await far.send_all(answer)
                await connection.read_more()
                connection.buffered_parts()
            if cancelled:
                scope.cancel()
    assert stream.said == (["end", "closed"] if in_order else ["closed"])


@pytest.mark.parametrize("poll", [socket_stream._POLL, None])
async def test_what_has_arrived_on_a_socket_is_seen_without_reading(
    monkeypatch: pytest.MonkeyPatch, poll: Any
) -> None:
    """Nothing, bytes, the end, a reset; also where the system has no poll(2)."""
    monkeypatch.setattr(socket_stream, "_POLL", poll)
    ours, theirs = socket.socketpair()
    async with SocketStream(ours) as stream:
        assert not stream.has_arrived()
        theirs.send(b"x")
        assert stream.has_arrived()
        assert await stream.receive_some() == b"x"
        assert not stream.has_arrived()
        theirs.close()
        assert stream.has_arrived()
    assert stream.has_arrived()  # a read would say that it is closed


async def test_what_has_arrived_in_memory_is_seen_without_reading() -> None:
    """As on a socket."""
    near, far = memory_stream_pair()
    assert not near.has_arrived()
    await far.send_all(b"x")
    assert near.has_arrived()
    await near.receive_some()
    assert not near.has_arrived()
    await far.aclose()
    await wait_all_tasks_blocked()
    assert near.has_arrived()
