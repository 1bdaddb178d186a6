"""Arguments for the tool calls of synthetic answers: they fit the schema, and do no harm.

A program that runs a model's tool calls runs these too. So a command only prints a word, a path and
a host do not exist, and below the top level optional arguments are left out.
"""

from __future__ import annotations

import math
from typing import Any

_FILLERS: dict[str, Any] = {
    "string": "example", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {},
    "null": None,
}  # fmt: skip
COMMAND = "echo faultinject"
"""A command that only prints a word, in any shell."""
PATH = "/faultinject/no-such-file"
URL = "http://faultinject.invalid/"
"""A host that never exists (RFC 2606 section 2)."""
CODE = "0"
"""A valid program in most languages."""

_BY_NAME = (
    (frozenset({"command", "commands", "cmd", "script", "shell", "argv"}), COMMAND),
    (frozenset({"code"}), CODE),
    (frozenset({"path", "paths", "file", "files", "filename", "filepath", "dir", "directory",
                "folder"}), PATH),
    (frozenset({"url", "urls", "uri", "link"}), URL),
)  # fmt: skip
_DEEPEST = 5
"""How deep a schema's objects are followed."""


def arguments_for(schema: Any) -> dict[str, Any]:
    """Fill in every property that a schema describes at its top.

    There is always an argument, so that the JSON takes more than one piece of a stream.
    """
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties:
        return {"example": "an argument that no schema asked for"}
    return {str(name): _filler(str(name), inner, 0) for name, inner in properties.items()}


def needed(schema: Any) -> Any:
    """Return a schema with only its required properties; unchanged if it has none."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    required = schema.get("required") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(required, list):
        return schema
    kept = {name: properties[name] for name in properties if name in required}
    return schema | {"properties": kept} if kept else schema


def words_of(name: str) -> list[str]:
    """Return the words of a name, however they are joined: ``read_file``, ``readFile``."""
    words, word = [], ""
    for before, letter in zip(" " + name, name, strict=False):
        if word and (not letter.isalnum() or (letter.isupper() and before.islower())):
            words.append(word.lower())
            word = ""
        word += letter if letter.isalnum() else ""
    return [*words, word.lower()] if word else words


def _filler(name: str, schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict):
        return _text(name)
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(choices, list):
        plain = [choice for choice in choices if _is_plain(choice)]
        if plain:
            return plain[0]
    kind = _kind(schema)
    if kind == "string":
        return _text(name)
    if kind == "array":
        return _items(name, schema, depth)
    if kind == "object":
        return _members(schema, depth)
    lowest = schema.get("minimum")
    is_number = isinstance(lowest, int) and not isinstance(lowest, bool)
    return lowest if is_number and kind in ("integer", "number") else _FILLERS[kind]


def _kind(schema: dict[str, Any]) -> str:
    """Return the first known type of a schema; ``string`` if it has none."""
    given = schema.get("type")
    kinds = given if isinstance(given, list) else [given]
    for key in ("anyOf", "oneOf"):
        inner = schema.get(key)
        if isinstance(inner, list):
            kinds = [*kinds, *(one.get("type") for one in inner if isinstance(one, dict))]
    lower = [kind.lower() for kind in kinds if isinstance(kind, str)]  # Gemini writes OBJECT
    known = [kind for kind in lower if kind in _FILLERS]
    return next(iter(known), "string")


def _text(name: str) -> str:
    found = set(words_of(name))
    return next((text for names, text in _BY_NAME if names & found), "example")


def _items(name: str, schema: dict[str, Any], depth: int) -> list[Any]:
    if _text(name) == COMMAND:  # some programs take a command as a list of words
        return COMMAND.split()
    fewest = schema.get("minItems")
    if not isinstance(fewest, int) or fewest < 1 or depth >= _DEEPEST:
        return []
    return [_filler(name, schema.get("items"), depth + 1)]


def _members(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(properties, dict) or depth >= _DEEPEST:
        return {}
    return {
        name: _filler(name, inner, depth + 1)
        for name, inner in properties.items()
        if name in required
    }


def _is_plain(value: Any) -> bool:
    """Return True if a value can be written as JSON again. Lists and objects may be too deep.

    Python reads ``NaN``, and ``1e400`` as infinity, but neither is JSON when it is written.
    """
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))
