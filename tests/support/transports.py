"""The ways a client's bytes come to the proxy, each behind the same few words.

`memory` and `sockets` are the proxy's own port: CONNECT, then TLS. `duplex` and `reply` are the
plugin behind the two kinds of host. `open` of each gives a client that has shaken hands, and an
upstream that follows a script.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
import trio.testing
from attrs import define

from faultinject.authority import Authority
from faultinject.events import ExchangeEnded
from faultinject.net.socket_stream import SocketStream
from faultinject.proxy.http_proxy import HttpProxy
from faultinject.proxy.session import Session
from faultinject.proxy.upstream.dial import Dialer, Origin
from tests.support import fault_world, reply_world
from tests.support.bench import TARGET, Bench, Script, echoes, open_bench, trusting_context
from tests.support.peer import Peer
from tests.support.running import upstream as listening_upstream

ON_SOCKETS_SECONDS = 0.02
"""How long nothing may move on real sockets before the clock jumps."""


@define
class Connected:
    """A client of the proxy, and what the proxy does."""

    bench: Bench
    client: Peer

    async def leave(self) -> None:
        """End the client in good order, and without an answer to its good-bye if none comes."""
        with trio.move_on_after(1):
            await self.client.close()
        await self.client.cut()

    async def exchanges(self, count: int = 1) -> list[ExchangeEnded]:
        """Return the exchanges so far, once there are this many."""
        with trio.fail_after(60):
            while len(ended := self.bench.of(ExchangeEnded)) < count:
                await trio.sleep(0.01)
        return ended


@asynccontextmanager
async def in_memory(script: Script) -> AsyncIterator[Connected]:
    """Open `memory`: the proxy's port, without sockets."""
    async with open_bench(upstream=script) as bench:
        yield Connected(bench, await bench.tls())


@define
class _SocketDialer:
    """Dials one port of loopback, whatever is asked for."""

    port: int

    async def dial(self, _where: Origin | Authority) -> trio.abc.Stream:
        """Stand for `Dialer.dial`."""
        return SocketStream(await trio.open_tcp_stream("127.0.0.1", self.port))

    dial_blind = dial


@asynccontextmanager
async def on_sockets(script: Script) -> AsyncIterator[Connected]:
    """Open `sockets`: the proxy's port, with the kernel on both of its sides."""
    async with (
        listening_upstream(script) as port,
        open_bench() as bench,
        trio.open_nursery() as nursery,
    ):
        dialer = _SocketDialer(port)
        bench.runtime.dialer = cast("Dialer", dialer)
        bench.runtime.dial = dialer.dial

        async def serve(accepted: trio.SocketStream) -> None:
            async with SocketStream(accepted) as stream:
                session = Session(bench.runtime, bench.runtime.next_session_id(), "client")
                await session.run(HttpProxy(stream, stream.acknowledge))

        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        client = Peer(await trio.open_tcp_stream(*listener.socket.getsockname()[:2]))
        await client.ask(b"CONNECT %b:443 HTTP/1.1\r\nHost: x\r\n\r\n" % TARGET.encode())
        await client.start_tls(trusting_context(alpn=["http/1.1"]), TARGET)
        yield Connected(bench, client)
        await client.cut()
        nursery.cancel_scope.cancel()


@define
class BehindDuplex(Connected):
    """A host that shows the plugin both directions, as Fault 0.16 does."""

    world: fault_world.World

    async def leave(self) -> None:
        """The host passes the good-bye on; of an end without one it says nothing."""
        await super().leave()
        self.world.host.client.close()


@asynccontextmanager
async def behind_duplex(script: Script) -> AsyncIterator[Connected]:
    """Open `duplex`."""
    async with fault_world.world(script=script) as world:
        yield BehindDuplex(world.bench, await world.tls(), world)


@define
class BehindReply(Connected):
    """A host that gives the answer to a chunk back to its sender."""

    host: reply_world.ReplyHost

    async def leave(self) -> None:
        """The host takes its call back."""
        await self.client.cut()
        self.host.give_up()


@asynccontextmanager
async def behind_reply(script: Script) -> AsyncIterator[Connected]:
    """Open `reply`."""
    async with reply_world.one_tunnel(upstream=script) as (world, host, client):
        yield BehindReply(world.bench, client, host)


OPENERS = {
    "memory": in_memory,
    "sockets": on_sockets,
    "duplex": behind_duplex,
    "reply": behind_reply,
}
ONE_REPLY = "there is one reply for a chunk, so an answer comes when it is whole"
UNASKED = "what an upstream says of itself waits for the client's next chunk"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("reply", "test_a_stream_comes_as_it_is_sent"): ONE_REPLY,
    ("reply", "test_a_stall"): ONE_REPLY,
    ("reply", "test_an_upgrade"): UNASKED,
    ("reply", "test_a_delayed_request_that_waits_for_a_100"): UNASKED,
    ("duplex", "test_what_follows_an_error_within_a_stream"): (
        "the rest of the stream is still on the tunnel's only upstream connection"
    ),
    ("duplex", "test_a_client_that_leaves_before_the_upstream_is_asked"): (
        "what the client said last carries its request up: until then it cannot say more"
    ),
}
"""What does not hold, by transport and test of `tests.behaviour`, and why it cannot."""


@define
class Transport:
    """One of them, to be opened."""

    name: str

    @asynccontextmanager
    async def open(
        self, script: Script = echoes, *rules: dict[str, Any]
    ) -> AsyncIterator[Connected]:
        """Connect a client, and go by these rules from its first request on."""
        async with OPENERS[self.name](script) as here:
            here.bench.rules(*rules)
            yield here

    def clock(self) -> trio.testing.MockClock:
        """Return a clock that jumps once nothing moves."""
        on_sockets = self.name == "sockets"
        return trio.testing.MockClock(autojump_threshold=ON_SOCKETS_SECONDS if on_sockets else 0)
