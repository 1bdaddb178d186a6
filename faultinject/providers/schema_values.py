"""Values that fit a JSON schema, for the tool calls and documents of synthetic answers.

They do no harm: a program that runs a model's tool calls runs these too. So a command only prints a
word, a path and a host do not exist, and below the top level optional members are left out.
"""

from __future__ import annotations

import math
from typing import Any

from attrs import define

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
_BY_FORMAT = {
    "date-time": "2025-01-01T00:00:00Z", "date": "2025-01-01", "time": "00:00:00Z",
    "duration": "PT1S", "email": "nobody@faultinject.invalid", "uri": URL, "url": URL,
    "hostname": "faultinject.invalid", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip
"""Texts for the formats of JSON Schema. The addresses are those of RFC 5737 and RFC 3849."""
_DEEPEST = 5
"""How deep a schema's objects are followed."""
_MOST_REFERENCES = 8
"""How many references are followed from one place to the next."""
_CHOICES = ("anyOf", "oneOf", "allOf")
_LONGEST = 1000
"""The most characters or items that a schema can make a value have."""
_LEAST = 100
"""So many characters each value counts for at least."""
_LARGEST = 1e15
"""Numbers beyond it bound nothing: they cannot be counted in floating point."""


def arguments_for(schema: Any) -> dict[str, Any]:
    """Fill in every property that a schema describes at its top.

    There is always an argument, so that the JSON takes more than one piece of a stream.
    """
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties:
        return {"example": "an argument that no schema asked for"}
    filler = _Filler(schema)
    return {str(name): filler.value(str(name), inner, 0) for name, inner in properties.items()}


def value_for(schema: Any) -> Any:
    """Return a value that a JSON schema describes; an object if it says nothing of the kind.

    Types, ``const``, ``enum``, choices, references within the schema, formats, lengths and lower
    and upper bounds are heeded, patterns are not. Objects get their required members.
    """
    if not isinstance(schema, dict) or not schema:
        return {}
    return _Filler(schema).value("", {"type": "object"} | schema if _is_open(schema) else schema, 0)


def _is_open(schema: dict[str, Any]) -> bool:
    return not any(key in schema for key in ("type", "$ref", "const", "enum", *_CHOICES))


def needed(schema: Any) -> Any:
    """Return a schema with only its required properties; unchanged if it has none."""
    kept = _required(schema) if isinstance(schema, dict) else {}
    return schema | {"properties": kept} if kept else schema


def _required(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that a schema requires, in their order."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    names = {each for each in required if isinstance(each, str)}
    return {name: inner for name, inner in properties.items() if name in names}


def words_of(name: str) -> list[str]:
    """Return the words of a name, however they are joined: ``read_file``, ``readFile``."""
    words, word = [], ""
    for before, letter in zip(" " + name, name, strict=False):
        if word and (not letter.isalnum() or (letter.isupper() and before.islower())):
            words.append(word.lower())
            word = ""
        word += letter if letter.isalnum() else ""
    return [*words, word.lower()] if word else words


def _text(name: str) -> str:
    found = set(words_of(name[:_LONGEST]))
    return next((text for names, text in _BY_NAME if names & found), "example")


def _kind(schema: dict[str, Any]) -> str:
    """Return the first known type of a schema; ``string`` if it has none."""
    given = schema.get("type", "object" if "properties" in schema else None)
    kinds = given if isinstance(given, list) else [given]
    lower = [kind.lower() for kind in kinds if isinstance(kind, str)]  # Gemini writes OBJECT
    return next((kind for kind in lower if kind in _FILLERS), "string")


def _fitting_text(name: str, schema: dict[str, Any]) -> str:
    """Return a text of a format, if the schema names one, and as long as it asks for."""
    given = schema.get("format")
    text = _BY_FORMAT.get(given, _text(name)) if isinstance(given, str) else _text(name)
    fewest, most = _bound(schema, "minLength"), _bound(schema, "maxLength")
    if fewest is not None:
        text = text.ljust(min(int(fewest), _LONGEST), "x")
    return text if most is None or most < 0 else text[: int(most)]


def _number(schema: dict[str, Any], kind: str) -> float:
    """Return a number within the schema's bounds, at one of them or beside it."""
    value: float = _FILLERS[kind]
    is_whole = kind == "integer"
    lowest, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    highest, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    if above is not None:
        ends = [each for each in (highest, below) if each is not None]
        value = (above + min(ends)) / 2 if ends and not is_whole else above + 1
    elif lowest is not None:
        value = math.ceil(lowest) if is_whole else lowest
    elif below is not None:
        value = min(value, below - 1)
    elif highest is not None:
        value = min(value, highest)
    return math.floor(value) if is_whole else value


def _bound(schema: dict[str, Any], key: str) -> float | None:
    """Return a number of a schema; None if it has none there."""
    value = schema.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if -_LARGEST < value < _LARGEST else None


@define(eq=False, repr=False)
class _Filler:
    """Fills in one schema."""

    root: Any
    """The whole schema, in which references are looked up."""
    left: int = 1000 * _LEAST
    """How many more characters may be made, and members of the schema be looked at: references let
    a small schema describe a huge value."""

    def value(self, name: str, schema: Any, depth: int) -> Any:
        """Return a value for a member of this name, so deep within the schema."""
        self.left -= _LEAST + len(name)
        schema = self._chosen(schema) if self.left >= 0 else None
        if not isinstance(schema, dict):
            return _text(name)
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(choices, list):
            plain = [choice for choice in choices if _is_plain(choice)]
            if plain:
                self.left -= len(plain[0]) if isinstance(plain[0], str) else 0
                return plain[0]
        kind = _kind(schema)
        if kind == "string":
            return _fitting_text(name, schema)
        if kind == "array":
            return self._items(name, schema, depth)
        if kind == "object":
            return self._members(schema, depth)
        return _number(schema, kind) if kind in ("integer", "number") else _FILLERS[kind]

    def _chosen(self, schema: Any) -> Any:
        """Return the schema that a reference, or the first of some choices, stands for."""
        for _ in range(_MOST_REFERENCES):
            inner = self._inner(schema)
            if inner is None:
                return schema
            schema = inner
        return {}

    def _inner(self, schema: Any) -> dict[str, Any] | None:
        if not isinstance(schema, dict):
            return None
        self.left -= sum(len(each) for each in schema.values() if isinstance(each, (list, dict)))
        if "$ref" in schema:
            return self._referred(schema["$ref"])
        choices = next((schema[key] for key in _CHOICES if key in schema), None)
        if "type" in schema or not isinstance(choices, list):
            return None
        return next((each for each in choices if isinstance(each, dict)), None)

    def _referred(self, reference: Any) -> dict[str, Any]:
        """Return what a reference points at (RFC 6901); ``{}`` if that is not in the schema."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return {}
        self.left -= len(reference)
        found = self.root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _items(self, name: str, schema: dict[str, Any], depth: int) -> list[Any]:
        if _text(name) == COMMAND:  # some programs take a command as a list of words
            return COMMAND.split()
        fewest = schema.get("minItems")
        if not isinstance(fewest, int) or fewest < 1 or depth >= _DEEPEST:
            return []
        inner = schema.get("items")
        return [self.value(name, inner, depth + 1) for _ in range(min(fewest, _LONGEST))]

    def _members(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        members = _required(schema) if depth < _DEEPEST else {}
        return {name: self.value(name, inner, depth + 1) for name, inner in members.items()}


def _is_plain(value: Any) -> bool:
    """Return True if a value can be written as JSON again. Lists and objects may be too deep.

    Python reads ``NaN``, and ``1e400`` as infinity, but neither is JSON when it is written.
    """
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))
