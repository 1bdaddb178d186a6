"""Parts of documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers import generic
from faultinject.providers.documents import (
    compact,
    entries,
    event,
    filled,
    indented,
    member,
    pieces,
    read_usage,
    requires_tool_call,
    tool_call,
    words,
)
from faultinject.providers.shape import ApiRequest, Usage
from tests.unit.providers.support import fields_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_documents_are_what_they_say(value: Any) -> None:
    """Both ways to write a document can be read back; one has no line end in it."""
    assert json.loads(compact(value)) == json.loads(indented(value)) == value
    assert b"\n" not in compact(value)


def test_half_a_surrogate_pair() -> None:
    """A model's name may have one, which UTF-8 cannot: it is written as an escape."""
    model = json.loads(r'"\ud800"')
    assert compact({"é": model}) == rb'{"\u00e9":"\ud800"}'
    assert json.loads(event(model).split(b": ", 1)[1]) == model


@pytest.mark.parametrize(
    ("now", "date"),
    [
        (0.0, "1970-02-01"),
        (1754179200.0, "2025-09-01"),
        (1735689599.9, "2025-01-01"),
        (1735689600.0, "2025-02-01"),
    ],
)
def test_the_next_month(now: float, date: str) -> None:
    """It begins on the first, in December of the next year."""
    fields = evolve(fields_of(generic.PROVIDER), now_seconds=now)
    assert filled("on {next_month}, {limit}{", fields, limit=5) == f"on {date}, 5{{"


def test_pieces_and_words() -> None:
    """The pieces of a text are the text."""
    text = "one  two\nthree"
    assert "".join(pieces(text)) == text
    assert pieces(text) == ["one", "  two", "\nthree"]
    assert words([{"a": text}, 5, None, ["x"]]) == 4


def test_reading_of_json_values() -> None:
    """What is not there, or of another type, is nothing."""
    assert member({"a": {"b": 1}}, "a", "b") == 1
    assert member({"a": 5}, "a", "b") is None
    assert member(None, "a") is None
    assert entries([1, {"a": 1}, None]) == [{"a": 1}]
    assert entries({"a": 1}) == []


def test_usage() -> None:
    """One of the two numbers is enough."""
    assert read_usage({"input_tokens": 1}) == Usage(1, None)
    assert read_usage({"p": 1, "c": 2}, "p", "c") == Usage(1, 2)
    assert read_usage({"input_tokens": None}) is None
    assert read_usage({"input_tokens": True, "output_tokens": 2}) == Usage(None, 2)


# Tools


def test_which_tool_is_called() -> None:
    """The wanted one, or else the first with a name; none if there is none."""
    tools: list[tuple[Any, Any]] = [(None, {}), ("a", {}), ("b", {})]
    for wanted, name in [(None, "a"), ("b", "b"), ("c", "a"), (5, "a")]:
        call = tool_call(tools, wanted)
        assert call is not None
        assert call.name == name
    assert tool_call([(5, {})]) is None
    assert tool_call([], "a") is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "example"),
        ({"type": "integer"}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {}}, []),
        ({"type": "object"}, {}),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "example"),
        ({"enum": ["x", "y"], "type": "string"}, "x"),
        ({"enum": []}, "example"),
        ({"enum": "x"}, "example"),
        ({"enum": [True, "x"]}, True),
        ({"enum": [float("nan"), float("inf"), [1], {}, 0.5]}, 0.5),
        ({"enum": [float("inf")], "type": "number"}, 1.5),
        ({"enum": [json.loads("[" * 900 + "]" * 900)], "type": "array"}, []),
        ({}, "example"),
        (True, "example"),
    ],
)
def test_arguments(schema: Any, value: Any) -> None:
    """Each property that is described has a value of its type."""
    call = tool_call([("f", {"properties": {"p": schema}})])
    assert call is not None
    assert call.arguments == {"p": value}
    assert "".join(call.fragments) == call.json
    assert json.loads(call.json) == call.arguments


def test_arguments_of_any_length() -> None:
    """They come in so many pieces at most: each is an event of a stream."""
    call = tool_call([("f", {"properties": {"p": {"enum": ["x" * 1_000_000]}}})])
    assert call is not None
    assert 900 < len(call.fragments) <= 1000
    assert "".join(call.fragments) == call.json


@pytest.mark.parametrize("schema", [None, 5, {}, {"properties": []}, {"properties": {}}])
def test_arguments_that_nobody_described(schema: Any) -> None:
    """There are some, so that their JSON comes in pieces."""
    call = tool_call([("f", schema)])
    assert call is not None
    assert len(call.fragments) > 5


@pytest.mark.parametrize(
    ("choice", "demands"),
    [
        ({"type": "any"}, True),
        ({"type": "tool", "name": "a"}, True),
        ("required", True),
        ({"type": "function", "function": {"name": "a"}}, True),
        ({"type": "function", "name": "a"}, True),
        ({"type": "auto"}, False),
        ("auto", False),
        ("none", False),
        (None, False),
        ({"type": ["any"]}, False),
    ],
)
def test_whether_a_call_is_demanded(choice: Any, demands: bool) -> None:
    """In the words of either API."""
    assert requires_tool_call(ApiRequest("/", {"tool_choice": choice})) is demands
