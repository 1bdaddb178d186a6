"""Installs an agent into a folder that later runs use again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.agents.known import Agent

INSTALLED_SECONDS = 900.0


class NotInstalledError(Exception):
    """An agent cannot be installed here; the message says why."""


def executable(agent: Agent, cache: Path) -> Path:
    """Return an agent's executable, installed if it was not. Raises `NotInstalledError`."""
    folder = cache / agent.executable
    found = _where(agent, folder)
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _install(agent, folder)
    if not found.exists():
        raise NotInstalledError(f"{agent.package} has no {agent.executable}")
    return found


def _where(agent: Agent, folder: Path) -> Path:
    if agent.registry == "npm":
        return folder / "node_modules" / ".bin" / agent.executable
    return folder / "bin" / agent.executable


def _install(agent: Agent, folder: Path) -> None:
    if agent.registry == "PyPI":
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(folder / "bin" / "pip"), "install", "--quiet", agent.package)
        return
    if shutil.which("npm") is None:
        raise NotInstalledError("npm is not installed")
    _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), agent.package)
    if agent.setup is not None:
        package = folder / "node_modules" / agent.package
        _run("node", str(package / agent.setup), folder=package)


def _run(*command: str, folder: Path | None = None) -> None:
    try:
        subprocess.run(
            command, check=True, cwd=folder, timeout=INSTALLED_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        output = getattr(error, "output", None) or b""
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        raise NotInstalledError(" ".join([f"{command[0]} failed: {error}", *last])) from error
