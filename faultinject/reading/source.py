"""Where a value is written: in which file, in which line, and under which keys."""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import field, frozen

from faultinject.errors import SettingsError
from faultinject.reading.shown import one_line, shown_text

Steps = tuple[str | int, ...]
"""The way to a value from the outermost one: keys of objects, and places in lists from 0."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")


@frozen(eq=False, repr=False)
class Position:
    """A line of a text and a column in it, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


def position_in(text: str, index: int) -> Position:
    """Return the position of a character. Lines end with LF, CRLF or CR, as in YAML."""
    before = text[:index]
    ends = list(re.finditer(r"\r\n|\n|\r", before))
    return Position(len(ends) + 1, index - (ends[-1].end() if ends else 0) + 1)


class MalformedError(SettingsError):
    """A text does not have the format that it should have."""

    def __init__(self, what: str, position: Position | None = None) -> None:
        place = "" if position is None else f"line {position.line}, column {position.column}: "
        super().__init__(place + what)
        self.what = what
        self.position = position

    def of_file(self, name: str) -> SettingsError:
        """Return the error with the file's name before it, as in ``rules.yaml:3:1: ...``."""
        return SettingsError(f"{_located(name, self.position)}: {self.what}")


Locate = Callable[[Steps, str | None], Position | None]
"""Returns where the value at some steps is written; with a key, where that key of it is."""


def nowhere(steps: Steps, key: str | None) -> None:
    """Return that there are no lines: the value was not read from text with known places."""
    del steps, key


ReadFile = Callable[[str], bytes]
"""Reads a file that a rule names. Raises `OSError` or `ValueError` with the reason."""


def no_files(name: str) -> bytes:
    """Refuse to read a file: the place where a rule is written has no folder."""
    del name
    raise OSError("a rule that is not in a file cannot name one")


@frozen(eq=False, repr=False)
class Source:
    """What values are read from: a file, an option, a program."""

    name: str = ""
    """For messages; may be empty."""
    read_file: ReadFile = field(default=no_files)
    locate: Locate = field(default=nowhere)
    """Asked only for an error, because it may have to read the whole text again."""


@frozen(eq=False, repr=False)
class Place:
    """The place of a value. As text it is ``rules.yaml:12:5: rules[2].when``."""

    source: Source = Source()
    steps: Steps = ()
    key: str | None = None
    """The key of the value that is meant, if not the whole value; the text has its line alone."""

    @property
    def path(self) -> str:
        """The steps as text."""
        return "".join(map(_step, self.steps)).removeprefix(".")

    def inner(self, step: str | int) -> Place:
        """Return the place of a part."""
        return Place(self.source, (*self.steps, step))

    def problem(self, text: str) -> SettingsError:
        """Return an error at this place."""
        return SettingsError(": ".join(filter(None, (str(self), text))))

    def __bool__(self) -> bool:
        return bool(self.source.name or self.steps)

    def __str__(self) -> str:
        name = self.source.name
        where = _located(name, self.source.locate(self.steps, self.key)) if name else ""
        return ": ".join(filter(None, (where, self.path)))


def _located(name: str, position: Position | None) -> str:
    return one_line(name) if position is None else f"{one_line(name)}:{position}"


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{shown_text(step)}]"
