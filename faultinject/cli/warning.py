"""Prints warnings on stderr, one line each."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TextIO

import click

_SECONDS = 2.0
"""How long a full pipe may take before the line is given up."""


def warn(message: str) -> None:
    """Print a warning on stderr."""
    write_line(f"faultinject: warning: {message}")


def write_line(line: str) -> None:
    """Print a line on stderr.

    A stderr that nobody reads neither delays the program nor changes its exit code.
    """
    if _takes_a_line():
        try:
            click.echo(line, err=True)
        except OSError:
            forget(sys.stderr)


def forget(stream: TextIO | None) -> None:
    """Drop what could not be written. Python would try again at exit, and complain."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


def _takes_a_line() -> bool:
    try:
        return bool(select.select([], [sys.stderr], [], _SECONDS)[1])
    except (OSError, TypeError, ValueError):  # no stderr, one of a test's, or Windows
        return True
