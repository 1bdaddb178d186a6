"""Gives the memory that a surge of connections left behind back to the system.

glibc keeps what was freed for the next who asks, and after a surge never gives most of it back:
the pages between what is still used count as ours. CPython frees cycles when it likes.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import trio
from attrs import define


def give_back() -> None:
    """Collect cycles, and return free pages to the system where glibc is the allocator.

    Takes some ten milliseconds for each 100 MB in use, so it is for the rest after a surge.
    Elsewhere than on glibc it only collects. See malloc_trim(3).
    """
    gc.collect()
    if sys.platform != "linux":
        return  # Windows has no library that stands for the program itself
    import ctypes  # late, for most runs never need it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


SURGE_CONNECTIONS = 200
"""A surge has at least so many connections at once: some 15 MiB."""
_OVER_AT = 4
"""A surge is over when of so many connections one is left."""


@define(eq=False)
class SpareMemory:
    """Knows when a surge is over, and gives its memory back then.

    Nothing polls: each connection says when it begins and ends. With each fall to a quarter memory
    is given back, so that at most what `SURGE_CONNECTIONS` left behind is kept.
    """

    _give_back: Callable[[], None] | None = None
    """Gives it back; None if this process's memory is not ours to tidy."""
    _most: int = 0

    def began(self, connections: int) -> None:
        """Note that a connection began; so many are open now."""
        self._most = max(self._most, connections)

    async def ended(self, connections: int) -> None:
        """Note that one ended; so many are left. Gives memory back, in a thread, if it is time."""
        if self._give_back is None:
            return
        if self._most < SURGE_CONNECTIONS or connections > self._most / _OVER_AT:
            return
        self._most = connections
        await trio.to_thread.run_sync(self._give_back)
