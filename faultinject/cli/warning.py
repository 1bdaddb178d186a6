"""Warnings: one line on stderr, and the run goes on.

Knows nothing of what is warned of.
"""

from __future__ import annotations

import click


def warn(message: str) -> None:
    """Show a warning to whoever started the program."""
    click.echo(f"faultinject: warning: {message}", err=True)
