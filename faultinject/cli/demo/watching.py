"""How answers are shown while they come: whole ones by their head, streamed ones word by word.

Knows nothing of what was asked, or of what the answer should be.
"""

from __future__ import annotations

from attrs import define, field

from faultinject.cli.demo.client import TextReader
from faultinject.cli.demo.screen import Screen
from faultinject.faults.respond import MARKER
from faultinject.http.message import ResponseHead, find_header


@define
class Whole:
    """Shows the status of an answer; the rest is shown when it is whole."""

    _screen: Screen

    def head(self, head: ResponseHead) -> None:
        """Show the status."""
        self._screen.gets(head, note(head))

    def body(self, data: bytes) -> None:
        """Wait for the rest."""


@define
class Live:
    """Shows a streamed answer while it comes."""

    _screen: Screen
    text: str = ""
    reads: int = 0
    """How often a text was completed by what had arrived."""
    _reader: TextReader = field(factory=TextReader)

    def head(self, head: ResponseHead) -> None:
        """Show the status."""
        self._screen.gets(head, note(head))

    def body(self, data: bytes) -> None:
        """Show the texts that are complete."""
        pieces = list(self._reader.feed(data))
        self.reads += bool(pieces)
        for piece in pieces:
            self.text += piece
            self._screen.live(piece)


def note(head: ResponseHead) -> str:
    """Return the header that tells most of an answer."""
    for name in (MARKER, b"Content-Type"):
        if (value := find_header(head.headers, name.lower())) is not None:
            return f"{name.decode()}: {value.decode('latin-1')}"
    return ""
