"""Reads plain text as a value.

Text is read by the core schema of YAML 1.2; durations are written as in ``1h30m``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

DURATION = "a duration: seconds as a number, or as in 250ms, 1.5s, 2m or 1h30m"
"""What a duration looks like, for error messages."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)"
_LONGEST = 100


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration with units, or None if the text is not one."""
    text = text.replace(" ", "")
    if len(text) > _LONGEST or not re.fullmatch(f"(?:{_PIECE})+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PIECE, text))


DURATION_PATTERN = r"^(( *[0-9])+( *\.( *[0-9])+)? *(m *s|s|m|h))+ *$"
"""What `seconds_of` reads and little else, for programs that know ECMA 262's patterns alone."""
CHANCE_PATTERN = r"^([0-9]{1,3}(\.[0-9]{0,15})?|\.[0-9]{1,15})%$"
"""What `chance_of` reads, likewise."""


def chance_of(text: str) -> float | None:
    """Return the probability that a percentage as ``5%`` is, or None if the text is none."""
    return float(text[:-1]) / 100 if re.fullmatch(CHANCE_PATTERN, text) else None


MOST_DIGITS = 4000
"""The longest number that is read. Python refuses to print one of 4300 digits."""


@frozen(eq=False, repr=False)
class Scalar:
    """One kind of value that plain text can be."""

    kind: str
    """The last word of its tag in YAML."""
    pattern: re.Pattern[str]
    """Matches the whole text."""
    first: str
    """The characters that the text can begin with."""
    read: Callable[[str], object]


def _int(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_DIGITS = "0123456789"
NULL = Scalar("null", re.compile(r"(null|Null|NULL|~|)\Z"), "nN~", lambda _: None)
BOOL = Scalar(
    "bool",
    re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"),
    "tTfF",
    lambda text: text.lower() == "true",
)
INT = Scalar("int", re.compile(r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), "-+" + _DIGITS, _int)
FLOAT = Scalar(
    "float",
    re.compile(
        r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"
    ),
    "-+." + _DIGITS,
    _float,
)


def number_of(text: str) -> float:
    """Read a number. Raises `ValueError` if the text is not one, or too long."""
    if len(text) <= MOST_DIGITS:
        if INT.pattern.match(text):
            return _int(text)
        if FLOAT.pattern.match(text):
            return _float(text)
    raise ValueError("not a number")
