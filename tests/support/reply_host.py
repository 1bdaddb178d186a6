"""A simulated host that gives the answer to a chunk back to the chunk's sender.

One tunnel of it: what the client sends is handed to the plugin a chunk at a time, one after
another, and what becomes of a chunk is what its answer says::

    Replace      its bytes go back to the sender, and the chunk nowhere
    PassThrough  its bytes go on to the other peer, in the chunk's place
    Close        both connections end

What the upstream sends is handed over in the same way. A peer's half-close is passed on. The host
says nothing about a tunnel's end, but by taking back the call that is under way then. Knows
nothing of gRPC, TLS or HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import Factory, define, field, frozen

from faultinject.plugin.interface import Close, Direction, PassThrough, Reply, Side, TunnelPlugin
from tests.support.pipes import Pipe, pipe_pair

CHUNK_BYTES = 4096
LIMIT_SECONDS = 100_000.0
"""How long a test's tunnel may run by its clock."""


@frozen
class Called:
    """A chunk of the client and its answer, for the record."""

    chunk: bytes
    reply: Reply


@define(eq=False)
class ReplyHost:
    """One tunnel."""

    plugin: TunnelPlugin
    tunnel_id: str = "tunnel"
    chunk_bytes: int = CHUNK_BYTES
    upstream_call: tuple[Side, Direction] = (Side.CLIENT, Direction.TO_PEER)
    """What the upstream's bytes are called: what the client's side writes, or the other's reads."""
    calls: list[Called] = field(factory=list)
    """The client's chunks that were answered."""
    held: bytes | None = None
    """The client's chunk whose call is under way."""
    closed: str | None = None
    """Why the plugin closed the tunnel, if it did."""
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _ends: tuple[tuple[Pipe, Pipe], tuple[Pipe, Pipe]] = Factory(lambda: (pipe_pair(), pipe_pair()))

    @property
    def client(self) -> Pipe:
        """The client's end of its connection."""
        return self._ends[0][0]

    @property
    def upstream(self) -> Pipe:
        """The upstream's end of its connection."""
        return self._ends[1][0]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ReplyHost]:
        """Run the tunnel until the block is left."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            yield self
            nursery.cancel_scope.cancel()

    def give_up(self) -> None:
        """End the tunnel, as a host does that has noticed that a peer is gone."""
        self._scope.cancel()

    async def run(self) -> None:
        """Carry the tunnel until either side breaks or both have ended."""
        (_, client), (_, upstream) = self._ends
        with self._scope, trio.fail_after(LIMIT_SECONDS):
            async with client, upstream, trio.open_nursery() as nursery:
                nursery.start_soon(
                    self._carry, client, upstream, (Side.CLIENT, Direction.FROM_PEER)
                )
                nursery.start_soon(self._carry, upstream, client, self.upstream_call)

    async def _carry(self, source: Pipe, sink: Pipe, call: tuple[Side, Direction]) -> None:
        try:
            while chunk := bytes(await source.receive_some(self.chunk_bytes)):
                await self._obey(await self._ask(call, chunk), source, sink)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.give_up()

    async def _ask(self, call: tuple[Side, Direction], chunk: bytes) -> Reply:
        of_client = call == (Side.CLIENT, Direction.FROM_PEER)
        if of_client:
            self.held = chunk
        reply = await self.plugin.process_tunnel_data(*call, self.tunnel_id, chunk)
        if of_client:
            self.held = None
            self.calls.append(Called(chunk, reply))
        return reply

    async def _obey(self, reply: Reply, sender: Pipe, other: Pipe) -> None:
        if isinstance(reply, Close):
            self.closed = reply.reason
            self.give_up()
        elif isinstance(reply, PassThrough):
            await other.send_all(reply.data)
        elif reply.data:
            await sender.send_all(reply.data)
