"""Arguments that nobody asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.schema_values import arguments_for, needed, words_of
from tests.support.steps import instructions


@pytest.mark.parametrize(
    ("name", "schema", "value"),
    [
        ("command", {"type": "string"}, "echo faultinject"),
        ("command", {"type": "array", "items": {"type": "string"}}, ["echo", "faultinject"]),
        ("file_path", {"type": "string"}, "/faultinject/no-such-file"),
        ("filePath", {}, "/faultinject/no-such-file"),
        ("url", {"type": "string"}, "http://faultinject.invalid/"),
        ("code", {"type": "string"}, "0"),
        ("city", {"type": ["null", "string"]}, None),
        ("city", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "example"),
        ("city", {"oneOf": [5, {"type": "integer"}]}, 1),
        ("city", True, "example"),
        ("city", {"type": "array"}, []),
        ("cities", {"type": "array", "minItems": 1, "items": {"type": "string"}}, ["example"]),
        ("cities", {"type": "array", "minItems": 2, "items": {}}, ["example", "example"]),
        ("n", {"type": "integer", "minimum": 7}, 7),
        ("n", {"type": "integer", "minimum": 6.5}, 7),
        ("n", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ("n", {"type": "number", "minimum": True}, 1.5),
        ("mode", {"enum": [[], "a", "b"]}, "a"),
        ("mode", {"enum": [[]]}, "example"),
        ("mode", {"enum": [1.5]}, 1.5),
        ("mode", {"const": "c"}, "c"),
        ("where", {"type": "object"}, {}),
        ("where", {"type": "object", "required": ["path"],
                   "properties": {"path": {}, "more": {}}}, {"path": "/faultinject/no-such-file"}),
        ("what", {"type": "unknown"}, "example"),
        ("when", {"type": "string", "format": "date-time"}, "2025-01-01T00:00:00Z"),
        ("when", {"type": "string", "format": []}, "example"),
        ("word", {"type": "string", "minLength": 9}, "examplexx"),
        ("word", {"type": "string", "maxLength": 2}, "ex"),
        ("n", {"type": "integer", "exclusiveMinimum": 7}, 8),
        ("n", {"type": "number", "maximum": 0.5}, 0.5),
        ("n", {"type": "number", "exclusiveMaximum": 1}, 0),
        ("n", {"type": "integer", "maximum": 1e300}, 1),
        ("all", {"allOf": [{"type": "integer"}]}, 1),
        ("none", {"anyOf": [5]}, "example"),
        ("where", {"properties": {"a": {}}, "required": ["a"]}, {"a": "example"}),
        ("what", {"$ref": "#/nowhere"}, "example"),
        ("what", {"$ref": 5}, "example"),
    ],
)  # fmt: skip
def test_one(name: str, schema: Any, value: Any) -> None:
    """It fits its schema, and harms nothing."""
    assert arguments_for({"properties": {name: schema}}) == {name: value}


def test_a_schema_without_an_end() -> None:
    """Is followed to a depth."""
    deep: Any = {"type": "string"}
    for _ in range(50):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
        deep = {"type": "array", "items": deep, "minItems": 1}
    assert len(json.dumps(arguments_for({"properties": {"a": deep}}))) < 100


def test_references() -> None:
    """Are followed within the schema, round and round only so often."""
    schema = {
        "properties": {"one": {"$ref": "#/$defs/a~1b"}, "same": {"$ref": "#/$defs/same"}},
        "$defs": {"a/b": {"type": "integer"}, "same": {"$ref": "#/$defs/same"}},
    }
    assert arguments_for(schema) == {"one": 1, "same": "example"}


def test_a_small_schema_for_a_huge_value() -> None:
    """Is filled in as long as it is no more than some hundred values."""
    names = [f"n{number}" for number in range(50)]
    node = {
        "type": "object", "required": names,
        "properties": {name: {"$ref": "#/$defs/node"} for name in names},
    }  # fmt: skip
    schema = {"properties": {"a": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    assert len(json.dumps(arguments_for(schema))) < 100_000


AGAIN = {"$ref": "#/all"}
MANY = {f"n{number}": AGAIN for number in range(999)}
WIDE: dict[str, Any] = {f"n{number}": {} for number in range(30_000)}
LONG = [letter * 20_000 for letter in "abc"]
HEAVY: list[tuple[dict[str, Any], Any]] = [
    # The properties, and what stands at #/all.
    (MANY, {"properties": {**WIDE, "a": AGAIN, "b": AGAIN}, "required": ["a", "b"]}),
    (MANY, {"properties": dict.fromkeys(LONG, AGAIN), "required": LONG}),
    (MANY, {"const": LONG[0]}),
    (MANY, {"$ref": "#" + "/" * 60_000}),
    (MANY, {"enum": [[]] * 100_000}),
    (MANY, {"type": "array", "minItems": 10**9, "items": AGAIN}),
]


@pytest.mark.parametrize(("properties", "referred"), HEAVY)
def test_what_would_take_long_or_be_long(properties: dict[str, Any], referred: Any) -> None:
    """Takes as much work and room as the schema is large, and not its square."""
    schema = {"properties": properties, "all": referred}
    size = 100_000 + len(json.dumps(schema))
    assert len(json.dumps(arguments_for(schema))) < 3 * size
    instructions(lambda: arguments_for(schema), most=30 * size)


class Name(str):
    """A property's name, which counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_many_names_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the properties, and those that are required."""
    monkeypatch.setattr(Name, "compared", 0)
    required = [Name(f"m{number}") for number in range(300)]
    properties = {Name(f"n{number}"): {} for number in range(300)} | {Name("m0"): {"const": 1}}
    schema = {"properties": {"a": {"properties": properties, "required": required}}}
    assert arguments_for(schema) == {"a": {"m0": 1}}
    assert 0 < Name.compared <= 600


@pytest.mark.parametrize(
    "schema", [None, 5, {}, {"properties": {}}, {"properties": {"a": {}}},
               {"properties": {"a": {}}, "required": []}, {"properties": {"a": {}}, "required": 5}]
)  # fmt: skip
def test_nothing_is_needed(schema: Any) -> None:
    """The schema is as good as it is."""
    assert needed(schema) == schema


@pytest.mark.parametrize(
    ("name", "words"),
    [("read_file", ["read", "file"]), ("readFile", ["read", "file"]), ("LS", ["ls"]), ("", []),
     ("a-b.c d", ["a", "b", "c", "d"]), ("__x__", ["x"])],
)  # fmt: skip
def test_words(name: str, words: list[str]) -> None:
    """However they are joined."""
    assert words_of(name) == words


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["object", "array", "string", "integer"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "properties", "required", "items", "enum", "const", "anyOf",
                         "minItems", "minimum", "path", "command", "$ref", "format", "maximum",
                         "minLength", "maxLength", "exclusiveMinimum", "exclusiveMaximum"]),
        inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@given(VALUES)
def test_any_schema(schema: Any) -> None:
    """Has arguments that are JSON."""
    json.dumps(arguments_for(schema), allow_nan=False)
    json.dumps(arguments_for(needed(schema)), allow_nan=False)
