"""Returns memory to the system after a surge of connections, and once the last one has left.

glibc keeps freed memory for later allocations, and after a surge never returns most of it: pages
between those still in use stay with the process. CPython frees cycles when it likes.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

import trio
from attrs import define, field

from faultinject.events.connections import SURGE_CONNECTIONS


def give_back() -> None:
    """Collect cycles, and return free pages to the system where glibc is the allocator.

    CPython's own caches are emptied too: that of attributes keeps up to 4,096 names, some of which
    are made anew at each look, and each keeps the mebibyte around it taken. All that takes some ten
    milliseconds for each 100 MB in use, so it is for the quiet after a surge. Without glibc no
    pages are returned. See malloc_trim(3).
    """
    gc.collect()
    _clear_caches()
    if sys.platform != "linux":
        return  # Windows has no library that stands for the program itself
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _clear_caches() -> None:
    clear = getattr(sys, "_clear_internal_caches", None)  # from Python 3.13 on
    (clear or sys._clear_type_cache)()


_OVER_AT = 4
"""A surge is over when one connection in this many is left."""
REST_SECONDS = 5.0
"""Without any connection for so long, the proxy is at rest."""


@define(eq=False, repr=False)
class SpareMemory:
    """Notices when a surge is over, or all have left, and gives memory back then.

    Nothing polls: each connection reports when it begins and ends. In a surge memory is given back
    each time the number falls to a quarter, so at most what `SURGE_CONNECTIONS` left behind is
    kept; and that until there has been none for `REST_SECONDS`.
    """

    _give_back: Callable[[], None] | None = None
    """Gives it back; None if this process's memory is not ours to tidy."""
    _most: int = 0
    _open: int = 0
    _emptied_seconds: float = 0.0
    """When the last connection ended."""
    _emptied: trio.Event = field(factory=trio.Event, init=False)
    """Set when it ends, until memory is given back for that."""

    def began(self, connections: int) -> None:
        """Note that a connection began; ``connections`` are open now."""
        self._open = connections
        self._most = max(self._most, connections)

    async def ended(self, connections: int) -> None:
        """Note that one ended; ``connections`` are left. May give memory back, in a thread."""
        if self._give_back is None:
            return
        self._open = connections
        if connections == 0:
            self._emptied_seconds = trio.current_time()
            self._emptied.set()
        if self._most < SURGE_CONNECTIONS or connections > self._most / _OVER_AT:
            return
        self._most = connections
        await trio.to_thread.run_sync(self._give_back)

    async def give_back_at_rest(self) -> None:
        """Give memory back in a thread whenever the proxy comes to rest, until cancelled."""
        if self._give_back is None:
            return
        while True:
            await self._emptied.wait()
            await trio.sleep_until(self._emptied_seconds + REST_SECONDS)
            at_rest = trio.current_time() >= self._emptied_seconds + REST_SECONDS
            if self._open or at_rest:
                self._emptied = trio.Event()
            if at_rest and not self._open:
                await trio.to_thread.run_sync(self._give_back)
