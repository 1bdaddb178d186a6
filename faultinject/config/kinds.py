"""The shapes that options have: one value, a flag, a list, headers.

A kind reads one option from the command line, the environment, or the value in a configuration
file. It raises `ValueError` with what is wrong and what would be right; the caller adds the
option's name and where the value was found. `faultinject.config.values` has the single values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen

from faultinject.reading.shown import shown_text, shown_value
from faultinject.reading.source import Source
from faultinject.settings import WrittenRules

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


T = TypeVar("T")


def refusal(shown: str, expected: str) -> ValueError:
    """Return an error that says what is wrong and what would be right."""
    return ValueError(f"{shown} is not {expected}")


@frozen(eq=False, repr=False)
class Kind:
    """Base of the kinds."""

    metavar: str = field(kw_only=True, default="")
    choices: tuple[str, ...] = field(kw_only=True, default=())
    is_path: bool = field(kw_only=True, default=False)

    @property
    def repeatable(self) -> bool:
        """Whether the option may be given more than once."""
        return False

    @property
    def is_flag(self) -> bool:
        """Whether the option stands alone on the command line."""
        return False

    def from_arguments(self, texts: Sequence[str]) -> Any:
        """Read the texts of the command line: one, unless the option is `repeatable`."""
        raise NotImplementedError

    def from_environment(self, text: str) -> Any:
        """Read the text of an environment variable."""
        raise NotImplementedError

    def from_file(self, value: object) -> Any:
        """Read the value in a configuration file."""
        raise NotImplementedError

    def placed(self, value: Any, source: Source, folder: Path) -> Any:
        """Return a value with the file that it is from, if it needs that."""
        del source, folder
        return value

    def merged(self, lower: Any, upper: Any) -> Any:
        """Combine the values of two sources; ``upper`` takes precedence."""
        del lower
        return upper


@frozen(eq=False, repr=False)
class Single(Kind, Generic[T]):
    """One value."""

    parse: Callable[[str], T]
    check: Callable[[object], T]

    def from_arguments(self, texts: Sequence[str]) -> T:
        """Read the last text given."""
        return self.parse(texts[-1])

    def from_environment(self, text: str) -> T:
        """Read the variable as the command line would."""
        return self.parse(text)

    def from_file(self, value: object) -> T:
        """Read the file's value."""
        return self.check(value)


@frozen(eq=False, repr=False)
class Flag(Single[bool]):
    """True or false; alone on the command line."""

    @property
    def is_flag(self) -> bool:
        """Always."""
        return True


@frozen(eq=False, repr=False)
class Listed(Kind, Generic[T]):
    """Any number of values: repeated, comma-separated in the environment, a list in a file."""

    parse: Callable[[str], T]
    may_be_empty: bool = True

    @property
    def repeatable(self) -> bool:
        """A list may be given piece by piece."""
        return True

    def from_arguments(self, texts: Sequence[str]) -> tuple[T, ...]:
        """Read each text."""
        return tuple(self.parse(text) for text in texts)

    def from_environment(self, text: str) -> tuple[T, ...]:
        """Read each comma-separated piece; empty pieces are ignored."""
        return self._checked([piece.strip() for piece in text.split(",") if piece.strip()])

    def from_file(self, value: object) -> tuple[T, ...]:
        """Read a string or a list of strings."""
        items: list[object] = value if isinstance(value, list) else [value]
        return self._checked([_string_in_list(item) for item in items])

    def _checked(self, texts: Sequence[str]) -> tuple[T, ...]:
        if not texts and not self.may_be_empty:
            raise ValueError("it is empty; give at least one")
        return self.from_arguments(texts)


@frozen(eq=False, repr=False)
class HeaderLines(Kind):
    """Headers: ``Name: value`` texts, or an object in a file; merged by name."""

    @property
    def repeatable(self) -> bool:
        """Headers are given one by one."""
        return True

    def from_arguments(self, texts: Sequence[str]) -> HeaderList:
        """Read each ``Name: value``."""
        return tuple(parse_header(text) for text in texts)

    def from_environment(self, text: str) -> HeaderList:
        """Read one header per line, because a value may contain commas."""
        return self.from_arguments([line for line in text.splitlines() if line.strip()])

    def from_file(self, value: object) -> HeaderList:
        """Read an object of names and values; a list gives a header several times."""
        if not isinstance(value, dict):
            raise ValueError("it is not an object of header names and values")  # noqa: TRY004 -- as all mistakes
        if len({name.lower() for name in value}) < len(value):
            raise ValueError("it names a header twice, in different case; give a list of values")
        return tuple(
            checked_header(name, _header_text(name, item))
            for name, items in value.items()
            for item in (items if isinstance(items, list) else [items])
        )

    def merged(self, lower: HeaderList, upper: HeaderList) -> HeaderList:
        """Replace by name."""
        return merged_headers(lower, upper)


