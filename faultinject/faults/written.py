"""What the faults read their keys from, whoever has parsed the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from faultinject.errors import SettingsError


class Written(Protocol):
    """A value of a rule, as its author wrote it.

    Each method that returns what was written raises `SettingsError` if it is something else. The
    error names the place in the rule.
    """

    @property
    def value(self) -> object:
        """The JSON-like value."""

    def problem(self, text: str) -> SettingsError:
        """Return an error about the value."""

    def fields(self, allowed: Iterable[str], expected: str) -> Mapping[str, Written]:
        """Return an object's members by key, which must be among the allowed ones.

        ``expected`` says what would be right, for the error.
        """

    def text(self, expected: str = "text") -> str:
        """Return text that is not empty."""

    def word(self, *words: str) -> str:
        """Return the value, which must be one of these words."""

    def whole(self, lowest: int = 1, highest: int = 10**9) -> int:
        """Return a whole number within bounds."""

    def positive(self, expected: str = "a number above 0") -> float:
        """Return a number above 0."""

    def positive_duration(self) -> float:
        """Return a duration of at least a millisecond, in seconds."""

    def only_true(self) -> None:
        """Refuse anything but true, because the key alone says everything."""
