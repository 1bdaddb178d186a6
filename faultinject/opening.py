"""The first bytes of a tunnel: what the client means to speak.

Does no I/O. Knows nothing of what is done about it.
"""

from __future__ import annotations

import enum
import re

from faultinject.tls.client_hello import ClientHello, Unread, read_client_hello

# A request line's method and the space behind it (RFC 9112 section 3). Only capitals: that is
# what registered methods are made of, and it tells HTTP from other protocols early.
_HTTP = re.compile(rb"[A-Z]{3,20} ")
_MAYBE_HTTP = re.compile(rb"[A-Z]{1,20}")


class Speech(enum.Enum):
    """What is not TLS."""

    UNDECIDED = enum.auto()
    """Too little has arrived to tell."""
    HTTP = enum.auto()
    OTHER = enum.auto()
    BROKEN_TLS = enum.auto()
    """A TLS client whose first message no TLS library would take."""


def read_opening(data: bytes) -> ClientHello | Speech:
    """Say what the first bytes of a tunnel are."""
    if not data:
        return Speech.UNDECIDED
    if _HTTP.match(data):
        return Speech.HTTP
    if _MAYBE_HTTP.fullmatch(data):
        return Speech.UNDECIDED
    match read_client_hello(data):
        case ClientHello() as hello:
            return hello
        case Unread.INCOMPLETE:
            return Speech.UNDECIDED
        case Unread.MALFORMED:
            return Speech.BROKEN_TLS
        case _:
            return Speech.OTHER