@frozen(eq=False, repr=False)
class Words(Listed[T]):
    """Values that may stand in one text of the command line, with commas between them."""

    def from_arguments(self, texts: Sequence[str]) -> tuple[T, ...]:
        """Read each piece of each text; empty pieces are nothing."""
        pieces = (piece.strip() for text in texts for piece in text.split(","))
        return tuple(self.parse(piece) for piece in pieces if piece)


@frozen(eq=False, repr=False)
class Assignments(Kind):
    """Values by name: ``NAME=VALUE`` texts, or an object in a file; merged by name.

    They stay text: what names there are is not known here.
    """

    @property
    def repeatable(self) -> bool:
        """They are given one by one."""
        return True

    def from_arguments(self, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Read each ``NAME=VALUE``; of one name the last counts."""
        return tuple(dict(map(_assignment, texts)).items())

    def from_environment(self, text: str) -> tuple[tuple[str, str], ...]:
        """Read each comma-separated piece; empty pieces are nothing."""
        return self.from_arguments([piece for piece in text.split(",") if piece.strip()])

    def from_file(self, value: object) -> tuple[tuple[str, str], ...]:
        """Read an object of names and values: numbers, or text."""
        if not isinstance(value, dict):
            raise ValueError("it is not an object of names and values")  # noqa: TRY004 -- as all mistakes
        return tuple((name, _text_of(name, item)) for name, item in value.items())

    def merged(
        self, lower: tuple[tuple[str, str], ...], upper: tuple[tuple[str, str], ...]
    ) -> tuple[tuple[str, str], ...]:
        """Replace by name."""
        return tuple((dict(lower) | dict(upper)).items())


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = (piece.strip() for piece in text.partition("="))
    if not (name and sign and value):
        raise refusal(shown_text(text), "a name and a value, as in NAME=VALUE")
    return name, value


def _text_of(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"the value of {shown_text(name)} is neither a number nor a string")


@frozen(eq=False, repr=False)
class RuleLines(Kind):
    """Rules: a line of text each, or a list in a file. The rules of all sources are kept."""

    option: str
    """The option's name, for messages."""
    variable: str

    @property
    def repeatable(self) -> bool:
        """Rules are given one by one."""
        return True

    def from_arguments(self, texts: Sequence[str]) -> tuple[WrittenRules, ...]:
        """Take each text."""
        return _lines(texts, self.option)

    def from_environment(self, text: str) -> tuple[WrittenRules, ...]:
        """Take one rule per line, because a rule may contain commas."""
        return _lines([line for line in text.splitlines() if line.strip()], self.variable)

    def from_file(self, value: object) -> tuple[WrittenRules, ...]:
        """Take the list; `placed` adds the file's path."""
        if not isinstance(value, list):
            raise ValueError("it is not a list of rules, each with a fault in it")  # noqa: TRY004 -- as all mistakes
        return (WrittenRules(value, ""),)

    def placed(self, value: Any, source: Source, folder: Path) -> Any:
        """Add the file to the rules."""
        return tuple(
            evolve(each, source=source.name, folder=folder, locate=source.locate) for each in value
        )

    def merged(self, lower: Any, upper: Any) -> Any:
        """Put the rules of the upper source first."""
        return (*upper, *lower)


def _lines(texts: Sequence[str], source: str) -> tuple[WrittenRules, ...]:
    if len(texts) == 1:
        return (WrittenRules(texts[0], source),)
    return tuple(WrittenRules(text, f"{source} {n}") for n, text in enumerate(texts, 1))


def _string_in_list(item: object) -> str:
    if not isinstance(item, str):
        raise refusal(shown_value(item), "a string or a list of strings")
    return item


def _header_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):  # Retry-After: 30
        return str(value)
    raise ValueError(f"the value of the header {shown_text(name)} is not a string")
