"""Changes of an environment as shells and .env files have them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

_PLAIN = re.compile(r"[\w@%+=:,./-]*", re.ASCII)


def _sh(name: str, value: str | None) -> str:
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str | None) -> str:
    if value is None:
        return f"set -e {name}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    quoted = value.replace("'", "''")
    return f"$env:{name} = '{quoted}'"


def _dotenv(name: str, value: str | None) -> str:
    """Return the line of a .env file, which cannot unset anything: empty has to do.

    Without quotes where none are needed, since ``docker run --env-file`` takes them for a part of
    the value. Readers differ in how a single quote within is written; double quotes are read by
    all that read quotes.
    """
    text = value or ""
    if _PLAIN.fullmatch(text):
        return f"{name}={text}"
    if "'" not in text:
        return f"{name}='{text}'"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{quoted}"'


SHELLS: Mapping[str, Callable[[str, str | None], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
}
"""What writes a change, by the name of what reads it. ``sh`` is for bash and zsh too."""


def shown_in(shell: str, changes: Mapping[str, str | None]) -> str:
    """Return the lines that make the changes; None unsets a variable."""
    write = SHELLS[shell]
    return "".join(write(name, value) + "\n" for name, value in changes.items())
