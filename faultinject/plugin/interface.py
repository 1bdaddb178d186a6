"""The plugin's interface: calls about a tunnel's bytes, the replies, and what it cannot do."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

import trio
from attrs import frozen

from faultinject.faults.place import Ability
from faultinject.rules.checks import Capabilities
from faultinject.settings import PluginSettings, TunnelMode


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
    """These bytes are sent on in the chunk's place; with none the chunk is dropped.

    In direction TO_PEER Fault asks again at once if there are none.
    """

    data: bytes = b""


@frozen
class PassThrough:
    """The chunk goes on as it is; ``data`` is that chunk."""

    data: bytes


@frozen
class Close:
    """The direction ends: FROM_PEER with an end of stream, TO_PEER with an error."""

    reason: str


Reply = Replace | PassThrough | Close


class TooMuchError(Exception):
    """A call exceeds a limit; the message names it."""


class TunnelPlugin(Protocol):
    """What a host calls. Calls about one side and direction of a tunnel come one at a time."""

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Return what to do with a chunk.

        It may take any time: only that direction of that tunnel waits. The host cancels it when
        the tunnel is over.
        """
        ...


class OpenCall:
    """A call that waits for its reply."""

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


_IN_ALL = {
    Ability.CONNECT: "the host answers a CONNECT itself, and tells a plugin nothing of it",
    Ability.RESET: "the host lets a plugin end a connection with FIN, and not with RST",
}
_IN_DUPLEX = {
    Ability.HANDSHAKE: "in Fault's tunnels the upstream's handshake comes first, and the client's"
    " goes on from it; use break with at: head",
}

CAPABILITIES: Mapping[TunnelMode, Capabilities] = {
    "duplex": Capabilities("the plugin", _IN_ALL | _IN_DUPLEX),
    "reply": Capabilities("the plugin", _IN_ALL),
}
"""What the plugin can do, for each way in which a host uses the reply to a chunk."""

_IN_WHOLE_REQUESTS = dict.fromkeys(
    set(Ability) - {Ability.CLOSE_AFTER},  # which is said to the client, in a header
    "Fault shows requests outside of tunnels whole, and takes an answer and no more; leave out"
    " --http-forward, or the rule",
)


def capabilities_of(settings: PluginSettings) -> Capabilities:
    """Return what the plugin can do in a run, in tunnels and in whole requests."""
    of_tunnels = CAPABILITIES[settings.tunnel]
    if not settings.http_forward:
        return of_tunnels
    lacks = {**_IN_WHOLE_REQUESTS, **of_tunnels.lacks}
    return Capabilities("the plugin with --http-forward", lacks)
