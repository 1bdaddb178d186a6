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
ROUND_SECONDS = 1.0
"""How long after one registration was asked about the other may be: Fault asks all of them in one
round, without a pause."""


@define(eq=False)
class Registrations:
    """The two registrations: where they listen, and which of them is called."""

    mode: TunnelMode
    urls: dict[Side, str] = field(factory=dict)
    """Where each listens, once it does."""
    command: str = ""
    """How Fault is started so that it uses both; by default with their options alone."""
    warn: Callable[[str], None] = lambda _problem: None
    """Gets a problem once, when it is found: the host does not show what it is answered."""
    _first_called: dict[Side, float] = field(factory=dict, init=False)
    _first_asked: dict[Side, float] = field(factory=dict, init=False)
    _both_called: trio.Event = field(factory=trio.Event, init=False)
    _warned: bool = field(default=False, init=False)

    @property
    def flags(self) -> str:
        """The options of ``fault run`` that register both."""
        return " ".join(f"--grpc-plugin {self.urls[side]}" for side in Side)

    def called(self, side: Side) -> None:
        """Note that the host called one of them, whatever for."""
        self._first_called.setdefault(side, trio.current_time())
        if len(self._first_called) == len(Side):
            self._both_called.set()

    def asked(self, side: Side) -> None:
        """Note that the host asked one of them about itself, as it does in each round."""
        self._first_asked.setdefault(side, trio.current_time())
        self.called(side)

    async def is_alone(self, side: Side) -> bool:
        """Whether tunnels come to this side and the other is not registered; tells of it once.

        Waits only within `ROUND_SECONDS` of the host's first round. Before that round nothing is
        known: a plugin that was started anew is called about tunnels first.
        """
        asked = self._first_asked.get(side)
        if self.mode == "reply" or self._both_called.is_set() or asked is None:
            return False
        with trio.CancelScope(deadline=asked + ROUND_SECONDS):
            await self._both_called.wait()
            return False
        self._problem_of(side)
        return True

    def problem(self) -> str | None:
        """Say what is wrong and what mends it, or None if all is well or it is too early to say.

        Once the missing side is called, all is well again.
        """
        if self.mode == "reply" or len(self._first_called) != 1:
            return None
        ((side, since),) = self._first_called.items()
        if trio.current_time() - since < PATIENCE_SECONDS:
            return None
        return self._problem_of(side)

    def _problem_of(self, side: Side) -> str:
        """Say that one side alone is registered, and tell it once."""
        (missing,) = (url for other, url in self.urls.items() if other is not side)
        problem = (
            f"Fault uses this plugin on the {side.name.lower()}'s side of tunnels only, which"
            f" cannot work: --grpc-plugin {missing} is missing. Start it with both:"
            f" {self.command or f'fault run {self.flags}'}"
        )
        if not self._warned:
            self._warned = True
            self.warn(problem)
        return problem
