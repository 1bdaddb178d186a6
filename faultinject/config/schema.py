"""The JSON Schema of configuration files and rules, for editors.

It is made of the tables by which files are read. It refuses no file that is read. What it cannot
say is left to the reader: that of two times one must be the later, say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faultinject.config.load import SCHEMA_KEY
from faultinject.config.options import FILE_OPTIONS, RULE, Option
from faultinject.config.rules.rule_list import RULES_SCHEMA
from faultinject.reading.value import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1
"""It counts up when a file that was right is so no more. The schema's ``$id`` ends with it."""


def config_schema() -> dict[str, Any]:
    """Return the schema of a configuration file. Schemas with a title are under ``$defs``."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        key: {"description": option.help, **_referring(_schema_of(option), definitions)}
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


def _schema_of(option: Option) -> Schema:
    return RULES_SCHEMA if option.key == RULE.key else option.kind.in_file.schema


def _referring(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema that refers to each part with a title. Adds those to ``definitions``."""
    if isinstance(schema, list):
        return [_referring(each, definitions) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    parts = {key: _referring(value, definitions) for key, value in schema.items()}
    title = schema.get("title")
    if not isinstance(title, str):
        return parts
    name = title.replace(" ", "-")
    if definitions.setdefault(name, parts) != parts:
        raise ValueError(f"two schemas are called {title!r}")
    return {"$ref": f"#/$defs/{name}"}
