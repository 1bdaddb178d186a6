"""Upstream connections that wait for a client, and the one that a client has."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from faultinject.authority import Authority
from faultinject.dial import Origin
from faultinject.errors import UpstreamError
from faultinject.http.connection import UpstreamConnection
from faultinject.http.message import End, RequestHead
from faultinject.lease import Lease
from faultinject.limits import Limits
from faultinject.socket_stream import SocketStream
from faultinject.upstream import Pool, PooledLease
from tests.support.script import ScriptedPeer


def origin(name: str) -> Origin:
    return Origin(Authority(name, 443), Authority(name, 443))


A, B = origin("a.example"), origin("b.example")
GET = RequestHead(b"GET", b"/", ((b"Host", b"h"),))
LIMITS = Limits(pool_idle_seconds=60, pool_connections=2)


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


@asynccontextmanager
async def a_pool(limits: Limits = LIMITS) -> AsyncIterator[tuple[Pool, Upstreams]]:
    """Have a pool whose watches end with the block."""
    upstreams = Upstreams()
    async with trio.open_nursery() as nursery:
        yield Pool(nursery, upstreams.dial, limits), upstreams
        nursery.cancel_scope.cancel()


async def kept(pool: Pool, *origins: Origin) -> list[UpstreamConnection]:
    """Dial connections and give them to the pool, all at once."""
    connections = [(await pool.acquire(each, fresh=True))[0] for each in origins]
    for each, connection in zip(origins, connections, strict=True):
        pool.give_back(each, connection)
    return connections


async def exchange(lease: Lease, peer: ScriptedPeer) -> None:
    """Make a whole exchange on the leased connection."""
    await lease.borrowed.send(GET, End())
    peer.says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await lease.borrowed.receive()
    assert lease.borrowed.next_cycle()


# The pool


async def test_a_connection_that_waits_is_used_again() -> None:
    """By whoever asks the same origin."""
    async with a_pool() as (pool, upstreams):
        (connection,) = await kept(pool, A)
        assert await pool.acquire(A, fresh=False) == (connection, True)
        assert upstreams.names == ["a.example"]
        assert upstreams.open == [0]


async def test_a_connection_is_one_clients_at_a_time() -> None:
    """The next one gets another."""
    async with a_pool() as (pool, upstreams):
        (connection,) = await kept(pool, A)
        first, _ = await pool.acquire(A, fresh=False)
        second, reused = await pool.acquire(A, fresh=False)
        assert first is connection
        assert second is not connection
        assert not reused
        assert upstreams.names == ["a.example", "a.example"]


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
    """A connection is for the one it was dialled for."""
    async with a_pool() as (pool, _):
        await kept(pool, A)
        _, reused = await pool.acquire(other, fresh=False)
        assert not reused


async def test_the_newest_connection_is_used_first() -> None:
    """It is the least likely to be about to end."""
    async with a_pool() as (pool, _):
        _, newest = await kept(pool, A, A)
        assert await pool.acquire(A, fresh=False) == (newest, True)


async def test_a_fresh_connection_can_be_asked_for() -> None:
    """The one that waits goes on waiting."""
    async with a_pool() as (pool, upstreams):
        (waiting,) = await kept(pool, A)
        connection, reused = await pool.acquire(A, fresh=True)
        assert connection is not waiting
        assert not reused
        assert await pool.acquire(A, fresh=False) == (waiting, True)
        assert upstreams.open == [0, 1]


async def test_what_cannot_be_dialled_is_the_callers_to_tell() -> None:
    """As the dialler told it."""
    async with a_pool() as (pool, _):
        with pytest.raises(UpstreamError, match="cannot look up"):
            await pool.acquire(origin("gone.example"), fresh=False)


@pytest.mark.parametrize("how", ["ends", "says", "breaks"])
async def test_a_connection_that_ends_while_it_waits_is_closed(how: str) -> None:
    """And so is one whose upstream says anything: it answers nothing."""
    async with a_pool() as (pool, upstreams):
        if how == "breaks":
            stream = await upstreams.dial(A)
            upstreams.peer(0).breaks()
            pool.give_back(A, UpstreamConnection(stream, head_bytes=100))
        else:
            await kept(pool, A)
            peer = upstreams.peer(0)
            peer.ends() if how == "ends" else peer.says(b"HTTP/1.1 408 \r\n\r\n")
        await wait_all_tasks_blocked()
        assert upstreams.open == []
        _, reused = await pool.acquire(A, fresh=False)
        assert not reused


async def test_a_connection_that_ended_just_now_is_not_handed_out() -> None:
    """Even if its watch has not come to close it; the next one that waits is."""
    async with a_pool() as (pool, upstreams):
        good, _ = await kept(pool, A, A)
        await wait_all_tasks_blocked()
        upstreams.peer(1).ends()
        assert await pool.acquire(A, fresh=False) == (good, True)
        assert upstreams.open == [0]


async def test_a_connection_on_which_something_was_said_already_is_not_handed_out() -> None:
    """Even if it was given back this moment: what was said would be the answer to the next client.

    With sockets, whose bytes wait in the kernel until someone reads.
    """
    ours, theirs = socket.socketpair()
    stream = SocketStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    with theirs:
        theirs.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        async with a_pool() as (pool, _):
            pool.give_back(A, UpstreamConnection(stream, head_bytes=100))
            _, reused = await pool.acquire(A, fresh=False)
            assert not reused


async def test_a_connection_that_nobody_wants_is_closed(autojump_clock: MockClock) -> None:
    """When its time is over, and not before."""
    async with a_pool() as (pool, upstreams):
        await kept(pool, A)
        await trio.sleep(30)
        await kept(pool, B)
        await trio.sleep(29.9)
        assert upstreams.open == [0, 1]
        await trio.sleep(0.2)
        assert upstreams.open == [1]
        await trio.sleep(30)
        assert upstreams.open == []


async def test_a_used_connection_waits_its_whole_time_again(autojump_clock: MockClock) -> None:
    """From when it was given back."""
    async with a_pool() as (pool, upstreams):
        await kept(pool, A)
        await trio.sleep(59)
        connection, _ = await pool.acquire(A, fresh=False)
        await trio.sleep(59)
        pool.give_back(A, connection)
        await trio.sleep(59)
        assert upstreams.open == [0]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("limit", [0, 1, 2, 5])
async def test_no_more_connections_wait_than_may(limit: int, at_once: bool) -> None:
    """The oldest ones go."""
    async with a_pool(Limits(pool_connections=limit)) as (pool, upstreams):
        for some in ([A] * 5,) if at_once else ([A],) * 5:
            await kept(pool, *some)
            await wait_all_tasks_blocked()
        assert upstreams.open == list(range(5 - limit, 5))


async def test_a_connection_that_must_go_is_not_handed_out() -> None:
    """Even before it was closed."""
    async with a_pool(Limits(pool_connections=0)) as (pool, upstreams):
        await kept(pool, A)
        _, reused = await pool.acquire(A, fresh=False)
        assert not reused
        await wait_all_tasks_blocked()
        assert upstreams.open == [1]


async def test_connections_end_with_the_run() -> None:
    """The pool's nursery is the run's."""
    async with a_pool() as (pool, upstreams):
        await kept(pool, A, B)
        await wait_all_tasks_blocked()
        await kept(pool, A)  # its watch has not even begun
    assert upstreams.open == []


async def test_a_cancelled_client_leaves_no_connection_behind() -> None:
    """What it was about to get is closed, or waits on."""
    async with a_pool() as (pool, upstreams):
        await kept(pool, A)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            async with PooledLease(pool) as lease:
                await lease.acquire(A)
        await wait_all_tasks_blocked()
        connection, reused = await pool.acquire(A, fresh=False)
        assert reused == (upstreams.open == [0])
        await trio.aclose_forcefully(connection.stream)
        assert upstreams.open == []


# The lease


async def test_a_client_keeps_its_connection_from_request_to_request() -> None:
    """As if there were no proxy."""
    async with a_pool() as (pool, upstreams), PooledLease(pool) as lease:
        assert lease.idle_connection is None
        assert not await lease.acquire(A)
        connection = lease.borrowed
        await exchange(lease, upstreams.peer(0))
        assert lease.idle_connection is connection
        assert await lease.acquire(A)
        assert lease.borrowed is connection
        assert upstreams.names == ["a.example"]


async def test_nothing_is_borrowed_before_it_was_acquired() -> None:
    """To ask for it is a defect."""
    async with a_pool() as (pool, _):
        with pytest.raises(RuntimeError, match="nothing was acquired"):
            _ = PooledLease(pool).borrowed


async def test_when_the_client_is_gone_others_may_have_its_connection() -> None:
    """If it is good for another request."""
    async with a_pool() as (pool, upstreams):
        async with PooledLease(pool) as first:
            await first.acquire(A)
            await exchange(first, upstreams.peer(0))
        async with PooledLease(pool) as second:
            assert await second.acquire(A)
            await exchange(second, upstreams.peer(0))
        assert upstreams.open == [0]


async def test_a_connection_in_the_middle_of_an_exchange_goes_with_its_client() -> None:
    """It is good for nothing else."""
    async with a_pool() as (pool, upstreams):
        async with PooledLease(pool) as lease:
            await lease.acquire(A)
            await lease.borrowed.send(GET, End())
        assert upstreams.open == []


async def test_a_client_that_changes_origins_lets_others_have_the_first() -> None:
    """And gets it back if nobody took it."""
    async with a_pool() as (pool, upstreams), PooledLease(pool) as lease:
        await lease.acquire(A)
        await exchange(lease, upstreams.peer(0))
        assert not await lease.acquire(B)
        await exchange(lease, upstreams.peer(1))
        assert await lease.acquire(A)
        assert upstreams.names == ["a.example", "b.example"]
        assert upstreams.open == [0, 1]


async def test_a_connection_that_ended_meanwhile_is_replaced() -> None:
    """And closed."""
    async with a_pool() as (pool, upstreams), PooledLease(pool) as lease:
        await lease.acquire(A)
        await exchange(lease, upstreams.peer(0))
        upstreams.peer(0).ends()
        await lease.borrowed.wait_until_not_idle()
        assert not await lease.acquire(A)
        assert upstreams.open == [1]


async def test_after_a_failure_a_fresh_one_can_be_asked_for() -> None:
    """Not one of those that wait: they may have ended in the same way."""
    async with a_pool() as (pool, upstreams), PooledLease(pool) as lease:
        await kept(pool, A)
        await lease.acquire(A)
        await lease.borrowed.send(GET, End())
        assert not await lease.acquire(A, fresh=True)
        assert upstreams.open == [1]


async def test_a_connection_can_be_given_up() -> None:
    """Twice is as good as once; and the next request gets a new one."""
    async with a_pool() as (pool, upstreams), PooledLease(pool) as lease:
        await lease.discard()
        await lease.acquire(A)
        await lease.discard()
        assert upstreams.open == []
        assert lease.idle_connection is None
        await lease.discard()
        assert not await lease.acquire(A)
        assert upstreams.open == [1]


async def test_a_lease_whose_dialling_failed_is_empty() -> None:
    """The connection before it was given back all the same."""
    async with a_pool() as (pool, upstreams):
        async with PooledLease(pool) as lease:
            await lease.acquire(A)
            await exchange(lease, upstreams.peer(0))
            with pytest.raises(UpstreamError):
                await lease.acquire(origin("gone.example"))
            assert lease.idle_connection is None
            assert await lease.acquire(A)
        assert upstreams.open == [0]
