"""The command line: one file per command.

A command can be read without the others; `entry` has the list of them. A proxy should listen at
once, so little is imported at the start: rich only for help, Trio and cryptography only by the
commands that need them.
"""

from __future__ import annotations

import gc

TYPE_CHECKING = False  # without importing `typing`: a Ctrl-C meanwhile would show a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Ctrl-C never shows a traceback.

    While modules are loaded, no garbage is searched for: it would take a sixth of a start.
    `collect_again` and `settle` in `faultinject.cli.commands` end that.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        from faultinject.cli.entry import run  # in here, because it takes most of a start's time

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        (gc.enable if was_collecting else gc.disable)()


__all__ = ["main"]
