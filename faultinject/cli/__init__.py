"""The command line: one file a command.

Every command can be read without the others; `root` names them all. What is imported at the start
of a run is kept small, for a proxy should listen at once: rich only for help, Trio and
cryptography only by the command that needs them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # a Ctrl-C while even `typing` is loaded would be a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. A Ctrl-C is no traceback, whenever it comes."""
    try:
        from faultinject.cli.entry import run  # within: most of a start's time is imports

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


__all__ = ["main"]
