"""Calls that are never taken back: ``python -m tests.plugin.hold_calls PORT NUMBER``.

A host in a process of its own, which a test kills.
"""

from __future__ import annotations

import sys
import threading

from tests.plugin.support import host


def main(port: str, number: str) -> None:
    """Make that many calls and wait for ever."""
    with host(int(port)) as calling:
        calls = [calling.start("ProcessTunnelData", id=str(each)) for each in range(int(number))]
        print(len(calls), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
