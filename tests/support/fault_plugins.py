"""Small plugins for the simulated host."""

from __future__ import annotations

import trio
from attrs import define, field

from faultinject.plugin.duplex.lanes import LanePair
from faultinject.plugin.interface import Direction, PassThrough, Replace, Reply, Side

SLOW_SECONDS = 0.01
"""How long a plugin may think: longer than a paced sender's pause."""


@define
class Echo:
    """Answers every chunk with itself, after a while."""

    write_seconds: float = SLOW_SECONDS
    reply: type[PassThrough] | type[Replace] = Replace

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Say the chunk again."""
        if direction is Direction.TO_PEER:
            await trio.sleep(self.write_seconds)
        return self.reply(chunk)


@define
class OneTunnel:
    """Takes all calls for one tunnel's lanes, and keeps them."""

    pair: LanePair = field(factory=LanePair)

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Let the lanes answer."""
        return await self.pair.answer_chunk(side, direction, chunk)
