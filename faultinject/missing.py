"""What stands for a value that is not there.

Knows nothing of what the value would be.
"""

from __future__ import annotations

from typing import Final


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for a value that is not there. JSON's null is one that is."""
