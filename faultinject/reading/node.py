"""A value that was read with its place, so that an error message can name the place.

Reading goes on after a mistake, so that all mistakes of a file are reported at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from attrs import evolve, frozen

from faultinject.errors import SettingsError
from faultinject.reading.scalars import DURATION, seconds_of
from faultinject.reading.shown import nearest, shown_text, shown_value
from faultinject.reading.source import Place

Item = TypeVar("Item")
Read = TypeVar("Read")


class MistakesError(SettingsError):
    """Several mistakes. The message has the first one, and how many more there are."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        more = len(lines) - 1
        super().__init__(f"{lines[0]} (and {more} more {'mistakes' if more > 1 else 'mistake'})")
        self.lines = lines


def lines_of(error: SettingsError) -> tuple[str, ...]:
    """Return the message of each mistake in an error."""
    return error.lines if isinstance(error, MistakesError) else (str(error),)


def read_all(
    items: Iterable[Item], read: Callable[[Item], Read], known: Iterable[SettingsError] = ()
) -> list[Read]:
    """Return the result of ``read`` for each item.

    All items are tried. Raises `SettingsError` for one mistake, `MistakesError` for several;
    ``known`` are mistakes that were found before.
    """
    results: list[Read] = []
    errors: list[SettingsError] = []
    for item in items:
        try:
            results.append(read(item))
        except SettingsError as error:
            errors.append(error)
    refuse([*errors, *known])
    return results


def refuse(errors: Iterable[SettingsError]) -> None:
    """Raise the errors as one, if there are any."""
    found = list(errors)
    if len(found) == 1:
        raise found[0]
    if found:
        raise MistakesError(tuple(_lines(found)))


def _lines(errors: Iterable[SettingsError]) -> Iterator[str]:
    for error in errors:
        yield from lines_of(error)


LARGEST = 1e300
LONGEST_SECONDS = 10 * 365 * 86_400.0


@frozen(eq=False, repr=False)
class Node:
    """A JSON-like value and its place."""

    value: object
    place: Place

    # Errors

    def problem(self, text: str) -> SettingsError:
        """Return an error at this place that does not show the value."""
        return self.place.problem(text)

    def wrong(self, expected: str) -> SettingsError:
        """Return an error that shows the value and says what would be right."""
        return self.problem(f"{shown_value(self.value)} is not {expected}")

    # Parts

    def unknown(self, key: str, keys: tuple[str, ...]) -> SettingsError:
        """Return an error for a key that is not one of the known ones."""
        near = nearest(key.lower().replace("-", "_"), keys)
        hint = f"did you mean {near}?" if near else "the keys are " + ", ".join(keys)
        return evolve(self.place, key=key).problem(f"unknown key {shown_text(key)}; {hint}")

    def members(self, expected: str) -> dict[str, Node]:
        """Return an object's members by key, whatever the keys. ``expected`` is as in `wrong`."""
        if not isinstance(self.value, dict):
            raise self.wrong(expected)
        for key in self.value:
            if not isinstance(key, str):
                raise self.problem(f"the key {shown_value(key)} is not text; put it in quotes")
        return {key: Node(value, self.place.inner(key)) for key, value in self.value.items()}

    def items(self) -> list[Node]:
        """Return the items of a list. Any other value is its own only item."""
        if not isinstance(self.value, list):
            return [self]
        return [Node(item, self.place.inner(n)) for n, item in enumerate(self.value)]

    def filled_items(self) -> list[Node]:
        """Return `items`, but refuse an empty list."""
        if items := self.items():
            return items
        raise self.problem("the list is empty; give at least one")

    def part(self, *keys: str) -> Node:
        """Return the node at a path of keys, which must exist."""
        if not keys:
            return self
        return self.members("an object")[keys[0]].part(*keys[1:])

    # Single values

    def text(self, expected: str = "text") -> str:
        """Return text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.wrong(expected)
        return self.encodable(self.value)

    def encodable(self, text: str) -> str:
        """Return the text, but refuse half a surrogate pair, which UTF-8 cannot have."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.problem("it is not valid Unicode: it has half a surrogate pair") from None
        return text

    def word(self, *words: str) -> str:
        """Return the value, which must be one of these words."""
        if self.value not in words or not isinstance(self.value, str):
            near = nearest(self.value, words) if isinstance(self.value, str) else None
            hint = f"; did you mean {near}?" if near else ""
            one_of = words[0] if len(words) == 1 else "one of " + ", ".join(words)
            raise self.wrong(one_of + hint)
        return self.value

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def only_true(self) -> None:
        """Refuse anything but true, because the key alone says everything."""
        if self.value is not True:
            raise self.wrong("true (leave the key out otherwise)")

    def whole(self, lowest: int = 1, highest: int = 10**9) -> int:
        """Return a whole number within bounds."""
        if type(self.value) is not int or not lowest <= self.value <= highest:
            raise self.wrong(f"a whole number from {lowest} to {highest}")
        return self.value

    def number(self, expected: str) -> float:
        """Return a finite number."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(expected)
        if not abs(value) <= LARGEST:  # NaN is not, either
            raise self.wrong(expected)
        return value

    def json_value(self) -> object:
        """Return the value; refuse one that JSON cannot have, such as a date or NaN."""
        self.json()
        return self.value

    def json(self) -> str:
        """Return the value as JSON."""
        try:
            return json.dumps(
                self.value,
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
                default=_refuse_value,
            )
        except (TypeError, ValueError, RecursionError) as error:
            words = str(error).removesuffix(": inf").removesuffix(": -inf").removesuffix(": nan")
            raise self.problem(
                f"it cannot be written as JSON: {words}"
            ) from None  # 3.13 adds which

    def positive(self, expected: str = "a number above 0") -> float:
        """Return a number above 0."""
        number = self.number(expected)
        if number <= 0:
            raise self.wrong(expected)
        return float(number)

    def duration(self, *, least_seconds: float = 0.0) -> float:
        """Return a duration in seconds."""
        if isinstance(self.value, str):
            read = seconds_of(self.value)
            if read is None:
                raise self.wrong(DURATION)
            seconds = read
        else:
            seconds = float(self.number(DURATION))
        if not least_seconds <= seconds <= LONGEST_SECONDS:
            raise self.wrong(f"a duration from {least_seconds:g} s to ten years")
        return seconds

    def positive_duration(self) -> float:
        """Return a duration of at least a millisecond, in seconds."""
        return self.duration(least_seconds=0.001)


def _refuse_value(value: object) -> Any:
    raise TypeError(f"JSON has no {type(value).__name__}")
