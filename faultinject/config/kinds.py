"""The kinds of values that options have, and how each is read from text and from a file.

A kind reads one option from the command line, from the environment, or from the value that a
JSON or TOML file has for it. It raises `ValueError` whose text says what is wrong and what would
be right; it does not know the option's name, nor where the value was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from faultinject.authority import ConnectTo, TargetPattern, normal_host
from faultinject.config.headers import HeaderList, checked_header, merged_headers, parse_header
from faultinject.config.wording import shown_text, shown_value

T = TypeVar("T")


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
        """Read what the command line has; one text unless `repeatable`."""
        raise NotImplementedError

    def from_environment(self, text: str) -> Any:
        """Read what an environment variable has."""
        raise NotImplementedError

    def from_file(self, value: object) -> Any:
        """Read what a configuration file has."""
        raise NotImplementedError

    def merged(self, lower: Any, upper: Any) -> Any:
        """Return what two sources make, of which ``upper`` has precedence."""
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
        """A flag it is."""
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
        """Read each comma-separated piece; empty pieces are nothing."""
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
        """Read a header a line (a value may hold commas)."""
        return self.from_arguments([line for line in text.splitlines() if line.strip()])

    def from_file(self, value: object) -> HeaderList:
        """Read an object of names and values; a list stands for a header given several times."""
        if not isinstance(value, dict):
            raise ValueError("it is not an object of header names and values")  # noqa: TRY004
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


def _string_in_list(item: object) -> str:
    if not isinstance(item, str):
        raise _reject(shown_value(item), "a string or a list of strings")
    return item


def _header_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):  # Retry-After: 30
        return str(value)
    raise ValueError(f"the value of the header {shown_text(name)} is not a string")


def _reject(shown: str, expected: str) -> ValueError:
    return ValueError(f"{shown} is not {expected}")


# -- numbers ------------------------------------------------------------------------------------


def whole_number(lowest: int, highest: int, metavar: str) -> Single[int]:
    """Return the kind of whole numbers from lowest to highest."""
    expected = f"a whole number from {lowest} to {highest}"

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text) or not lowest <= int(text) <= highest:
            raise _reject(shown_text(text), expected)
        return int(text)

    def check(value: object) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise _reject(shown_value(value), expected)
        return value

    return Single(parse, check, metavar=metavar)


_PROBABILITY = "a number from 0 to 1"


def _probability(number: float, shown: str) -> float:
    if not 0 <= number <= 1:  # NaN is not, either
        raise _reject(shown, _PROBABILITY)
    return float(number)


def _parse_probability(text: str) -> float:
    try:
        return _probability(float(text), shown_text(text))
    except ValueError:
        raise _reject(shown_text(text), _PROBABILITY) from None


def _check_probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _reject(shown_value(value), _PROBABILITY)
    return _probability(value, shown_value(value))


PROBABILITY = Single(_parse_probability, _check_probability, metavar="0-1")


# -- words --------------------------------------------------------------------------------------


def _text_only(parse: Callable[[str], T], expected: str, metavar: str, **more: Any) -> Single[T]:
    """Return the kind of values that a file has as strings."""

    def check(value: object) -> T:
        if not isinstance(value, str):
            raise _reject(shown_value(value), f"a string ({expected})")
        return parse(value)

    return Single(parse, check, metavar=metavar, **more)


def choice(*words: str) -> Single[str]:
    """Return the kind of one of these words."""
    expected = "one of " + ", ".join(words)

    def parse(text: str) -> str:
        if text not in words:
            raise _reject(shown_text(text), expected)
        return text

    return _text_only(parse, expected, "|".join(words), choices=words)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise _reject(shown_text(text), "the name of a file or directory")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{shown_text(text)}: {error}") from None


FILE = _text_only(_path, "a path", "FILE", is_path=True)
DIRECTORY = _text_only(_path, "a path", "DIR", is_path=True)


def _without_user(text: str) -> str:
    if "@" in text:  # what stands before it may be a password: do not repeat it
        raise ValueError("it holds an '@'; write the host alone, without user and password")
    return text


def _listening_host(text: str) -> str:
    try:
        return normal_host(_without_user(text))
    except ValueError as error:
        raise ValueError(f"{error}, as 127.0.0.1, ::1 or localhost are") from None


LISTENING_HOST = _text_only(_listening_host, "an address or host name", "ADDRESS")


def _target(text: str) -> TargetPattern:
    return TargetPattern.parse(_without_user(text))


def _connect_to(text: str) -> ConnectTo:
    return ConnectTo.parse(_without_user(text))


TARGETS = Listed(_target, may_be_empty=False, metavar="HOST[:PORT]")
MAPPINGS = Listed(_connect_to, metavar="HOST:PORT:ADDRESS:PORT")
HEADERS = HeaderLines(metavar="'NAME: VALUE'")


# -- flags --------------------------------------------------------------------------------------

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise _reject(shown_text(text), "true or false (1 or 0)")
    return word in _TRUE


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _reject(shown_value(value), "true or false")
    return value


FLAG = Flag(_parse_flag, _check_flag)


def _negated(kind: Single[bool]) -> Flag:
    return Flag(lambda text: not kind.parse(text), lambda value: not kind.check(value))


NEGATED_FLAG = _negated(FLAG)


# -- the body -----------------------------------------------------------------------------------


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the body holds what is no Unicode text (half a surrogate pair)") from None
    return text


def _check_body(value: object) -> str:
    if isinstance(value, str):
        return _encodable(value)
    if not isinstance(value, dict):
        raise ValueError("the body is neither a string nor an object")  # noqa: TRY004
    try:
        return _encodable(
            json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the body cannot be written as JSON: {error}") from None


BODY = Single(_encodable, _check_body, metavar="TEXT")
