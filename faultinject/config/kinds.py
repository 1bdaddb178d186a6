"""The shapes that options have: one value, a flag, a list, headers.

A kind reads one option from the command line or the environment. It raises `ValueError` with what
is wrong and what would be right; the caller adds the option's name and where the value was found.
In a configuration file it is read like all that is written there (`Kind.in_file`).
`faultinject.config.values` has the single values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen

from faultinject.config.header_values import HEADERS, HeaderList, merged_headers, parse_header
from faultinject.reading.keys import named
from faultinject.reading.node import Node
from faultinject.reading.shown import shown_text
from faultinject.reading.source import Source
from faultinject.reading.value import Schema, Value, items
from faultinject.settings import WrittenRules

T = TypeVar("T")


_STRINGS = "a string or a list of strings"


_ANY_TEXT: Schema = {"type": "string"}


def parsed(parse: Callable[[str], T], expected: str, schema: Schema = _ANY_TEXT) -> Value[T]:
    """Return what reads a string as the command line would."""

    def read(node: Node) -> T:
        if not isinstance(node.value, str):
            raise node.wrong(expected)
        try:
            return parse(node.value)
        except ValueError as error:
            raise node.problem(str(error)) from None

    return Value(read, schema)


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

    @property
    def in_file(self) -> Value[Any]:
        """What the value in a configuration file may be."""
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
    in_file: Value[T]

    def from_arguments(self, texts: Sequence[str]) -> T:
        """Read the last text given."""
        return self.parse(texts[-1])

    def from_environment(self, text: str) -> T:
        """Read the variable as the command line would."""
        return self.parse(text)


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
    text_schema: Schema = _ANY_TEXT
    """The JSON Schema of a text in a file."""

    @property
    def repeatable(self) -> bool:
        """A list may be given piece by piece."""
        return True

    def from_arguments(self, texts: Sequence[str]) -> tuple[T, ...]:
        """Read each text."""
        return tuple(self.parse(text) for text in texts)

    def from_environment(self, text: str) -> tuple[T, ...]:
        """Read each comma-separated piece; empty pieces are ignored."""
        texts = [piece.strip() for piece in text.split(",") if piece.strip()]
        if not texts and not self.may_be_empty:
            raise ValueError("it is empty; give at least one")
        return self.from_arguments(texts)

    @property
    def in_file(self) -> Value[tuple[T, ...]]:
        """A string or a list of strings."""
        return items(
            parsed(self.parse, _STRINGS, self.text_schema), least=0 if self.may_be_empty else 1
        )


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

    @property
    def in_file(self) -> Value[HeaderList]:
        """An object of names and values; a list gives a header several times."""
        return HEADERS

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

    @property
    def in_file(self) -> Value[tuple[T, ...]]:
        """A string or a list of strings, which may have commas too."""
        return items(parsed(str, _STRINGS), least=0).into(self.from_arguments)


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

    @property
    def in_file(self) -> Value[tuple[tuple[str, str], ...]]:
        """An object of names and values: numbers, or text."""
        return named(_named_text, "an object of names and values", {"type": ["string", "number"]})

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


def _named_text(name: str, node: Node) -> tuple[str, str]:
    value = node.value
    if isinstance(value, str):
        return name, value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return name, str(value)
    raise node.problem("it is neither a number nor a string")


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

    @property
    def in_file(self) -> Value[tuple[WrittenRules, ...]]:
        """A list, which is read when the run starts; `placed` adds the file."""
        return Value(_written, {"type": "array"})

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


def _written(node: Node) -> tuple[WrittenRules, ...]:
    if not isinstance(node.value, list):
        raise node.problem("it is not a list of rules, each with a fault in it")
    return (WrittenRules(node.value, ""),)
