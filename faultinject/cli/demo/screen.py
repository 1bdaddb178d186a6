"""What the demonstration prints.

It is in colour if the output has colours, and in ASCII if the output's encoding needs that.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TextIO

from attrs import define, field, frozen
from rich.console import Console
from rich.text import Text

from faultinject.cli.demo.client import TextReader
from faultinject.errors import FaultinjectError
from faultinject.http.headers import MARKER
from faultinject.http.message import ResponseHead, find_header
from faultinject.report import wants_color
from faultinject.report.display import safe

MAX_COLUMNS = 100
"""Longer lines are hard to read, however wide the terminal is."""
MIN_COLUMNS = 40
_INDENT = 5
_LABEL = 11
_LABEL_STYLES = {"injected": "magenta", "forwarded": "green"}
"""The colours of these outcomes, as in the proxy's own lines."""


class OutputClosedError(FaultinjectError):
    """Nobody reads the output any more."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise an error of ours where rich would raise `SystemExit`.

        The stream's buffer is discarded, or Python would complain at exit.
        """
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)
        raise OutputClosedError("nobody reads the output any more")


@frozen(eq=False, repr=False)
class _Glyphs:
    request: str
    response: str
    inside: str
    line: str
    leads_to: str


_DRAWN = _Glyphs("▶", "◀", "┊", "─", "──▶")
_ASCII = _Glyphs(">", "<", "|", "-", "-->")


class Screen:
    """Writes the demonstration to a text stream.

    Every method raises `OutputClosedError` if the stream's reader is gone.
    """

    def __init__(self, stream: TextIO, columns: int | None = None) -> None:
        color = wants_color(stream)
        wide = shutil.get_terminal_size().columns if columns is None else columns
        self.columns = max(MIN_COLUMNS, min(wide, MAX_COLUMNS))
        self._console = _Console(
            file=stream,
            force_terminal=color,
            color_system="standard" if color else None,
            legacy_windows=False,
            width=self.columns,
        )
        drawn = "".join([_DRAWN.request, _DRAWN.response, _DRAWN.inside, _DRAWN.line])
        self._glyphs = _DRAWN if _encodes(drawn, stream.encoding) else _ASCII
        self._column = 0

    # Pieces

    def line(self, *pieces: str | tuple[str, str]) -> None:
        """Show a line of pieces, each a text, or a text with its style."""
        self._console.print(Text.assemble(*pieces), soft_wrap=True)

    def wrapped(self, text: str, indent: int, style: str = "") -> None:
        """Show a text on as many lines as it needs."""
        for line in textwrap.wrap(text, self.columns - indent):
            self.line(" " * indent, (line, style))

    # What the client sees

    def title(self, text: str, more: str) -> None:
        """Show the title."""
        self.line((text, "bold"), "  ", (more, "dim"))

    def parts(self, *parts: tuple[str, str]) -> None:
        """Show the parts that talk to each other: their names, with a note below each."""
        arrow = f"  {self._glyphs.leads_to}  "
        names, notes = Text("  "), Text("  ")
        for number, (name, note) in enumerate(parts):
            width = max(len(name), len(note))
            names.append(arrow if number else "", "dim").append(f"{name:<{width}}", "bold")
            notes.append(" " * len(arrow) if number else "").append(f"{note:<{width}}", "dim")
        self.line()
        for line in (names, notes):
            line.rstrip()
            self._console.print(line, soft_wrap=True)
        self.line()

    def note(self, text: str) -> None:
        """Show a remark."""
        self.wrapped(text, 2, "dim")

    def step(self, number: int, title: str) -> None:
        """Begin one of the requests."""
        self.line()
        rest = self.columns - len(title) - 5
        self.line((f" {number}  {title} ", "bold"), (self._glyphs.line * rest, "dim"))

    def request(self, request: str) -> None:
        """Show a request that the client sends."""
        self.line("   ", (self._glyphs.request, "cyan"), f" {request}")

    def response(self, head: ResponseHead, note: str = "") -> None:
        """Show the status of a response that the client got, with a note."""
        style = "bold green" if head.status < 400 else "bold red"
        words = f"{head.status} {head.reason.decode('latin-1')}"
        remark = (f"   {safe(note)}" if note else "", "dim")
        self.line("   ", (self._glyphs.response, style), " ", (safe(words), style), remark)

    def body(self, text: str) -> None:
        """Show the text of a response."""
        self.wrapped(safe(text), _INDENT)

    # A text that comes in pieces

    def live(self, piece: str) -> None:
        """Show the next piece of a text at once; start a new line where the screen ends."""
        room = self.columns - self._column
        if self._column == 0 or len(piece) > room:
            start = "\n" if self._column else ""
            self._console.print(Text(start + " " * _INDENT), end="", soft_wrap=True)
            piece, self._column = piece.lstrip(), _INDENT
        self._console.print(Text(safe(piece)), end="", soft_wrap=True)
        self._column += len(piece)

    def live_end(self) -> None:
        """End the text."""
        self.line()
        self._column = 0

    # What happened inside

    def inside(self, label: str, words: str) -> None:
        """Show something that the proxy did, under a label."""
        style = _LABEL_STYLES.get(label, "cyan")
        room = self.columns - _INDENT - _LABEL - 2
        for line in textwrap.wrap(words, room):
            bar = (f"{self._glyphs.inside} ", "dim")
            self.line(" " * _INDENT, bar, (f"{label:<{_LABEL}}", style), (line, "dim"))
            label = ""

    # What next

    def heading(self, text: str) -> None:
        """Begin a part that is not a request."""
        self.line()
        self.line((f" {text}", "bold"))

    def commands(self, *lines: str) -> None:
        """Show commands for a shell."""
        for line in lines:
            self.line("    ", (line, "bold"))


def _encodes(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@define(eq=False, repr=False)
class StatusView:
    """Shows the status of a response; its body is shown later, when it is complete."""

    _screen: Screen

    def head(self, head: ResponseHead) -> None:
        """Show the status."""
        self._screen.response(head, note(head))

    def body(self, data: bytes) -> None:
        """Do nothing yet."""


@define(eq=False, repr=False)
class StreamView:
    """Shows a streamed response as it arrives."""

    _screen: Screen
    text: str = ""
    reads: int = 0
    """How many times bytes arrived that completed a piece of text."""
    _reader: TextReader = field(factory=TextReader)

    def head(self, head: ResponseHead) -> None:
        """Show the status."""
        self._screen.response(head, note(head))

    def body(self, data: bytes) -> None:
        """Show the pieces of text that are complete."""
        pieces = list(self._reader.feed(data))
        self.reads += bool(pieces)
        for piece in pieces:
            self.text += piece
            self._screen.live(piece)


def note(head: ResponseHead) -> str:
    """Return the header that explains a response best."""
    for name in (MARKER, b"Content-Type"):
        if (value := find_header(head.headers, name.lower())) is not None:
            return f"{name.decode()}: {value.decode('latin-1')}"
    return ""
