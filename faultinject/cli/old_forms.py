"""Command lines of the older Go program of the same name.

``faultinject --standalone ...`` still runs the proxy, and ``--export-ca`` and ``--install-ca`` do
what they say. Other command lines without a command get an error that shows the new form.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from faultinject.config import PLUGIN_OPTIONS, PROXY_OPTIONS

_STANDALONE = "--standalone"
_PLUGIN = "--plugin"
_NAMES = {option.flag for option in PROXY_OPTIONS}
_ONLY_PLUGINS = {option.flag for option in PLUGIN_OPTIONS} - _NAMES
_ON_ITS_OWN = {"--export-ca", "--install-ca"}
"""Options that do something at once, and run no proxy."""
_UNSHOWN = {"--header", "--error-body"}  # their values may be secrets


def current_form(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in today's form.

    Raises `click.UsageError` for a form that is no longer supported.
    """
    if not arguments or not arguments[0].startswith("-"):
        return list(arguments)
    words = [_two_dashes(word) for word in arguments]
    names = [_name(word) for word in words]
    if _STANDALONE in names:
        return ["proxy", *(word for word in words if _name(word) != _STANDALONE)]
    if _ON_ITS_OWN.intersection(names):
        return ["proxy", *words]
    if names[0] == _PLUGIN or names[0].startswith(_PLUGIN + "-"):
        raise click.UsageError("the plugin is a command of its own now: faultinject plugin")
    if _ONLY_PLUGINS.intersection(names):
        raise click.UsageError(
            f"the plugin is a command of its own now: faultinject plugin {_shown(words)}"
        )
    if names[0] in _NAMES:
        raise click.UsageError(f"the proxy is a command now: faultinject proxy {_shown(words)}")
    return list(arguments)


def _two_dashes(word: str) -> str:
    """Return ``-name`` as ``--name`` (Go's flags take both) if that is an option's name."""
    doubled = "-" + word
    known = _name(doubled) in _NAMES | _ONLY_PLUGINS | {_STANDALONE, _PLUGIN}
    return doubled if known and not word.startswith("--") else word


def _name(word: str) -> str:
    return word.partition("=")[0]


def _shown(words: Sequence[str]) -> str:
    """Return the words quoted for a shell, without what may be secret."""
    shown = []
    for previous, word in zip(("", *words), words, strict=False):
        if _name(word) in _UNSHOWN and "=" in word:
            shown.append(_name(word) + "=...")
        else:
            shown.append("..." if previous in _UNSHOWN else shlex.quote(word))
    return " ".join(shown)
