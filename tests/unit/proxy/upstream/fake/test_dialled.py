"""The fake API in the place of targets' upstreams: what is dialled, and how connections end."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import define, field

from faultinject.authority import Authority
from faultinject.errors import UpstreamError
from faultinject.events import Event, Warned
from faultinject.proxy.upstream.dial import Origin
from faultinject.proxy.upstream.fake.fake_api import FakeApi, FakeUpstream
from tests.support.peer import Peer

TARGET = Origin(Authority("api.example.com", 443), Authority("192.0.2.1", 443))
OTHER = Origin(Authority("other.example.com", 443), Authority("other.example.com", 443))
ASK = b"POST /v1/messages HTTP/1.1\r\nHost: api\r\nContent-Length: 2\r\n\r\n{}"


@define
class Network:
    """Dials nothing, and remembers what it was asked for."""

    dialled: list[Origin] = field(factory=list)

    async def dial(self, origin: Origin) -> trio.abc.Stream:
        """Stand for `Dialer.dial`."""
        self.dialled.append(origin)
        raise UpstreamError("connect", "there is no network")


def fake(
    nursery: trio.Nursery, network: Network, events: list[Event], api: FakeApi | None = None
) -> FakeUpstream:
    """Return a fake upstream whose only target is `TARGET`."""
    return FakeUpstream(
        nursery,
        lambda authority: authority == TARGET.authority,
        network.dial,
        events.append,
        api or FakeApi(),
    )


async def test_a_target_is_answered_in_memory() -> None:
    """A target gets the fake API, whatever address it was said to have; nothing is dialled."""
    network, events = Network(), list[Event]()
    async with (
        trio.open_nursery() as nursery,
        await fake(nursery, network, events).dial(TARGET) as stream,
    ):
        assert (await Peer(stream).ask(ASK)).status == 200
    assert network.dialled == []
    assert events == []


async def test_others_are_dialled_as_usual() -> None:
    """What is no target goes the usual way, errors included."""
    network = Network()
    async with trio.open_nursery() as nursery:
        upstream = fake(nursery, network, [])
        with pytest.raises(UpstreamError, match="no network"):
            await upstream.dial(OTHER)
    assert network.dialled == [OTHER]


async def test_connections_share_one_api() -> None:
    """Ids differ between connections."""
    async with trio.open_nursery() as nursery:
        upstream = fake(nursery, Network(), [])
        answers = []
        for _ in range(2):
            async with await upstream.dial(TARGET) as stream:
                answers.append(await Peer(stream).ask(ASK))
    assert answers[0].header(b"request-id") != answers[1].header(b"request-id")


async def test_connections_end_with_the_nursery() -> None:
    """When the nursery is cancelled, whoever uses a connection sees its end."""
    async with trio.open_nursery() as nursery:
        stream = await fake(nursery, Network(), []).dial(TARGET)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with stream:
        assert await stream.receive_some() == b""


async def test_a_defect_ends_one_connection() -> None:
    """What goes wrong in the API is told, and the next connection is served."""

    class Defective(FakeApi):
        """Fails once."""

        async def serve(self, stream: trio.abc.Stream) -> None:
            """Fail on the first stream."""
            self.request_count += 1
            if self.request_count == 1:
                raise RuntimeError("oh no")
            await super().serve(stream)

    events: list[Event] = []
    async with trio.open_nursery() as nursery:
        upstream = fake(nursery, Network(), events, Defective())
        async with await upstream.dial(TARGET) as stream:
            assert await stream.receive_some() == b""
        async with await upstream.dial(TARGET) as stream:
            assert (await Peer(stream).ask(ASK)).status == 200
    [warning] = events
    assert isinstance(warning, Warned)
    assert "RuntimeError: oh no" in warning.message
