"""Reads YAML 1.2 into the values that JSON has too, with a one-line error for each mistake.

Values that aliases repeat are counted each time.
"""

from __future__ import annotations

import re
from typing import Any

from faultinject.config.scalars import one_line
from faultinject.errors import SettingsError

_MOST_VALUES = 200_000
_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""What ends a line in YAML 1.1, as PyYAML has it, and is a character like others in 1.2."""


def yaml_value(text: str) -> object:
    """Return the value of a YAML document. Raises `SettingsError` with line and column."""
    # Late, for it is large, and most runs have no YAML.
    import yaml

    from faultinject.config.yaml_loader import Loader

    _check_line_ends(text)
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506 -- it is a SafeLoader
        _check_size(value)
    except yaml.MarkedYAMLError as error:
        raise SettingsError(_where(error) + _what(error)) from None
    except yaml.YAMLError as error:
        raise SettingsError(f"not YAML: {one_line(str(error))}") from None
    except RecursionError:
        raise SettingsError("its values are nested too deeply") from None
    return value


def _check_line_ends(text: str) -> None:
    if found := _OTHER_LINE_ENDS.search(text):
        line, code = text.count("\n", 0, found.start()) + 1, ord(found.group())
        raise SettingsError(
            f"line {line}: the character U+{code:04X} cannot stand there by itself; write it as"
            f" \\u{code:04x} in double quotes"
        )


def _where(error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _what(error: Any) -> str:
    what = f"not YAML: {one_line(str(error.problem or error.context))}"
    if any(word in f"{error.problem} {error.context}" for word in ("alias", "anchor")):
        what += "; a text that begins with '*' or '&' needs quotes"
    return what


def _check_size(value: object) -> None:
    count, rest = 0, [value]
    while rest:
        count += 1
        if count > _MOST_VALUES:
            raise SettingsError(f"it has more than {_MOST_VALUES} values (aliases count, too)")
        match rest.pop():
            case dict() as members:
                rest.extend(members.values())
            case list() as items:
                rest.extend(items)
