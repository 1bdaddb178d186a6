"""What a host asks about the bytes of a tunnel, and what it may be answered.

Values only. Knows nothing of gRPC, of what the bytes are, or of who answers. The words of
``plugin.proto`` end where its messages are turned into these.
"""

from __future__ import annotations

import enum
from typing import Protocol

import trio
from attrs import frozen


class Side(enum.Enum):
    """The peer whose connection a registration of the plugin is wrapped around."""

    CLIENT = enum.auto()
    UPSTREAM = enum.auto()


class Direction(enum.Enum):
    """Which way a chunk travels over that peer's connection."""

    FROM_PEER = enum.auto()
    """The peer's own bytes, just received (0 in ``plugin.proto``)."""
    TO_PEER = enum.auto()
    """Bytes that are about to be written to the peer (1)."""


@frozen
class Replace:
    """These bytes go on in the chunk's direction instead of it; none swallow it.

    In direction TO_PEER Fault asks again at once if there are none.
    """

    data: bytes = b""


@frozen
class PassThrough:
    """The chunk goes on as it is; ``data`` is that chunk."""

    data: bytes


@frozen
class Close:
    """The direction ends here: FROM_PEER with an end of stream, TO_PEER with an error."""

    reason: str


Reply = Replace | PassThrough | Close


class TooMuchError(Exception):
    """A call asks for more than a caller is given; the message says what."""


class TunnelPlugin(Protocol):
    """What a host calls. Calls about one side and direction of a tunnel come one at a time."""

    async def reply_to(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Say what shall become of a chunk.

        May take as long as it likes: only that direction of that tunnel waits. Is cancelled when
        the tunnel is over.
        """
        ...


class OpenCall:
    """The call, and once it is given its reply."""

    def __init__(self) -> None:
        self._reply: Reply = Replace()
        self._answered = trio.Event()

    @property
    def given(self) -> Reply | None:
        """The reply, once there is one."""
        return self._reply if self._answered.is_set() else None

    def answer(self, reply: Reply) -> None:
        """Give the reply."""
        self._reply = reply
        self._answered.set()

    async def reply(self) -> Reply:
        """Wait for the reply."""
        await self._answered.wait()
        return self._reply
