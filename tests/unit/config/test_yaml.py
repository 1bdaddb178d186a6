"""YAML, as far as it says what JSON can."""

# ruff: noqa: E501  (tables of messages are read best a line each)

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.config.file import read_config_file
from faultinject.config.yaml import yaml_value
from faultinject.errors import SettingsError
from faultinject.reading.scalars import number_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, 2.5, x, true, null, '1']", {"a": [1, 2.5, "x", True, None, "1"]}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("<<: 1\n=: 2", {"<<": 1, "=": 2}),
        ("# only a comment\n- a", ["a"]),
    ],
)
def test_what_yaml_says(text, value) -> None:
    """Dates stay text, and keys have no meaning of their own."""
    assert yaml_value(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "line 1, column 6: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\na: 2", "line 2, column 1: not YAML: the key 'a' is given twice; keep one"),
        ("true: 1", "line 1, column 1: not YAML: the key 'True' is not text; put it in quotes"),
        ("? [a]\n: 1", "line 1, column 3: not YAML: the key '['a']' is not text; put it in quotes"),
        (
            "host: *.example.com",
            "line 1, column 8: not YAML: expected alphabetic or numeric character, but found '.'; a text that begins with '*' or '&' needs quotes",
        ),
        ("a: !!python/object:os.system x", "line 1, column 4: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: \x00", 'not YAML: unacceptable character #x0000: special characters are not allowed   in "<unicode string>", position 3'),
        ("a:\n\tb: 1", "line 2, column 1: not YAML: found character '\\t' that cannot start any token; write spaces in place of the tab"),
        ("[" * 201 + "]" * 201, "its values are nested too deeply"),
        ("- " * 20_000, "its values are nested too deeply"),
        ("a: !!int 0x_", "line 1, column 4: not YAML: '0x_' is not of the type int"),
        ("a: !!int 1_000", "line 1, column 4: not YAML: '1_000' is not of the type int"),
        ("a: !!null x", "line 1, column 4: not YAML: 'x' is not of the type null"),
        ("a: !!bool yes", "line 1, column 4: not YAML: 'yes' is not of the type bool"),
        ("a: !!float ''", "line 1, column 4: not YAML: '' is not of the type float"),
        ("a: !!bool x", "line 1, column 4: not YAML: 'x' is not of the type bool"),
        ("a: !!timestamp 2020-01-01", "line 1, column 4: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:timestamp'"),
        ("a: !!set {x}", "line 1, column 4: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:set'"),
        ("a: !!map x", "line 1, column 4: not YAML: the tag !!map is only for mappings"),
        ("a: !!str [x]", "line 1, column 4: not YAML: expected a scalar node, but found sequence"),
        ("a: 1\nb: '\u2028'", "line 2, column 5: the character U+2028 is not allowed unescaped; write it as \\u2028 in double quotes"),
    ],
)  # fmt: skip
def test_what_is_no_yaml(text, message) -> None:
    """One line says where, and what."""
    with pytest.raises(SettingsError) as caught:
        yaml_value(text)
    assert str(caught.value).replace("\\n", " ") == message


def test_brackets_within_brackets() -> None:
    """Two hundred are read; more would cost their square, whether they are closed or not."""
    assert str(yaml_value("[" * 200 + "]" * 200)).count("[") == 200
    with pytest.raises(SettingsError, match="nested too deeply"):
        yaml_value("[" * 1_000_000)


