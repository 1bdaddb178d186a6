"""Where a value is written, as a message says it."""

from __future__ import annotations

import pytest

from faultinject.reading.node import Node
from faultinject.reading.source import (
    MalformedError,
    Place,
    Position,
    Source,
    Steps,
    no_files,
    position_in,
)


def nine(steps: Steps, key: str | None) -> Position:
    """Say where something is: in line 9, and the column counts the steps."""
    return Position(9, len(steps) + (0 if key is None else 100))


def test_a_place_is_file_line_column_and_path() -> None:
    """As far as they are known."""
    assert str(Place(Source("r.yaml", locate=nine), ("rules", 2, "when"))) == (
        "r.yaml:9:3: rules[2].when"
    )
    assert str(Place(Source("r.json"), ("rules", 2, "a b"))) == "r.json: rules[2]['a b']"
    assert str(Place(Source("", locate=nine), ("rules",))) == "rules"
    assert str(Place(Source("r.yaml"))) == "r.yaml"
    assert not Place()


def test_an_unknown_key_has_its_own_line_and_the_path_of_its_object() -> None:
    """The path names what is read; the line shows the key."""
    node = Node({"x": 1}, Place(Source("r.yaml", locate=nine), ("rules",)))
    assert str(node.unknown("x", ("y",))) == (
        "r.yaml:9:101: rules: unknown key 'x'; the keys are y"
    )


def test_a_source_and_a_key_cannot_break_the_line() -> None:
    """Whatever they are called."""
    place = Place(Source("a\nb", locate=nine), ("c\nd",))
    assert str(place) == r"a\nb:9:1: ['c\nd']"
    assert str(MalformedError("w", Position(1, 2)).of_file("a\nb")) == r"a\nb:1:2: w"


@pytest.mark.parametrize(
    ("text", "index", "position"),
    [
        ("", 0, "1:1"),
        ("ab", 1, "1:2"),
        ("a\nb", 2, "2:1"),
        ("a\r\nb", 3, "2:1"),
        ("\r\rx", 2, "3:1"),
    ],
)
def test_the_position_of_a_character(text: str, index: int, position: str) -> None:
    """Whichever line ends there are."""
    assert str(position_in(text, index)) == position


def test_without_a_folder_there_are_no_files() -> None:
    """A rule that is made in a program names none."""
    with pytest.raises(OSError, match="a rule that is not in a file cannot name one"):
        no_files("x")
