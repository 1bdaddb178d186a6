"""Durations as rules and options write them: seconds as a number, or as in ``1h30m``."""

from __future__ import annotations

import re

DURATION = "a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m"
"""What one looks like, for errors."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)"
_LONGEST = 100


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration with units; None if a text is none."""
    text = text.replace(" ", "")
    if len(text) > _LONGEST or not re.fullmatch(f"(?:{_PIECE})+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PIECE, text))
