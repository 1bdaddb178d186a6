"""The first bytes of a tunnel, as they come from either side."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from faultinject.net.memory_stream import memory_stream_pair
from faultinject.plugin.duplex.lanes import LanePair
from faultinject.plugin.duplex.tunnel_lease import TunnelLease
from faultinject.proxy.session import Session
from faultinject.proxy.sniff import FirstBytes, Protocol
from faultinject.settings import Limits
from faultinject.tls.client_hello import ClientHello
from tests.plugin.support import make_services
from tests.support.tls_peers import client_context, client_hello


def session() -> Session:
    """Return one that is served by nobody."""
    return Session(make_services([]), 1, "client", lease=TunnelLease(LanePair()))


async def test_a_hello_in_pieces(nursery: trio.Nursery) -> None:
    """All that was read of it is there to be read again."""
    hello = client_hello(client_context(), "a.example")
    peer, ours = memory_stream_pair()
    first = FirstBytes(session(), ours, only_sni_counts=False)
    nursery.start_soon(first.read)
    for start in range(0, len(hello), 100):
        await peer.send_all(hello[start : start + 100])
        await trio.testing.wait_all_tasks_blocked()
    assert isinstance(first.opening, ClientHello)
    assert first.data == hello
    assert not first.session.idle


@pytest.mark.parametrize(("only_sni_counts", "read"), [(True, True), (False, False)])
async def test_the_beginning_of_http(
    only_sni_counts: bool, read: bool, nursery: trio.Nursery
) -> None:
    """It is waited for only where plain HTTP would make a difference."""
    peer, ours = memory_stream_pair()
    first = FirstBytes(session(), ours, only_sni_counts=only_sni_counts)
    done = trio.Event()

    async def run() -> None:
        await first.read()
        done.set()

    nursery.start_soon(run)
    await peer.send_all(b"GET")
    await trio.testing.wait_all_tasks_blocked()
    assert done.is_set() is read
    await peer.send_all(b" /")
    await done.wait()
    assert (first.opening, first.data) == (
        (Protocol.UNDECIDED, b"GET") if read else (Protocol.HTTP, b"GET /")
    )


async def test_an_upstream_that_speaks_first(nursery: trio.Nursery) -> None:
    """Its words can still be read."""
    _, client = memory_stream_pair()
    peer, upstream = memory_stream_pair()
    first = FirstBytes(session(), client, only_sni_counts=True, upstream=upstream)
    await peer.send_all(b"220 hello")
    await first.read()
    assert first.upstream is not upstream
    assert first.upstream is not None
    assert await first.upstream.receive_some() == b"220 hello"
    assert first.opening is Protocol.UNDECIDED


async def test_an_upstream_that_is_gone(nursery: trio.Nursery) -> None:
    """It ends the wait, too."""

    class Broken(trio.abc.ReceiveStream):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError

        async def aclose(self) -> None:
            raise AssertionError

    _, client = memory_stream_pair()
    first = FirstBytes(session(), client, only_sni_counts=True, upstream=Broken())
    await first.read()
    assert first.opening is Protocol.UNDECIDED


async def test_a_hello_without_end(nursery: trio.Nursery) -> None:
    """It is given up at the limit."""
    peer, ours = memory_stream_pair()
    first = FirstBytes(session(), ours, only_sni_counts=True)
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + bytes(0x4000 - 4)
    more = b"\x16\x03\x01\x40\x00" + bytes(0x4000)
    nursery.start_soon(peer.send_all, record + 3 * more)
    await first.read()
    assert first.opening is Protocol.UNDECIDED
    assert len(first.data) > Limits().client_hello_bytes


async def test_a_client_that_says_nothing(nursery: trio.Nursery) -> None:
    """Its end is the end of the wait; until it speaks the session may end."""
    peer, ours = memory_stream_pair()
    first = FirstBytes(session(), ours, only_sni_counts=False)
    nursery.start_soon(first.read)
    await trio.testing.wait_all_tasks_blocked()
    assert first.session.idle
    await peer.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert (first.opening, first.data) == (Protocol.UNDECIDED, b"")
