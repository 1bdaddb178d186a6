"""Returns memory to the system after a surge of connections.

glibc keeps freed memory for later allocations, and after a surge never returns most of it: pages
between those still in use stay with the process. CPython frees cycles when it likes.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

import trio
from attrs import define


def give_back() -> None:
    """Collect cycles, and return free pages to the system where glibc is the allocator.

    Takes some ten milliseconds for each 100 MB in use, so it is for the quiet after a surge.
    Without glibc it only collects. See malloc_trim(3).
    """
    gc.collect()
    if sys.platform != "linux":
        return  # Windows has no library that stands for the program itself
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


SURGE_CONNECTIONS = 200
"""A surge has at least this many connections at once: some 15 MiB."""
_OVER_AT = 4
"""A surge is over when one connection in this many is left."""


@define(eq=False)
class SpareMemory:
    """Notices when a surge is over, and gives its memory back then.

    Nothing polls: each connection reports when it begins and ends. Memory is given back each time
    the number falls to a quarter, so at most what `SURGE_CONNECTIONS` left behind is kept.
    """

    _give_back: Callable[[], None] | None = None
    """Gives it back; None if this process's memory is not ours to tidy."""
    _most: int = 0

    def began(self, connections: int) -> None:
        """Note that a connection began; ``connections`` are open now."""
        self._most = max(self._most, connections)

    async def ended(self, connections: int) -> None:
        """Note that one ended; ``connections`` are left. May give memory back, in a thread."""
        if self._give_back is None:
            return
        if self._most < SURGE_CONNECTIONS or connections > self._most / _OVER_AT:
            return
        self._most = connections
        await trio.to_thread.run_sync(self._give_back)
