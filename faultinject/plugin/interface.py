"""The plugin's interface: calls about a tunnel's bytes, the replies, and what it cannot do."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from faultinject.faults.place import Ability
from faultinject.rules.checks import Capabilities
from faultinject.settings import PluginSettings, TunnelMode


class Side(enum.Enum):
    """The peer whose connection a registration of the plugin is for."""

    CLIENT = enum.auto()
    UPSTREAM = enum.auto()


class Direction(enum.Enum):
    """The direction of a chunk on that peer's connection."""

    FROM_PEER = enum.auto()
    """The peer's own bytes, just received (0 in ``plugin.proto``)."""
    TO_PEER = enum.auto()
    """Bytes that are about to be written to the peer (1)."""


@frozen
class Replace:
    """Send these bytes on in place of the chunk. Without bytes the chunk is dropped.

    In direction TO_PEER Fault calls again at once if there are none.
    """

    data: bytes = b""


@frozen
class PassThrough:
    """Send the chunk on unchanged; ``data`` is the chunk."""

    data: bytes


@frozen
class Close:
    """End the direction: FROM_PEER with an end of stream, TO_PEER with an error."""

    reason: str


Reply = Replace | PassThrough | Close


class TooMuchError(Exception):
    """A call exceeds a limit; the message names it."""


class TunnelPlugin(Protocol):
    """The plugin as the host calls it. A tunnel's side and direction has one call at a time."""

    async def process_tunnel_data(
        self, side: Side, direction: Direction, tunnel_id: str, chunk: bytes
    ) -> Reply:
        """Return what to do with a chunk.

        It may take any time, because only that direction of that tunnel waits. The host cancels
        the call when the tunnel is over.
        """
        ...


_IN_ALL = {
    Ability.CONNECT: "the host answers a CONNECT itself, and does not ask the plugin",
    Ability.RESET: "the host lets a plugin end a connection only with FIN, not with RST",
}
_IN_DUPLEX = {
    Ability.HANDSHAKE: "in Fault's tunnels the client's handshake depends on the upstream's; use"
    " break with at: head",
}

CAPABILITIES: Mapping[TunnelMode, Capabilities] = {
    "duplex": Capabilities("the plugin", _IN_ALL | _IN_DUPLEX),
    "reply": Capabilities("the plugin", _IN_ALL),
}
"""What the plugin can do, for each use that a host makes of the reply to a chunk."""

_IN_WHOLE_REQUESTS = dict.fromkeys(
    set(Ability) - {Ability.CLOSE_AFTER},  # a header of the answer is enough for it
    "Fault shows requests outside of tunnels whole, and takes only whole answers; leave out"
    " --http-forward, or the rule",
)


def capabilities_of(settings: PluginSettings) -> Capabilities:
    """Return what the plugin can do in a run, both in tunnels and with whole requests."""
    of_tunnels = CAPABILITIES[settings.tunnel]
    if not settings.http_forward:
        return of_tunnels
    lacks = {**_IN_WHOLE_REQUESTS, **of_tunnels.lacks}
    return Capabilities("the plugin with --http-forward", lacks)
