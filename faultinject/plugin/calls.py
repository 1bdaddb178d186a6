"""What a host asks about the bytes of a tunnel, what may be answered, and what cannot be done."""

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

    async def process_tunnel_data(
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
"""By what the host does with the answer to a piece of a tunnel."""

_IN_WHOLE_REQUESTS = dict.fromkeys(
    set(Ability) - {Ability.CLOSE_AFTER},  # which is said to the client, in a header
    "Fault shows requests outside of tunnels whole, and takes an answer and no more; leave out"
    " --http-forward, or the rule",
)


def capabilities_of(settings: PluginSettings) -> Capabilities:
    """Return what the plugin can do in a run: in all that it injects into."""
    of_tunnels = CAPABILITIES[settings.tunnel]
    if not settings.http_forward:
        return of_tunnels
    lacks = {**_IN_WHOLE_REQUESTS, **of_tunnels.lacks}
    return Capabilities("the plugin with --http-forward", lacks)
