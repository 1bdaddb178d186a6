"""What a program notices of faultinject in it: nothing that it did not ask for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks at what Windows has not")

PROGRAM = Path(__file__).with_name("guest.py")


def changed_by(*arguments: str) -> list[str]:
    """Return what changed in a process of its own.

    Check that much was compared, and that what it then changes on purpose is seen.
    """
    command = [sys.executable, "-X", "utf8", str(PROGRAM), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    *lines, last = ran.stdout.splitlines()
    facts, _, modules, _ = last.split()
    assert int(facts) > 10_000
    assert int(modules) > 150
    changes = [line.split(": ")[:2] for line in lines]
    planted = [what for when, what in changes if when == "planting"]
    assert planted == ["collector", "h11._readers.header_field_re", "signals"]
    return [what for when, what in changes if when != "planting"]


def test_importing_and_serving_changes_nothing() -> None:
    """No library is patched, no handler, hook, limit or variable is set.

    Nor is trio-asyncio loaded, which changes asyncio: `serve_plugin` does that when it is called.
    """
    assert changed_by() == []


def test_the_plugin_changes_nothing_but_what_trio_asyncio_does() -> None:
    """But for the function of asyncio that grpclib has to find, if it was loaded before."""
    pytest.importorskip("trio_asyncio", exc_type=Exception)
    changed = "grpclib.utils._current_task"
    assert changed_by("plugin") == [changed, f"{changed}'s code"]
