"""Tests of going on after a mistake."""

from __future__ import annotations

import pytest

from faultinject.errors import SettingsError
from faultinject.reading.node import MistakesError, lines_of, read_all, refuse


def positive(number: int) -> int:
    """Refuse a number that is not."""
    if number <= 0:
        raise SettingsError(f"{number} is not positive")
    return number


def pair(numbers: tuple[int, int]) -> list[int]:
    """Read two."""
    return read_all(numbers, positive)


def test_without_a_mistake_all_are_read() -> None:
    """In order."""
    assert read_all([3, 1], positive) == [3, 1]
    assert read_all([], positive) == []
    refuse([])


def test_one_mistake_stays_itself() -> None:
    """Its message is not changed."""
    with pytest.raises(SettingsError) as caught:
        read_all([1, -2, 3], positive)
    assert str(caught.value) == "-2 is not positive"
    assert lines_of(caught.value) == ("-2 is not positive",)


def test_several_mistakes_are_one_error() -> None:
    """With a line for each, those of a part within too; the message is a single line."""
    with pytest.raises(MistakesError) as caught:
        read_all([(0, -1), (1, 1), (2, -3)], pair)
    assert lines_of(caught.value) == (
        "0 is not positive",
        "-1 is not positive",
        "-3 is not positive",
    )
    assert str(caught.value) == "0 is not positive (and 2 more mistakes)"
    with pytest.raises(MistakesError, match=r"^0 is not positive \(and 1 more mistake\)$"):
        pair((0, 0))
