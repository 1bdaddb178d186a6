"""Reads `Settings` from the command line, the environment and a configuration file.

The command line goes before the environment, the environment before the file, and the file before
the default. A mistake is a `SettingsError` of one line that names the option, the variable or the
file's key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import fields_dict, frozen

from faultinject.config.file import read_config_file, shown_path
from faultinject.config.kinds import Kind
from faultinject.config.options import (
    CA_CERT,
    CA_KEY,
    CONFIG,
    FAKE_PACE,
    FAKE_UPSTREAM,
    FILE_OPTIONS,
    SHORT_FORM,
    VARIABLE_PREFIX,
    VARIABLES,
    Option,
)
from faultinject.errors import SettingsError
from faultinject.reading.node import Node, lines_of, read_all
from faultinject.reading.shown import nearest, one_line
from faultinject.reading.source import Place
from faultinject.settings import Settings

S = TypeVar("S", bound=Settings)

Texts = Mapping[str, Sequence[str]]
"""The options given on the command line: their texts in order, by `Option.parameter`."""

ReadConfig = Callable[[Path], Node]
"""Returns the contents of a configuration file: `read_config_file`, or what has read it already."""

SCHEMA_KEY = "$schema"
"""The key by which a file names its JSON Schema for editors. It means nothing here."""


# The variables that Kubernetes and Docker's links set for a service (or container) whose name
# begins like ours: https://kubernetes.io/docs/concepts/services-networking/service/
_SERVICE_NAME = re.compile(
    r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_VALUE = re.compile(r"(tcp|udp|sctp)://")


@frozen(eq=False, repr=False)
class _Found:
    """A value and the place where the user wrote it."""

    place: str | Place
    kind: Kind
    value: Any


_Layer = dict[str, _Found]
"""The values of one source, or of several merged, by `Option.name`."""


def load_settings(
    given: Texts,
    environment: Mapping[str, str],
    options: Iterable[Option],
    read_file: ReadConfig = read_config_file,
) -> Settings:
    """Return the checked settings of the proxy; see `load_settings_as`."""
    return load_settings_as(Settings, given, environment, options, read_file)


def load_settings_as(
    kind: type[S],
    given: Texts,
    environment: Mapping[str, str],
    options: Iterable[Option],
    read_file: ReadConfig = read_config_file,
) -> S:
    """Return the checked settings as a ``kind``.

    Only ``options`` and their variables are read. A file is checked as a whole, because one file
    serves every command. Raises `SettingsError`.
    """
    options = tuple(options)
    typed = _merged(_from_environment(environment, options), _from_command_line(given, options))
    found = _merged(_from_file(typed, read_file), typed)
    _check_pair(found)
    _check_pace(given, found)
    settings = fields_dict(kind)
    values = {
        option.setting: found[option.name].value
        for option in (*FILE_OPTIONS.values(), *options)
        if option.setting in settings and option.name in found
    }
    return kind(**values, short_form=any(each.name in found for each in SHORT_FORM) or None)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a message for each variable that looks like an option's but is not.

    Empty variables are ignored, as everywhere. All variables of a service share one message.
    """
    services = [
        name
        for name, text in sorted(environment.items())
        if name.startswith(VARIABLE_PREFIX) and _is_of_a_service(name, text)
    ]
    words = {name.removeprefix(VARIABLE_PREFIX): name for name in VARIABLES}
    messages = []
    if services:
        more = f" and {len(services) - 1} more" if services[1:] else ""
        messages.append(
            f"{one_line(services[0])}{more}: Kubernetes sets these for a service of this name;"
            " they are ignored"
        )
    for name in sorted(name for name, text in environment.items() if text):
        if name.startswith(VARIABLE_PREFIX) and name not in (*VARIABLES, *services):
            # Without the prefix, which makes all of them similar.
            near = nearest(name.removeprefix(VARIABLE_PREFIX), words)
            hint = f"; did you mean {words[near]}?" if near else ""
            messages.append(f"{one_line(name)}: no option has this variable, it is ignored{hint}")
    return messages


def _is_of_a_service(name: str, text: str) -> bool:
    """Return True if a variable was set for a service, and not by the user."""
    if name in VARIABLES:
        return name.endswith("_PORT") and _SERVICE_VALUE.match(text) is not None
    return _SERVICE_NAME.fullmatch(name) is not None or _SERVICE_VALUE.match(text) is not None


def _read(place: str, kind: Kind, read: Callable[[Any], Any], raw: object) -> _Found:
    try:
        return _Found(place, kind, read(raw))
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from None


def _from_command_line(given: Texts, options: Iterable[Option]) -> _Layer:
    return {
        option.name: _read(
            option.flag, option.kind, option.kind.from_arguments, given[option.parameter]
        )
        for option in options
        if option.parameter in given
    }


def _from_environment(environment: Mapping[str, str], options: Iterable[Option]) -> _Layer:
    """Read the variables that are not empty.

    Line ends at either end are removed: values from files and secrets often have them.
    """
    return {
        option.name: _read(variable, option.kind, option.kind.from_environment, text)
        for option in options
        if (variable := option.variable)
        and (text := environment.get(variable, "").strip("\r\n"))
        and not _is_of_a_service(variable, text)
    }


def _from_file(found: _Layer, read_file: ReadConfig) -> _Layer:
    if CONFIG.name not in found:
        return {}
    path: Path = found[CONFIG.name].value
    return dict(_of_file(read_file(path), path.parent))


def _of_file(document: Node, folder: Path) -> list[tuple[str, _Found]]:
    """Read a file's keys. Raises `SettingsError` that has all mistakes."""

    def read(key: str) -> tuple[str, _Found]:
        node = members[key]
        if key not in FILE_OPTIONS:
            raise document.unknown(key, tuple(sorted(FILE_OPTIONS)))
        option = FILE_OPTIONS[key]
        value = option.kind.placed(option.kind.in_file.read(node), node.place.source, folder)
        return option.name, _Found(node.place, option.kind, value)

    members = document.members("an object")
    if SCHEMA_KEY in members:
        members.pop(SCHEMA_KEY).text("the address of a JSON Schema")
    return read_all(members, read)


def file_problems(document: Node) -> tuple[str, ...]:
    """Return the mistakes in a configuration file's keys and values, one line each.

    Rules are not checked.
    """
    try:
        _of_file(document, Path())
    except SettingsError as error:
        return lines_of(error)
    return ()


def _merged(lower: _Layer, upper: _Layer) -> _Layer:
    merged = lower | upper
    for name in lower.keys() & upper.keys():
        place, kind = upper[name].place, upper[name].kind
        merged[name] = _Found(place, kind, kind.merged(lower[name].value, upper[name].value))
    return merged


def _check_pair(found: _Layer) -> None:
    for one, other in ((CA_CERT, CA_KEY), (CA_KEY, CA_CERT)):
        if one.name in found and other.name not in found:
            raise SettingsError(
                f"{found[one.name].place}: {shown_path(found[one.name].value)} is given without"
                f" {other.flag}; give both or neither"
            )


def _check_pace(given: Texts, found: _Layer) -> None:
    """Raise `SettingsError` if the command line has a pace but there is no fake API.

    A pace in the environment or in a file is ignored then: it may be for other runs.
    """
    has_api = FAKE_UPSTREAM.name in found and found[FAKE_UPSTREAM.name].value
    if FAKE_PACE.parameter in given and not has_api:
        raise SettingsError(
            f"{FAKE_PACE.flag}: it is the pace of the fake API, which answers only with"
            f" {FAKE_UPSTREAM.flag}; give that too, or leave it out"
        )
