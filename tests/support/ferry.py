"""Joins the client's sides of two tunnels through a trivial host, so that their streams meet.

What one tunnel's plugin writes to its client is what the other one's client sends.
"""

from __future__ import annotations

import trio

from faultinject.plugin.chunk_stream import ChunkStream
from faultinject.plugin.duplex.lanes import FILLER, LanePair
from faultinject.plugin.interface import Close, Direction, Replace, Side
from tests.support.fault_host import READ_BYTES

SLOTS = 4_000
"""How many slots are promised at the beginning: more than any test takes."""


async def joined(nursery: trio.Nursery, limit_bytes: int) -> tuple[ChunkStream, ChunkStream]:
    """Return two streams of which each receives what the other sends.

    Every write goes into a slot that was promised at the beginning. The other streams of the two
    tunnels stay unused.
    """
    one, two = LanePair(limit_bytes), LanePair(limit_bytes)
    for pair, other in ((one, two), (two, one)):
        to_other, from_this = trio.open_memory_channel[bytes](0)
        await _promise(pair, nursery)
        nursery.start_soon(_take, pair, to_other)
        nursery.start_soon(_bring, other, from_this)
    return one.client, two.client


async def _promise(pair: LanePair, nursery: trio.Nursery) -> None:
    """Let the upstream say something, and buy slots toward the client with it."""
    nursery.start_soon(pair.answer_chunk, Side.UPSTREAM, Direction.FROM_PEER, b"!")
    await pair.upstream.receive_some()
    pair.down.end_turn(promised=SLOTS)
    pair.down.write_through = True
    await pair.upstream.aclose()


async def _take(pair: LanePair, chunks: trio.MemorySendChannel[bytes]) -> None:
    """Offer slots, and hand on what is written into them."""
    async with chunks:
        while True:
            reply = await pair.answer_chunk(Side.CLIENT, Direction.TO_PEER, FILLER)
            if not isinstance(reply, Replace):
                break
            try:
                for start in range(0, len(reply.data), READ_BYTES):
                    await chunks.send(reply.data[start : start + READ_BYTES])
            except trio.BrokenResourceError:
                break
    pair.end("the client is gone")


async def _bring(pair: LanePair, chunks: trio.MemoryReceiveChannel[bytes]) -> None:
    """Bring what the other tunnel wrote as inputs."""
    async with chunks:
        async for chunk in chunks:
            reply = await pair.answer_chunk(Side.CLIENT, Direction.FROM_PEER, chunk)
            if isinstance(reply, Close):
                break
    pair.end("the client is gone")
