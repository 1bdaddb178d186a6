"""What a synthetic answer says: a text, or a JSON document if the request asks for one.

Programs that ask for structured output read the answer as JSON, and ask again or give up if it is
none. Each API has a place of its own for the schema.
"""

from __future__ import annotations

import json
from typing import Any

from faultinject.providers.documents import TEXT, member
from faultinject.providers.schema_values import value_for
from faultinject.providers.shape import ApiRequest

_FORMATS = (
    ("response_format",),  # OpenAI's chat completions, those shaped like them, and Cohere
    ("text", "format"),  # OpenAI's responses
    ("output_config", "format"),  # Anthropic
    ("output_format",),  # Anthropic, while it was in beta
)
"""Where the format of the answer stands: an object with a ``type``."""
_JSON_TYPES = ("json_schema", "json_object")
_SCHEMAS = (("schema",), ("json_schema", "schema"), ("json_schema",))
"""Where the schema is in a format."""
_GEMINI_CONFIGS = (("generationConfig",), ("request", "generationConfig"))
"""Gemini CLI wraps its requests."""
_GEMINI_SCHEMAS = (("responseJsonSchema",), ("responseSchema",))


def answer_text(request: ApiRequest, text: str = TEXT) -> str:
    """Return the text of an answer: the given one, or JSON if the request asks for that.

    The JSON fits the request's schema, as far as `value_for` heeds it.
    """
    schema = _wanted_schema(request.document)
    return text if schema is None else json.dumps(value_for(schema))


def _wanted_schema(document: Any) -> dict[str, Any] | None:
    """Return the schema that an answer must fit, ``{}`` for any JSON, or None for a text."""
    for path in _FORMATS:
        if member(document, *path, "type") in _JSON_TYPES:
            return _first(member(document, *path), _SCHEMAS)
    for path in _GEMINI_CONFIGS:
        if member(document, *path, "responseMimeType") == "application/json":
            return _first(member(document, *path), _GEMINI_SCHEMAS)
    ollama = member(document, "format")
    if ollama == "json":
        return {}
    return ollama if isinstance(ollama, dict) else None


def _first(config: Any, paths: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    found = (member(config, *path) for path in paths)
    return next((schema for schema in found if isinstance(schema, dict)), {})
