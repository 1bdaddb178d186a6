"""In which line and column of a YAML file a mistake is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.config.file import read_config_file
from faultinject.config.yaml import Places, yaml_value
from faultinject.errors import SettingsError
from faultinject.reading.source import Steps


def at(text: str, *steps: str | int, key: str | None = None) -> str:
    """Return what is written at the place of a value, up to the line's end."""
    position = Places(text)(steps, key)
    assert position is not None
    line = text.replace("\r\n", "\n").split("\n")[position.line - 1]
    return line[position.column - 1 :]


RULES = """\
# A comment with ünïcode
rules:
  - name: one    # of two
    match: {path: "/a", json: {"a.b": [1, two]}}
    when:
      probability: 1.5
    fault: { respond: {status: 500,
        body: |
          several
          lines
      } }
  - fault:
"""


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        ((), "rules:"),
        (("rules",), "- name: one    # of two"),
        (("rules", 0), "name: one    # of two"),
        (("rules", 0, "name"), "one    # of two"),
        (("rules", 0, "match"), '{path: "/a", json: {"a.b": [1, two]}}'),
        (("rules", 0, "match", "json", "a.b", 1), "two]}}"),
        (("rules", 0, "when"), "probability: 1.5"),
        (("rules", 0, "when", "probability"), "1.5"),
    ],
)  # fmt: skip
def test_a_value_is_where_it_begins(steps: Steps, written: str) -> None:
    """Also within brackets, and whatever its key is called."""
    assert at(RULES.replace("body: |\n          several\n          lines\n      ", ""), *steps) == (
        written
    )


@pytest.mark.parametrize(
    ("text", "steps", "written"),
    [
        ("a: |\n  several\n  lines\nb: {c: 1}", ("b", "c"), "1}"),
        ("a: |\n  several\n  lines\nb: 1", ("a",), "|"),
        ("a: >-\n  b: c\n\n  d\ne: 5", ("e",), "5"),
        ('a: "x\n  y\n  z"\nb: 2', ("b",), "2"),
        ("a: x\n  y\n  z\nb: 2", ("b",), "2"),
        ("a:\r\n  b: 1\r\n  c: 2\r\n", ("a", "c"), "2"),
        ("a: |\r\n  x\r\n\r\n  y\r\nb: 2\r\n", ("b",), "2"),
        ("{\n\t\"a\": 1,\n\t\"b\": 2\n}", ("b",), "2"),
        ("ä: ö, 😀\n'😀': {x: 1}", ("😀", "x"), "1}"),
        ("---\n# c\na: !!str 1", ("a",), "!!str 1"),
        ('a: 1\n"b\\u0063": 2', ("bc",), "2"),
        ("a: &x {b: 1}", ("a",), "&x {b: 1}"),
        ("- - 1\n  - 2\n- 3", (0, 1), "2"),
        ("a:\nb: 1", ("a",), ""),
    ],
)  # fmt: skip
def test_whatever_stands_before_it(text: str, steps: Steps, written: str) -> None:
    """Several lines of text, line ends of Windows, tabs, characters of more than one byte."""
    assert at(text, *steps) == written


ALIASES = """\
often: &often {probability: 1.5}
half: &half 0.5
rules:
  - when: *often
  - when: {probability: *half}
"""


def test_an_alias_is_where_it_stands_and_its_parts_are_where_they_are_written() -> None:
    """There the mistake can be mended."""
    assert at(ALIASES, "rules", 0, "when") == "*often"
    assert at(ALIASES, "rules", 0, "when", "probability") == "1.5}"
    assert at(ALIASES, "rules", 0, "when", key="probability") == "probability: 1.5}"
    assert at(ALIASES, "rules", 1, "when", "probability") == "*half}"
    assert at(ALIASES, "often", "probability") == "1.5}"


def test_a_key_of_a_value() -> None:
    """Not the value itself."""
    assert at("a: {b: 1, 'c d': 2}", "a", key="c d") == "'c d': 2}"


def test_what_is_not_written_is_where_it_would_belong() -> None:
    """A single value that is read as a list of one, say."""
    assert at("a: {b: 1}", "a", "x", "y") == "{b: 1}"
    assert at("a: [b]", "a", "x") == "[b]"
    assert at("a: 1", "a", 0) == "1"
    assert at("a: {b: 1}", "a", key="x") == "{b: 1}"


def test_an_empty_text_has_no_places() -> None:
    """Nor has one that is nested more deeply than can be read again."""
    assert Places("")((), None) is None
    assert Places("- " * 20_000)((0,), None) is None


def test_a_byte_order_mark_takes_no_room(tmp_path: Path) -> None:
    """Some editors of Windows write one."""
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: x\r\n")
    assert str(read_config_file(path).members("")["seed"].problem("p")) == f"{path}:1:7: seed: p"
    path.write_bytes(b"\xef\xbb\xbfa: \xff")
    with pytest.raises(SettingsError, match=r"r\.yaml:1:4: it is not UTF-8 text"):
        read_config_file(path)


def test_json_and_toml_have_the_path_alone(tmp_path: Path) -> None:
    """Their readers say of no value where it was."""
    for name, text in (("a.json", '{"seed": "x"}'), ("a.toml", "seed = 'x'")):
        (tmp_path / name).write_text(text)
        node = read_config_file(tmp_path / name).members("")["seed"]
        assert str(node.place) == f"{tmp_path / name}: seed"


NESTED = st.recursive(
    st.integers() | st.text(max_size=5) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(NESTED, st.sampled_from([None, 2, "\t"]))
def test_every_value_of_any_document_is_found(value: Any, indent: int | str | None) -> None:
    """At its place, there is the text of that value."""
    text = json.dumps(value, indent=indent)
    assert yaml_value(text) == value
    places = Places(text)

    def check(part: Any, steps: Steps) -> None:
        position = places(steps, None)
        assert position is not None
        rest = "\n".join(text.split("\n")[position.line - 1 :])[position.column - 1 :]
        assert json.JSONDecoder().raw_decode(rest)[0] == part
        parts = (
            part
            if isinstance(part, dict)
            else dict(enumerate(part if isinstance(part, list) else ()))
        )
        for step, inner in parts.items():
            check(inner, (*steps, step))

    check(value, ())
