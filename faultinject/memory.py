"""Gives memory that is free back to the system.

glibc keeps what was freed for the next who asks, and after a surge never gives most of it back:
the pages between what is still used count as ours. CPython frees cycles when it likes.
"""

from __future__ import annotations

import gc
import sys


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
