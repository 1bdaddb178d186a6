"""What the plugin can do, by what it cannot: the host decides what a plugin's answers bring about.

Knows nothing of how the plugin does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from faultinject.faults.place import Ability
from faultinject.rules.checks import Capabilities
from faultinject.settings import PluginSettings, TunnelMode

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
