"""How many examples a property is tried with."""

from __future__ import annotations

from hypothesis import settings


def examples(per_hundred: int) -> settings:
    """Try so many where a property without this is tried with a hundred; CI tries fewer of all."""
    return settings(max_examples=max(1, per_hundred * settings().max_examples // 100))
