"""Checks that the host has registered the plugin on both sides.

With only one side, every tunnel of Fault would break. The plugin sees a registration only when it
is called, and Fault calls each of them every 10 s.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.plugin.interface import Side
from faultinject.settings import TunnelMode

MISSING_AFTER_SECONDS = 15.0
"""How long one registration is called without the other before the other counts as missing. It is
more than the 10 s between Fault's rounds of calls."""
ROUND_SECONDS = 1.0
"""How long after the first registration the other may be called in a round. Fault calls all of them
without a pause."""


@define(eq=False, repr=False)
class Registrations:
    """The two registrations: where they listen, and which of them is called."""

    mode: TunnelMode
    urls: dict[Side, str] = field(factory=dict)
    """Where each listens, once it does."""
    command: str = ""
    """The command that starts Fault with both; by default only with their options."""
    warn: Callable[[str], None] = lambda _problem: None
    """Called once with a problem, because the host does not show the replies that it gets."""
    _first_called: dict[Side, float] = field(factory=dict, init=False)
    _first_polled: dict[Side, float] = field(factory=dict, init=False)
    _both_called: trio.Event = field(factory=trio.Event, init=False)
    _warned: bool = field(default=False, init=False)

    @property
    def flags(self) -> str:
        """The options of ``fault run`` that register both."""
        return " ".join(f"--grpc-plugin {self.urls[side]}" for side in Side)

    def called(self, side: Side) -> None:
        """Note any call of the host to a side."""
        self._first_called.setdefault(side, trio.current_time())
        if len(self._first_called) == len(Side):
            self._both_called.set()

    def polled(self, side: Side) -> None:
        """Note a call about the plugin itself, which the host makes in each round."""
        self._first_polled.setdefault(side, trio.current_time())
        self.called(side)

    async def is_alone(self, side: Side) -> bool:
        """Return True if the other side is not registered, and warn of that once.

        It waits only within `ROUND_SECONDS` of the host's first round. Before that round it returns
        False, because a plugin that was restarted is first called about tunnels.
        """
        polled = self._first_polled.get(side)
        if self.mode == "reply" or self._both_called.is_set() or polled is None:
            return False
        with trio.CancelScope(deadline=polled + ROUND_SECONDS):
            await self._both_called.wait()
            return False
        self._problem_of(side)
        return True

    def problem(self) -> str | None:
        """Return what is wrong and how to correct it; None if nothing is wrong, or it is too early.

        The problem is over as soon as the missing side is called.
        """
        if self.mode == "reply" or len(self._first_called) != 1:
            return None
        ((side, since),) = self._first_called.items()
        if trio.current_time() - since < MISSING_AFTER_SECONDS:
            return None
        return self._problem_of(side)

    def _problem_of(self, side: Side) -> str:
        """Return the problem that only one side is registered, and warn of it once."""
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
