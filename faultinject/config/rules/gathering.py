"""Goes on after a mistake, to find the next one: people mend a file in one go then.

Knows nothing of what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from faultinject.errors import SettingsError

Item = TypeVar("Item")
Read = TypeVar("Read")


class MistakesError(SettingsError):
    """Several mistakes, each of which has a line; the message is the first, and their number."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        more = len(lines) - 1
        super().__init__(f"{lines[0]} (and {more} more {'mistakes' if more > 1 else 'mistake'})")
        self.lines = lines


def lines_of(error: SettingsError) -> tuple[str, ...]:
    """Return each mistake that an error stands for."""
    return error.lines if isinstance(error, MistakesError) else (str(error),)


def read_all(items: Iterable[Item], read: Callable[[Item], Read]) -> list[Read]:
    """Return what ``read`` makes of each item.

    Raises `SettingsError` for one mistake, `MistakesError` for several, once all were tried.
    """
    results: list[Read] = []
    errors: list[SettingsError] = []
    for item in items:
        try:
            results.append(read(item))
        except SettingsError as error:
            errors.append(error)
    refuse(errors)
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
