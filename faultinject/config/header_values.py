"""Headers that a user may give to an answer."""

from __future__ import annotations

import re

from faultinject.reading.keys import named
from faultinject.reading.node import Node
from faultinject.reading.shown import shown_text
from faultinject.reading.value import any_of

HeaderList = tuple[tuple[str, str], ...]

# RFC 9110 section 5.6.2 (token) and section 5.5 (field values; obs-text is left out, for no
# encoding of it is agreed upon).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

_FRAMING = "the proxy computes it from the body"
_CONNECTION = "it is about the connection, which the proxy manages"
_REFUSED = {
    "content-length": _FRAMING,
    "transfer-encoding": _FRAMING,
    "trailer": _FRAMING,
    "connection": _CONNECTION,
    "keep-alive": _CONNECTION,
    "proxy-connection": _CONNECTION,
    "upgrade": _CONNECTION,
    "date": "the proxy sets it to the time of the answer",
    "x-faultinject": "the proxy sets it, and --no-marker switches it off",
}


def checked_header(name: str, value: str) -> tuple[str, str]:
    """Return the header if HTTP and the proxy allow it; else raise `ValueError` with the reason."""
    value = value.strip(" \t")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{shown_text(name)} is not a header name; letters, digits and !#$%&'*+.^_`|~- are"
            " allowed (RFC 9110)"
        )
    if reason := _REFUSED.get(name.lower()):
        raise ValueError(f"the header {name} cannot be set: {reason}")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of the header {name} contains a line break or another character that is"
            " not printable ASCII, which HTTP does not allow (RFC 9110)"
        )
    return name, value


def parse_header(text: str) -> tuple[str, str]:
    """Read ``Name: value``. Raises `ValueError` with the reason."""
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError("there is no ':' in it; write 'Name: value'")
    return checked_header(name, value)


def merged_headers(lower: HeaderList, upper: HeaderList) -> HeaderList:
    """Return both, but without the headers of ``lower`` whose names are in ``upper``."""
    replaced = {name.lower() for name, _ in upper}
    return (*(item for item in lower if item[0].lower() not in replaced), *upper)


# -- in a file ----------------------------------------------------------------------------------


def _header(name: str, node: Node) -> HeaderList:
    return tuple(_checked(name, item) for item in node.filled_items())


def _checked(name: str, node: Node) -> tuple[str, str]:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):  # Retry-After: 30
        value = str(value)
    if not isinstance(value, str):
        raise node.problem("the value of the header is not text")
    try:
        return checked_header(name, value)
    except ValueError as error:
        raise node.problem(str(error)) from None


def _once(node: Node, headers: tuple[HeaderList, ...]) -> HeaderList:
    names = node.members("")
    if len({name.lower() for name in names}) < len(names):
        raise node.problem("it names a header twice, in different case; give a list of values")
    return tuple(header for several in headers for header in several)


_ONE = any_of({"type": "string", "pattern": r"^[\t -~]*$"}, {"type": "integer"})
HEADERS = named(
    _header,
    "an object of header names and values",
    any_of(_ONE, {"type": "array", "items": _ONE, "minItems": 1}),
    names={"pattern": f"^{_NAME.pattern}$"},
    secret=True,
).then(_once)
"""Headers in a file: an object of names and values. No message shows a value."""
