"""The headers that a user may add to the injected answer.

Knows nothing of where they were given. No message here shows a header's value: it may be a
secret (a cookie, say).
"""

from __future__ import annotations

import re

from faultinject.config.wording import shown_text

HeaderList = tuple[tuple[str, str], ...]

# RFC 9110 section 5.6.2 (token) and section 5.5 (field values; obs-text is left out, for no
# encoding of it is agreed upon).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

_FRAMING = "the proxy computes it from the body"
_CONNECTION = "it concerns the connection, which the proxy looks after"
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
            f"the value of the header {name} holds a line break or another character that is not"
            " printable ASCII, which HTTP does not allow (RFC 9110)"
        )
    return name, value


def parse_header(text: str) -> tuple[str, str]:
    """Read ``Name: value``. Raises `ValueError` with the reason."""
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError("there is no ':' in it; write 'Name: value'")
    return checked_header(name, value)


def merged_headers(lower: HeaderList, upper: HeaderList) -> HeaderList:
    """Return the headers of both, where one in ``upper`` replaces all of its name in ``lower``."""
    replaced = {name.lower() for name, _ in upper}
    return (*(item for item in lower if item[0].lower() not in replaced), *upper)
