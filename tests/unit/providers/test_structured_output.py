"""Requests that ask for JSON get it, in each API's own place."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.providers.known import provider_for
from faultinject.providers.schema_values import value_for
from faultinject.providers.shape import ApiRequest
from faultinject.providers.structured_output import answer_text

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "who", "tags", "score"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 12},
        "who": {"$ref": "#/$defs/Person"},
        "tags": {"type": "array", "minItems": 1, "items": {"enum": ["a", "b"]}},
        "score": {"type": "number", "exclusiveMinimum": 0, "maximum": 5},
        "more": {"type": "string"},
    },
    "$defs": {
        "Person": {
            "type": "object",
            "required": ["born", "age"],
            "properties": {
                "born": {"type": "string", "format": "date"},
                "age": {"anyOf": [{"type": "integer", "minimum": 18}, {"type": "null"}]},
            },
        }
    },
}
STRICT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
FLAT = {"type": "json_schema", "name": "a", "schema": SCHEMA}
GEMINI = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
ASKED = [
    {"response_format": STRICT},
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
    {"text": {"format": FLAT}},
    {"output_config": {"format": FLAT}},
    {"output_format": FLAT},
    {"generationConfig": GEMINI},
    {"generationConfig": {"responseMimeType": "application/json", "responseSchema": SCHEMA}},
    {"request": {"generationConfig": GEMINI}},
    {"format": SCHEMA},
]


def is_valid(document: Any, schema: Any) -> bool:
    """Return True if another judge takes the document."""
    judge = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    return judge.is_valid(document)


@pytest.mark.parametrize("body", ASKED, ids=str)
def test_the_schema_is_fulfilled(body: dict[str, Any]) -> None:
    """By what the text says."""
    assert is_valid(json.loads(answer_text(ApiRequest("", body))), SCHEMA)


@pytest.mark.parametrize(
    "body",
    [{"format": "json"}, {"response_format": {"type": "json_object"}},
     {"generationConfig": {"responseMimeType": "application/json"}}],
    ids=str,
)  # fmt: skip
def test_any_json(body: dict[str, Any]) -> None:
    """Is an object."""
    assert answer_text(ApiRequest("", body)) == "{}"


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"format": 5}, {"text": {"format": {"type": "text"}}},
     {"response_format": {"type": "text"}}, {"response_format": {"type": ["json_object"]}},
     {"generationConfig": {"responseMimeType": "text/plain"}}],
    ids=str,
)  # fmt: skip
def test_no_json_is_asked_for(body: Any) -> None:
    """The text is what it is."""
    assert answer_text(ApiRequest("", body), "a text") == "a text"


@pytest.mark.parametrize(
    ("schema", "value"),
    [({}, {}), (None, {}), ({"title": "x"}, {}), ({"type": "string"}, "example"),
     ({"type": "array", "minItems": 3, "items": {"type": "null"}}, [None] * 3),
     ({"type": "array", "minItems": 10**9, "items": {"type": "null"}},
      [None] * 998 + ["example"] * 2),
     ({"type": "integer", "minimum": 1.5}, 2), ({"type": "number", "minimum": 1.5}, 1.5),
     ({"const": 5}, 5), ({"enum": ["b"]}, "b"), ({"type": "array"}, []),
     ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 1)],
)  # fmt: skip
def test_the_top_of_a_schema(schema: Any, value: Any) -> None:
    """It is an object unless the schema says another thing."""
    assert value_for(schema) == value


LEAVES = st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "boolean", "null"])})
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
        lambda members: {
            "type": "object", "properties": members, "required": list(members),
            "additionalProperties": False,
        }
    ),
    max_leaves=6,
)  # fmt: skip


@given(OBJECTS)
def test_strict_schemas(schema: dict[str, Any]) -> None:
    """Of few floors are fulfilled."""
    assert is_valid(value_for(schema), schema) or _floors(schema) > 5


def _floors(schema: dict[str, Any]) -> int:
    return 1 + max(map(_floors, schema.get("properties", {}).values()), default=0)


HOSTS = [
    ("api.openai.com", "/v1/chat/completions", ("choices", 0, "message", "content")),
    ("api.groq.com", "/openai/v1/chat/completions", ("choices", 0, "message", "content")),
    ("api.mistral.ai", "/v1/chat/completions", ("choices", 0, "message", "content")),
    ("api.openai.com", "/v1/responses", ("output", 0, "content", 0, "text")),
    ("api.anthropic.com", "/v1/messages", ("content", 0, "text")),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-flash:generateContent",
     ("candidates", 0, "content", "parts", 0, "text")),
    ("localhost:11434", "/api/chat", ("message", "content")),
    ("api.cohere.com", "/v2/chat", ("message", "content", 0, "text")),
]  # fmt: skip


@pytest.mark.parametrize(("host", "path", "where"), HOSTS, ids=[host for host, _, _ in HOSTS])
@pytest.mark.parametrize("streamed", [False, True])
def test_each_api(host: str, path: str, where: tuple[str | int, ...], streamed: bool) -> None:
    """Says the document, in one piece and in a stream, whose pieces make the same text."""
    body: dict[str, Any] = {"model": "m", "stream": streamed}
    for asked in ASKED:
        body |= asked
    provider = provider_for(host, path)
    shape, request = provider.shape_of(path), provider.api_request(path, body, host, "alt=sse")
    text = answer_text(request)
    fields = provider.draw_fields(lambda: 0.5, 1e9, request)
    if streamed:
        events = b"".join(shape.requested_stream(request).minimal(request, fields, lambda: 0.5))
        for piece in text.split():
            assert json.dumps(piece).encode()[1:-1] in events
        return
    found = json.loads(shape.minimal_response(request, fields, lambda: 0.5))
    for key in where:
        found = found[key]
    assert found == text
    assert is_valid(json.loads(found), SCHEMA)
