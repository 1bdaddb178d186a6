"""The command line: one file per command.

A command can be read without the others; `entry` has the list of them. A proxy should listen at
once, so little is imported at the start: rich only for help, Trio and cryptography only by the
commands that need them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # without importing `typing`: a Ctrl-C meanwhile would show a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Ctrl-C never shows a traceback."""
    try:
        from faultinject.cli.entry import run  # in here, because it takes most of a start's time

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


__all__ = ["main"]
