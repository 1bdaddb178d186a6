"""Words with commas, values by name, and files of reports: from an option, a variable, a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faultinject.config.kinds import Kind
from faultinject.config.values import ASSIGNMENTS, IDS, REPORTS, TARGETS, WORD
from faultinject.errors import SettingsError
from faultinject.reading.node import Node
from faultinject.reading.source import Place, Source


def in_file(kind: Kind, value: object) -> Any:
    """Read a value of a file."""
    return kind.in_file.read(Node(value, Place(Source("f"), ("key",))))


@pytest.mark.parametrize("texts", [["a,b", "c"], ["a", "b", "c"], [" a , b,,", "c,"]])
def test_words_may_stand_in_one_text(texts: list[str]) -> None:
    """With commas between them, and blanks around them."""
    assert IDS.from_arguments(texts) == ("a", "b", "c")
    assert IDS.from_environment(",".join(texts)) == ("a", "b", "c")
    assert in_file(IDS, texts) == ("a", "b", "c")
    assert IDS.repeatable


def test_a_target_of_a_told_api() -> None:
    """It is taken if the API is known; else the known ones are named."""
    (target,) = TARGETS.from_arguments(["localhost:8000=openai"])
    assert target.api == "openai"
    with pytest.raises(ValueError, match="nobody"):
        TARGETS.from_arguments(["localhost:8000=nobody"])


def test_values_by_name() -> None:
    """Of one name the last counts; a file has an object."""
    assert ASSIGNMENTS.from_arguments(["a=1", "b = 2.5", "a=3"]) == (("a", "3"), ("b", "2.5"))
    assert ASSIGNMENTS.from_environment("a=1, b=2,") == (("a", "1"), ("b", "2"))
    assert in_file(ASSIGNMENTS, {"a": 1, "b": 2.5, "c": "7"}) == (
        ("a", "1"), ("b", "2.5"), ("c", "7"),
    )  # fmt: skip
    assert ASSIGNMENTS.repeatable


def test_values_by_name_are_merged() -> None:
    """One of the upper source replaces that of its name; the others stay."""
    lower, upper = (("a", "1"), ("b", "2")), (("b", "3"), ("c", "4"))
    assert ASSIGNMENTS.merged(lower, upper) == (("a", "1"), ("b", "3"), ("c", "4"))


@pytest.mark.parametrize("text", ["", "a", "a=", "=1", " = "])
def test_what_is_no_value_by_name(text: str) -> None:
    """It is shown with what would be one."""
    with pytest.raises(ValueError, match="is not a name and a value, as in NAME=VALUE"):
        ASSIGNMENTS.from_arguments([text])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a=1"], r'f: key: \["a=1"\] is not an object of names and values'),
        ({"a": True}, "f: key.a: it is neither a number nor a string"),
        ({"a": None}, "f: key.a: it is neither a number nor a string"),
    ],
)
def test_what_is_no_object_of_values(value: Any, message: str) -> None:
    """Neither a list nor a truth."""
    with pytest.raises(SettingsError, match=message):
        in_file(ASSIGNMENTS, value)


def test_reports_are_known_by_their_endings() -> None:
    """In any case."""
    names = ["a.json", "b.xml", "c.md", "d.HTML"]
    assert REPORTS.from_arguments(names) == tuple(map(Path, names))


@pytest.mark.parametrize("name", ["a", "a.txt", ".json", "json", "a.html.gz"])
def test_another_ending_is_refused(name: str) -> None:
    """The endings that there are are named."""
    with pytest.raises(ValueError, match=r"ending says what to write: \.json, \.xml, \.md, \.html"):
        REPORTS.from_arguments([name])


def test_a_word_of_a_file_is_text() -> None:
    """A number is none."""
    assert in_file(WORD, "error") == "error"
    with pytest.raises(SettingsError, match="5 is not a string"):
        in_file(WORD, 5)
