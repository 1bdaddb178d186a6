"""Blind relays: bytes both ways, untouched, half-closes included."""

from __future__ import annotations

import trio
from attrs import define

from faultinject.net.streams import half_close, reset, was_reset, was_truncated
from faultinject.net.timeouts import Timeout

READ_NUM_BYTES = 256 * 1024


@define
class Relayed:
    """What a relay has carried so far."""

    sent_bytes: int = 0
    """From the client to the upstream."""
    received_bytes: int = 0
    """From the upstream to the client."""
    error: str | None = None
    """Why it broke; None if both sides closed properly."""
    truncated: bool = False
    """Whether a side ended without TLS's close_notify; the other side is then sent none."""

    @property
    def broken(self) -> bool:
        """Whether bytes may be missing."""
        return self.truncated or self.error is not None


async def relay(
    client: trio.abc.Stream,
    upstream: trio.abc.Stream,
    relayed: Relayed,
    idle_timeout: Timeout,
    idle_seconds: float,
) -> None:
    """Carry bytes both ways until both sides have ended, or one has broken.

    The caller closes the streams.
    """

    def carried(sent: int, received: int) -> None:
        relayed.sent_bytes += sent
        relayed.received_bytes += received
        idle_timeout.reset("either side of a relay", idle_seconds)

    async def carry(source: trio.abc.Stream, sink: trio.abc.Stream, upward: bool) -> None:
        try:
            while data := await source.receive_some(READ_NUM_BYTES):
                await sink.send_all(data)
                carried(len(data) if upward else 0, 0 if upward else len(data))
        except trio.BrokenResourceError as error:
            relayed.error = str(error.__cause__ or error) or "the connection broke"
            if was_reset(error):  # the other side must not take it for an end
                await reset(sink)
                await reset(source)
            nursery.cancel_scope.cancel()
            return
        except trio.ClosedResourceError:
            return  # the other way broke, and ended both
        relayed.truncated |= was_truncated(source)
        if isinstance(sink, trio.abc.HalfCloseableStream):
            await half_close(sink)
        else:  # TLS has no half: its end ends both ways
            nursery.cancel_scope.cancel()

    carried(0, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, client, upstream, True)
        nursery.start_soon(carry, upstream, client, False)
