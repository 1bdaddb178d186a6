"""Remembering no more than so much: the least recently seen goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Kept = TypeVar("Kept")


def remembered(known: OrderedDict[str, Kept], key: str, new: type[Kept], bound: int) -> Kept:
    """Return what is known by a key, made new if nothing is; forget what is too much."""
    kept = known.get(key)
    if kept is None:
        kept = known[key] = new()
        if len(known) > bound:
            known.popitem(last=False)
    else:
        known.move_to_end(key)
    return kept
