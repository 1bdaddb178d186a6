"""Whether the host has registered the plugin as it must: on both sides.

With one side alone, no tunnel of Fault can be dealt with: every one of them would break. Being
called is what shows a registration, and Fault calls each every 10 s. Knows nothing of gRPC.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.plugin.calls import Side
from faultinject.settings import TunnelMode

PATIENCE_SECONDS = 15.0
"""How long one registration is called without the other until that is taken for an answer: more
than the 10 s from one of Fault's rounds of calls to the next."""


@define(eq=False)
class Registrations:
    """The two registrations: where they listen, and which of them is called."""

    mode: TunnelMode
    urls: dict[Side, str] = field(factory=dict)
    """Where each listens, once it does."""
    tell: Callable[[str], None] = lambda _problem: None
    """Gets a problem once, when it is found: the host does not show what it is answered."""
    _first_called: dict[Side, float] = field(factory=dict, init=False)
    _told: bool = field(default=False, init=False)

    @property
    def flags(self) -> str:
        """The options of ``fault run`` that register both."""
        return " ".join(f"--grpc-plugin {self.urls[side]}" for side in Side)

    def called(self, side: Side) -> None:
        """Note that the host called one of them, whatever for."""
        self._first_called.setdefault(side, trio.current_time())

    def problem(self) -> str | None:
        """Say what is wrong and what mends it, or None if all is well or it is too early to say.

        Once the missing side is called, all is well again.
        """
        if self.mode == "reply" or len(self._first_called) != 1:
            return None
        ((side, since),) = self._first_called.items()
        if trio.current_time() - since < PATIENCE_SECONDS:
            return None
        problem = (
            f"Fault uses this plugin on the {side.name.lower()}'s side of tunnels only, which"
            f" cannot work: start `fault run` with both {self.flags}"
        )
        if not self._told:
            self._told = True
            self.tell(problem)
        return problem
