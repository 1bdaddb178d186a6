"""The command line: one file a command.

Every command can be read without the others; `root` names them all. What is imported at the start
of a run is kept small, for a proxy should listen at once: rich only for help, Trio and
cryptography only by the command that needs them.
"""

from __future__ import annotations

from faultinject.cli.entry import main

__all__ = ["main"]
