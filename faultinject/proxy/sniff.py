"""The first bytes of a tunnel: what the client means to speak.

Does no I/O. Knows nothing of what is done about it.
"""

from __future__ import annotations

import enum
import re

from faultinject.tls.client_hello import ClientHello, HelloReader, Unread

# A request line's method and the space behind it (RFC 9112 section 3). Only capitals: that is
# what registered methods are made of, and it tells HTTP from other protocols early.
_LONGEST_METHOD = 20
_HTTP = re.compile(rb"[A-Z]{3,%d} " % _LONGEST_METHOD)
_MAYBE_HTTP = re.compile(rb"[A-Z]{1,%d}" % _LONGEST_METHOD)


class Speech(enum.Enum):
    """What is not TLS."""

    UNDECIDED = enum.auto()
    """Too little has arrived to tell."""
    HTTP = enum.auto()
    OTHER = enum.auto()
    BROKEN_TLS = enum.auto()
    """A TLS client whose first message no TLS library would take."""
    UNEXPECTED_TLS = enum.auto()
    """TLS that does not begin with a ClientHello."""
    TOO_LONG_TLS = enum.auto()
    """TLS with a record above the limit."""


_FLAWS = {
    Unread.INCOMPLETE: Speech.UNDECIDED,
    Unread.MALFORMED: Speech.BROKEN_TLS,
    Unread.UNEXPECTED: Speech.UNEXPECTED_TLS,
    Unread.TOO_LONG: Speech.TOO_LONG_TLS,
    Unread.NOT_TLS: Speech.OTHER,
}
TLS_FLAWS = {
    Speech.BROKEN_TLS: "a malformed ClientHello",
    Speech.UNEXPECTED_TLS: "a TLS message that is no ClientHello",
    Speech.TOO_LONG_TLS: "a TLS record of more than 16384 bytes",
}
"""In words, what TLS clients have done that can be none of ours."""


def read_opening(data: bytes) -> ClientHello | Speech:
    """Say what the first bytes of a tunnel are."""
    return OpeningReader().feed(data)


class OpeningReader:
    """Says what the first bytes of a tunnel are, as they arrive; looks at each byte once."""

    def __init__(self) -> None:
        self.hello: ClientHello | Unread = Unread.INCOMPLETE
        """What they are if they are taken for TLS."""
        self._reader = HelloReader()
        self._start = b""

    def feed(self, data: bytes) -> ClientHello | Speech:
        """Take the next bytes; return what all so far are."""
        self._start += data[: _LONGEST_METHOD + 1 - len(self._start)]
        self.hello = self._reader.feed(data)
        if not self._start:
            return Speech.UNDECIDED
        if _HTTP.match(self._start):
            return Speech.HTTP
        if _MAYBE_HTTP.fullmatch(self._start):
            return Speech.UNDECIDED
        return self.hello if isinstance(self.hello, ClientHello) else _FLAWS[self.hello]
