"""Reads a configuration file, JSON, TOML or YAML, into plain values.

A pipe works too, as in ``--config <(make-rules)``: it is read once, to its end. A mistake is a
`SettingsError` of one line that begins with the file's name.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from attrs import frozen

from faultinject.errors import SettingsError
from faultinject.files import SILENCE_SECONDS, STANDARD_INPUT, read_plain_file, read_to_the_end
from faultinject.reading.node import Node
from faultinject.reading.shown import one_line, shown_text
from faultinject.reading.source import (
    Locate,
    MalformedError,
    Place,
    Position,
    Source,
    nowhere,
    position_in,
)

_MAX_BYTES = 16 * 1024 * 1024  # /dev/zero, or the wrong file, should not fill the memory
# Comments and blanks, then a key with a colon, or a list. The quantifiers are possessive, so that
# 16 MiB of comments do not take long.
_YAML_START = re.compile(
    r"(?:\s++|#[^\n]*+\n|---\s)*+(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+:(?:\s|$)|-\s)"
)


MOST_FILE_BYTES = 64 * 1024 * 1024
"""Largest file that a rule can name: /dev/zero, or the wrong file, should not fill the memory."""


@frozen(eq=False, repr=False)
class FileReader:
    """Reads files that rules name, from the folder where the rules are."""

    folder: Path | None

    def read(self, name: str) -> bytes:
        """Return a file's bytes. Raises `OSError`, `ValueError`."""
        if self.folder is None:
            raise OSError("rules that are not in a file cannot name one")
        data = read_plain_file(self.folder / _home_expanded(name), MOST_FILE_BYTES)
        if len(data) > MOST_FILE_BYTES:
            raise ValueError(f"it has more than {MOST_FILE_BYTES} bytes")
        return data


def _home_expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:  # there is no such user
        raise ValueError(str(error)) from None


def shown_path(path: Path) -> str:
    """Return a path for messages."""
    return "standard input" if path == STANDARD_INPUT else one_line(str(path))


def read_config_file(path: Path) -> Node:
    """Return the file's contents: an object (JSON, YAML) or a document (TOML).

    The name's ending gives the format: ``.json``, ``.toml``, ``.yaml`` or ``.yml``. A file with
    another name is JSON if it begins with a brace, YAML if its first key has a colon, else TOML.
    ``-`` is standard input. Raises `SettingsError`.
    """
    name = shown_path(path)
    try:
        text = _text(path)
        value, locate = _decoded(text, path.suffix.lower())
    except MalformedError as error:
        raise error.of_file(name) from None
    except OSError as error:
        raise SettingsError(f"{name}: cannot read it: {error.strerror or error}") from None
    document = Node(value, Place(Source(name, FileReader(path.parent).read, locate)))
    if isinstance(value, list):
        raise document.problem("it is a list; write rules: above a list of rules")
    if not isinstance(value, dict):
        raise document.problem(
            'it is not an object with options in it, as in {"error_probability": 0.3}'
        )
    return document


def _text(path: Path) -> str:
    data = read_to_the_end(path, _MAX_BYTES, lambda: _report_wait(path))
    if len(data) > _MAX_BYTES:
        raise MalformedError(f"it has more than {_MAX_BYTES} bytes; is it a configuration file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()  # without a byte order mark
        raise MalformedError("it is not UTF-8 text", position_in(before, len(before))) from None


def _report_wait(path: Path) -> None:
    if sys.stderr is not None:
        sys.stderr.write(
            f"faultinject: waiting for the end of {shown_path(path)};"
            f" {SILENCE_SECONDS:g} s of silence will be taken as an error\n"
        )


def _decoded(text: str, suffix: str) -> tuple[object, Locate]:
    """Return the value, and what knows where its parts are written: for YAML alone."""
    is_yaml = suffix not in (".json", ".toml") and _YAML_START.match(text) is not None
    if suffix in (".yaml", ".yml") or is_yaml:
        from faultinject.config.yaml import Places

        return from_yaml(text), Places(text)
    is_json = suffix == ".json" or (suffix != ".toml" and text.lstrip()[:1] == "{")
    try:
        return (_from_json(text) if is_json else _from_toml(text)), nowhere
    except RecursionError:
        raise MalformedError("its values are nested too deeply") from None


def from_yaml(text: str) -> object:
    """Return the value of a YAML document. Raises `MalformedError`."""
    from faultinject.config.yaml import yaml_value  # late, for PyYAML is large, and few have YAML

    return yaml_value(text)


def _from_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error.msg}", position_in(text, error.pos)) from None
    except ValueError as error:  # a number of too many digits
        raise MalformedError(f"not JSON that can be read: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse a key that is given twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, times in Counter(n for n, _ in pairs).items() if times > 1)
        raise MalformedError(f"the key {shown_text(twice)} is given twice; keep one")
    return values


def _refuse_constant(word: str) -> NoReturn:
    raise MalformedError(f"{word} is not JSON; write a number")


def _from_toml(text: str) -> object:
    import tomllib

    try:
        values = tomllib.loads(text)
        str(values)  # Python refuses to print a number of thousands of digits
    except ValueError as error:
        what, _, place = one_line(str(error)).partition(" (at line ")
        numbers = [int(number) for number in re.findall("[0-9]+", place)]
        raise MalformedError(
            f"not TOML: {what}", Position(*numbers) if len(numbers) == 2 else None
        ) from None
    return values
