"""Checks the values of `Settings` that a program passes. Options have been checked before.

Each check raises a `SettingsError` of one line: the field, the value, and what would be right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import Attribute

from faultinject.authority import ConnectTo, TargetPattern, normal_host
from faultinject.errors import SettingsError

T = TypeVar("T")
Check = Callable[[Any, "Attribute[Any]", Any], None]
"""A validator as attrs calls it: with the instance, the field, and the value."""

_SHOWN_CHARACTERS = 60


def wrong(name: str, value: object, expected: str) -> SettingsError:
    """Return an error for a field's value; ``expected`` says what would be right."""
    shown = ascii(value)
    if len(shown) > _SHOWN_CHARACTERS:
        shown = shown[: _SHOWN_CHARACTERS - 3] + "..."
    return SettingsError(f"{name}: {shown} is not {expected}")


# -- validators ---------------------------------------------------------------------------------


def whole_number(lowest: int, highest: int) -> Check:
    """Return a check for a whole number from lowest to highest."""
    expected = f"a whole number from {lowest} to {highest}"
    return _check(lambda value: type(value) is int and lowest <= value <= highest, expected)


def number(lowest: float, highest: float) -> Check:
    """Return a check for a number from lowest to highest."""
    return _check(
        # NaN is in no range
        lambda value: type(value) in (int, float) and lowest <= value <= highest,
        f"a number from {lowest:g} to {highest:g}",
    )


def one_of(*words: str) -> Check:
    """Return a check for one of some words."""
    return _check(
        lambda value: isinstance(value, str) and value in words, "one of " + ", ".join(words)
    )


def is_a(kind: type, expected: str) -> Check:
    """Return a check for a value of a class."""
    return _check(lambda value: isinstance(value, kind), expected)


def _check(holds: Callable[[Any], bool], expected: str) -> Check:
    def check(_instance: object, field: Attribute[Any], value: object) -> None:
        if not holds(value):
            raise wrong(field.name, value, expected)

    return check


flag = _check(lambda value: isinstance(value, bool), "True or False")
flag_or_none = _check(lambda value: value is None or isinstance(value, bool), "True, False or None")
port = whole_number(0, 65535)


def host(_instance: object, field: Attribute[Any], value: object) -> None:
    """Check an address to listen on."""
    if not isinstance(value, str):
        raise wrong(field.name, value, "an address or host name")
    try:
        normal_host(_without_user(value))
    except ValueError as error:
        raise SettingsError(f"{field.name}: {error}, such as 127.0.0.1, ::1 or localhost") from None


def body(_instance: object, field: Attribute[Any], value: object) -> None:
    """Check the text of a body. No message shows it."""
    if value is None:
        return
    if not isinstance(value, str):
        raise SettingsError(f"{field.name}: {type(value).__name__} is not text (str), or None")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SettingsError(
            f"{field.name}: it is not valid Unicode: it has half a surrogate pair"
        ) from None


def text(_instance: object, field: Attribute[Any], value: object) -> None:
    """Check text."""
    if not isinstance(value, str):
        raise wrong(field.name, value, "text")


def path(_instance: object, field: Attribute[Any], value: object) -> None:
    """Check the name of a file or directory, or None."""
    if value is not None and (not isinstance(value, Path) or "\0" in str(value)):
        raise wrong(field.name, value, "the name of a file or directory")


# -- converters ---------------------------------------------------------------------------------


def as_path(value: str | os.PathLike[str] | None) -> Path | None:
    """Return a text as a path, and other values as they are, for `path` to check."""
    is_path = isinstance(value, (str, os.PathLike)) and value != ""
    return Path(value) if is_path else value  # type: ignore[arg-type, return-value]


def as_reports(value: Iterable[Path | str]) -> tuple[Path, ...]:
    """Return the files of reports, each given as a path or in text."""

    def read(text: str) -> Path:
        if not text or "\0" in text:
            raise ValueError(f"{text!a} is not the name of a file")
        return Path(text)

    return listed("report", value, Path, read)


def as_judge_only(value: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of findings that are looked for."""
    return listed("judge_only", value, str, str)


def as_ignore(value: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of findings that are not looked for."""
    return listed("ignore", value, str, str)


def as_effects(value: Iterable[str]) -> tuple[str, ...]:
    """Return the names of tools."""
    return listed("effects", value, str, str)


def as_targets(value: Iterable[TargetPattern | str]) -> tuple[TargetPattern, ...]:
    """Return target patterns; text is read."""

    def read(text: str) -> TargetPattern:
        return TargetPattern.parse_target(_without_user(text))

    targets = listed("target_host", value, TargetPattern, read)
    if not targets:
        raise SettingsError("target_host: it is empty; name a host, such as api.anthropic.com")
    return targets


def as_mappings(value: Iterable[ConnectTo | str]) -> tuple[ConnectTo, ...]:
    """Return mappings; text is read."""

    def read(text: str) -> ConnectTo:
        return ConnectTo.parse(_without_user(text))

    return listed("connect_to", value, ConnectTo, read)


def _without_user(text: str) -> str:
    if "@" in text:  # what stands before it may be a password: do not repeat it
        raise ValueError("it contains an '@'; write it without user and password")
    return text


def listed(
    name: str, value: Iterable[T | str], kind: type[T], read: Callable[[str], T]
) -> tuple[T, ...]:
    """Return the values of a field, after ``read`` of those in text. It may raise `ValueError`."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong(name, value, "a list or tuple")
    return tuple(_read(name, item, kind, read) for item in value)


def _read(name: str, item: T | str, kind: type[T], read: Callable[[str], T]) -> T:
    if isinstance(item, kind):
        return item
    if not isinstance(item, str):
        raise wrong(name, item, f"text, or a {kind.__name__}")
    try:
        return read(item)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None


Headers = tuple[tuple[str, str], ...]


def as_headers(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
    """Return pairs of names and values, and other values as they are, for `headers` to check."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    return tuple(value) if isinstance(value, Iterable) else value


def headers(_instance: object, field: Attribute[Any], value: object) -> None:
    """Check pairs of names and values. No message shows them."""
    if not isinstance(value, tuple) or not all(map(_is_pair, value)):
        raise SettingsError(f"{field.name}: it is neither a mapping nor a list of pairs of text")


def _is_pair(item: object) -> bool:
    return (
        isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item)
    )
