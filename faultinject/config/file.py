"""Reads a configuration file, JSON, TOML or YAML, into plain values.

A pipe works too, as in ``--config <(make-rules)``: it is read once, to its end. A mistake is a
`SettingsError` of one line that begins with the file's name.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from faultinject.config.scalars import one_line, shown_text
from faultinject.errors import SettingsError
from faultinject.files import SILENCE_SECONDS, STANDARD_INPUT, read_to_the_end

_MAX_BYTES = 16 * 1024 * 1024  # /dev/zero, or the wrong file, should not fill the memory
# Comments and blanks, then a key with a colon, or a list. The quantifiers are possessive, so that
# 16 MiB of comments do not take long.
_YAML_START = re.compile(
    r"(?:\s++|#[^\n]*+\n|---\s)*+(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+:(?:\s|$)|-\s)"
)


def shown_path(path: Path) -> str:
    """Return a path for messages."""
    return "standard input" if path == STANDARD_INPUT else one_line(str(path))


def read_config_file(path: Path) -> dict[str, Any]:
    """Return the file's contents: an object (JSON, YAML) or a document (TOML).

    The name's ending gives the format: ``.json``, ``.toml``, ``.yaml`` or ``.yml``. A file with
    another name is JSON if it begins with a brace, YAML if its first key has a colon, else TOML.
    ``-`` is standard input. Raises `SettingsError`.
    """
    try:
        values = _decoded(_text(path), path.suffix.lower())
    except SettingsError as error:
        raise SettingsError(f"{shown_path(path)}: {error}") from None
    if isinstance(values, list):
        raise SettingsError(f"{shown_path(path)}: it is a list; write rules: above a list of rules")
    if not isinstance(values, dict):
        raise SettingsError(
            f"{shown_path(path)}: it is not an object with options in it, as in"
            ' {"error_probability": 0.3}'
        )
    return values


def _text(path: Path) -> str:
    try:
        data = read_to_the_end(path, _MAX_BYTES, lambda: _report_wait(path))
    except OSError as error:
        raise SettingsError(f"cannot read it: {error.strerror or error}") from None
    if len(data) > _MAX_BYTES:
        raise SettingsError(f"it has more than {_MAX_BYTES} bytes; is it a configuration file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"line {line} is not UTF-8 text") from None


def _report_wait(path: Path) -> None:
    if sys.stderr is not None:
        sys.stderr.write(
            f"faultinject: waiting for the end of {shown_path(path)};"
            f" {SILENCE_SECONDS:g} s of silence will be taken as an error\n"
        )


def _decoded(text: str, suffix: str) -> object:
    is_yaml = suffix not in (".json", ".toml") and _YAML_START.match(text) is not None
    if suffix in (".yaml", ".yml") or is_yaml:
        return from_yaml(text)
    is_json = suffix == ".json" or (suffix != ".toml" and text.lstrip()[:1] == "{")
    try:
        return _from_json(text) if is_json else _from_toml(text)
    except RecursionError:
        raise SettingsError("its values are nested too deeply") from None


def from_yaml(text: str) -> object:
    """Return the value of a YAML document. Raises `SettingsError` with line and column."""
    from faultinject.config.yaml import yaml_value  # late, for PyYAML is large, and few have YAML

    return yaml_value(text)


def _from_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except ValueError as error:  # a number of too many digits
        raise SettingsError(f"not JSON that can be read: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse a key that is given twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, times in Counter(n for n, _ in pairs).items() if times > 1)
        raise SettingsError(f"the key {shown_text(twice)} is given twice; keep one")
    return values


def _refuse_constant(word: str) -> NoReturn:
    raise SettingsError(f"{word} is not JSON; write a number")


def _from_toml(text: str) -> object:
    try:
        values = tomllib.loads(text)
        str(values)  # Python refuses to print a number of thousands of digits
    except ValueError as error:  # the message of TOMLDecodeError has the line
        raise SettingsError(f"not TOML: {one_line(str(error))}") from None
    return values
