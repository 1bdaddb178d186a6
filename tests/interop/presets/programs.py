"""The programs that ask by each SDK, or why one cannot be had here.

The majors that cannot stand beside the newest live in a virtual environment of their own, which is
made once and kept in pytest's cache.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.node_caller import require_node
from tests.interop.presets.running import ASKING, Program

OLD = ("anthropic>=0.125,<1", "openai>=2.54,<3")
NODE_PACKAGES = {"node-anthropic": "@anthropic-ai/sdk", "node-openai": "openai"}
UV = (sys.executable, "-m", "uv")
INSTALL_SECONDS = 240.0


def programs(folder: Path) -> tuple[list[Program], dict[str, str]]:
    """Return the programs, and for each SDK that cannot be tried the reason."""
    found = [_python("py-anthropic-2", sys.executable), _python("py-openai-3", sys.executable)]
    reasons: dict[str, str] = {}
    try:
        old = _old_python(folder)
    except (OSError, subprocess.SubprocessError) as error:
        why = f"no virtual environment with {' and '.join(OLD)} can be made: {error}"
        reasons |= {"py-anthropic-0": why, "py-openai-2": why}
    else:
        found += [_python("py-anthropic-0", old), _python("py-openai-2", old)]
    try:
        require_node()
    except pytest.skip.Exception as skipped:
        reasons |= dict.fromkeys(NODE_PACKAGES, str(skipped))
    else:
        found += [
            Program(sdk, ("node", "asking.mjs", package)) for sdk, package in NODE_PACKAGES.items()
        ]
    return found, reasons


def _python(sdk: str, python: str) -> Program:
    return Program(sdk, (python, str(ASKING), sdk.split("-")[1]))


def _old_python(folder: Path) -> str:
    """Return the interpreter with the older majors, made anew unless it was finished before."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    finished = folder / "finished"
    if not finished.exists():
        for command in (
            [*UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [*UV, "pip", "install", "--quiet", "--python", str(python), *OLD],
        ):
            subprocess.run(command, check=True, timeout=INSTALL_SECONDS)
        finished.write_text("\n".join(OLD), "utf-8")
    return str(python)
