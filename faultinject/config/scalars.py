"""How plain text is read as a value: the core schema of YAML 1.2.

The same text is the same number here, in JSON and in TOML. What only YAML 1.1 has (``yes``,
``on``, ``1:30``, ``1_000``, dates) is text, and ``010`` is ten.
Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

MOST_DIGITS = 4000
"""In one number: Python refuses to show one of 4300."""


@frozen
class Scalar:
    """One kind of value that plain text can have."""

    kind: str
    """The last word of its tag in YAML."""
    pattern: re.Pattern[str]
    """What the whole text has to match."""
    first: str
    """The characters with which it can begin."""
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
    """Return the number that a text is. Raises `ValueError` if it is none, or too long."""
    if len(text) <= MOST_DIGITS:
        if INT.pattern.match(text):
            return _int(text)
        if FLOAT.pattern.match(text):
            return _float(text)
    raise ValueError("not a number")
