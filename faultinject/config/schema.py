"""The JSON Schema of configuration files and rules, for editors.

It is made of the tables by which files are read. It refuses no file that is read. What it cannot
say is left to the reader: that of two times one must be the later, say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from faultinject.config.load import SCHEMA_KEY
from faultinject.config.options import FILE_OPTIONS, RULE, Option
from faultinject.config.rules.rule_list import RULES_SCHEMA
from faultinject.reading.keys import Keys
from faultinject.reading.value import Described, Value

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1
"""It counts up when a file that was right is so no more. The schema's ``$id`` ends with it."""

_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


def config_schema() -> dict[str, Any]:
    """Return the schema of a configuration file."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        key: {"description": option.help, **_whole(_schema_of(option), definitions)}
        for key, option in sorted(FILE_OPTIONS.items())
    }
    properties[SCHEMA_KEY] = {
        "description": "The address of this schema, for editors.",
        "type": "string",
    }
    return {
        "$schema": DIALECT,
        "$id": f"urn:faultinject:config:{VERSION}",
        "title": "faultinject",
        "description": "A configuration file of faultinject: options and rules.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _schema_of(option: Option) -> Any:
    return RULES_SCHEMA if option.key == RULE.key else option.kind.in_file


def _whole(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema without a `Value` or `Keys` in it.

    What has a title is a reference, and added to ``definitions``.
    """
    if isinstance(schema, Value) and schema.title:
        name = schema.title.replace(" ", "-")
        whole = _whole(schema.schema, definitions)
        if definitions.setdefault(name, whole) != whole:
            raise ValueError(f"two schemas are called {schema.title!r}")
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(schema, Described):
        return {**_whole(schema.schema, definitions), "description": _plain(schema.about)}
    if isinstance(schema, (Value, Keys)):
        return _whole(schema.schema, definitions)
    if isinstance(schema, (list, tuple)):
        return [_whole(each, definitions) for each in schema]
    if isinstance(schema, Mapping):
        parts = {key: _whole(value, definitions) for key, value in schema.items()}
        return _flat(parts) if "anyOf" in parts else parts
    return schema


def _plain(text: str) -> str:
    """Return a text without what Markdown has in it for the page of rules."""
    return _LINK.sub(r"\1", text).replace("`", "")


def _flat(parts: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose choices have no choices of their own, and no two of them are equal."""
    choices: list[dict[str, Any]] = []
    for each in parts["anyOf"]:
        inner = each["anyOf"] if each.keys() == {"anyOf"} else [each]
        choices += [choice for choice in inner if choice not in choices]
    if len(choices) == 1:
        del parts["anyOf"]
        return parts | choices[0]
    return parts | {"anyOf": choices}