@pytest.mark.parametrize(
    "number", ["9" * 5_000, "0x" + "f" * 5_000, "0o" + "7" * 5_000, "1." + "5" * 5_000]
)
def test_a_number_of_too_many_digits(number: str) -> None:
    """No message could show it, and there are ways to write one that cost the digits' square."""
    with pytest.raises(SettingsError, match=r"^line 2, column 4: .* has more than 4000 digits$"):
        yaml_value("\na: " + number)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        ("+12", 12),
        ("-1.5e+3", -1500.0),
        ("1e-2", 0.01),
        ("1E2", 100.0),
        ("1.", 1.0),
        ("-.5", -0.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("!!float 1", 1.0),
        ("!!int '7'", 7),
        ("null", None),
        ("NULL", None),
        ("~", None),
        ("", None),
        ("True", True),
        ("FALSE", False),
    ],
)
def test_what_plain_text_means(text: str, value: object) -> None:
    """As the core schema of YAML 1.2 has it."""
    read = yaml_value(f"a: {text}")
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "y", "n", "Yes", "NO", "On", "tRUE", "nULL"),
        *("1:30", "1:30.5", "1_000", "0b11", "-0x10", "0o8", "1e", "e1", ".", "+.nan", "inf"),
        *("2020-01-01", "2020-01-01 10:00:00", "<<", "=", "0x_"),
    ],
)
def test_what_only_yaml_1_1_reads_as_a_value(text: str) -> None:
    """It is text, as a key, too."""
    assert yaml_value(f"{text}: {text}") == {text: text}
    assert yaml_value(f"[{text}]") == [text]


@pytest.mark.parametrize("text", ["x", "1_000", "nan", "infinity", "9" * 5_000])
def test_text_that_is_no_number(text: str) -> None:
    """In a rule of one line it stays text."""
    with pytest.raises(ValueError, match="not a number"):
        number_of(text)


def test_not_a_number() -> None:
    """The one value that is not equal to itself."""
    assert str(yaml_value("[.nan, .NaN, .NAN]")) == "[nan, nan, nan]"


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?", fullmatch=True)
)
def test_a_number_is_the_same_in_all_three(text: str) -> None:
    """In JSON, in TOML, in YAML, and in a rule of one line."""
    value = json.loads(text)
    for read in (yaml_value(text), tomllib.loads(f"a = {text}")["a"], number_of(text)):
        assert (read, type(read)) == (value, type(value))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=100), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 2, "\t"]))
def test_json_is_yaml(value: object, indent: int | str | None) -> None:
    """Its values are the same, whether the file is called so or so."""
    text = json.dumps(value, indent=indent)
    assert yaml_value(text) == json.loads(text)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3))
def test_json_with_characters_of_all_kinds_is_yaml_or_refused(value: object) -> None:
    """What PyYAML cannot read as JSON does is a mistake, not another value."""
    try:
        read = yaml_value(json.dumps(value, ensure_ascii=False))
    except SettingsError:
        return
    assert read == value


def test_aliases_cannot_fill_the_memory() -> None:
    """What they repeat is counted as often as it stands there; nor can one hold itself."""
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(8)]
    for text in ("\n".join(lines), "&a [*a]"):
        with pytest.raises(SettingsError, match="more than 200000 values"):
            yaml_value(text)


@pytest.mark.parametrize("name", ["c.yaml", "c.YML"])
def test_a_configuration_file_may_be_yaml(tmp_path, name) -> None:
    """By its name; a mistake names the file."""
    path = tmp_path / name
    path.write_text("status_code: 429\nheaders: {Retry-After: 1}\n")
    assert read_config_file(path).value == {"status_code": 429, "headers": {"Retry-After": 1}}
    path.write_text("a: [")
    with pytest.raises(SettingsError, match=f"{name}:1:5: not YAML"):
        read_config_file(path)
    path.write_text("- a")
    with pytest.raises(
        SettingsError, match=f"{name}:1:1: it is a list; write rules: above a list of rules"
    ):
        read_config_file(path)


@given(st.one_of(st.text(), st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0_x.~<=e", max_size=30)))
def test_any_text_is_yaml_or_refused_in_one_line(text: str) -> None:
    """And nothing else happens."""
    assert len(message(text).splitlines()) <= 1


def message(text: str) -> str:
    """Return the line that refuses a text; nothing if it is YAML."""
    try:
        yaml_value(text)
    except SettingsError as error:
        return str(error)
    return ""
