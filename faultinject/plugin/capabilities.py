"""What the plugin can do, by what it cannot: Fault decides what a plugin's answers can bring about.

Knows nothing of how the plugin does the rest.
"""

from __future__ import annotations

from faultinject.faults.stage import Ability
from faultinject.rules.checks import Capabilities

CAPABILITIES = Capabilities(
    "the plugin",
    {
        Ability.CONNECT: "the host answers a CONNECT itself, and tells a plugin nothing of it",
        Ability.RESET: "the host lets a plugin end a connection with FIN, and not with RST",
    },
)
"""In both modes of tunnels."""
