"""Makes this system trust the certificate authority, with the system's own commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

PLATFORMS = {
    "macos": "macOS",
    "debian": "Debian and Ubuntu",
    "fedora": "Fedora, RHEL and the like",
    "windows": "Windows",
    "firefox": "Firefox",
}
"""The titles of the platforms, by their names on the command line."""

_OS_RELEASE = Path("/etc/os-release")


def this_platform(system: str = sys.platform, os_release: Path = _OS_RELEASE) -> str:
    """Return the name of the platform that this runs on; an unknown Linux counts as Debian."""
    if system == "darwin":
        return "macos"
    if system == "win32":
        return "windows"
    return "fedora" if _families(os_release) & {"fedora", "rhel", "centos"} else "debian"


def _families(os_release: Path) -> set[str]:
    """Return ID and ID_LIKE of os-release(5)."""
    try:
        lines = os_release.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    words = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}"
    return set(words.replace('"', "").replace("'", "").lower().split())


Command = tuple[str, ...]
Run = Callable[[Sequence[str]], int]

ANCHOR_NAME = "faultinject.crt"  # Debian takes only *.crt
_TIMEOUT_SECONDS = 120.0  # macOS asks for a password meanwhile


def trust_commands(platform: str, certificate: Path) -> tuple[Command, ...]:
    """Return the commands that make a platform trust a certificate.

    On macOS and Windows they use the user's own store; on Debian and Fedora the system's store,
    which needs root.
    """
    file = str(certificate)
    if platform == "macos":
        keychain = str(Path.home() / "Library/Keychains/login.keychain-db")
        return (("security", "add-trusted-cert", "-r", "trustRoot", "-k", keychain, file),)
    if platform == "windows":
        return (("certutil", "-user", "-addstore", "Root", file),)
    if platform == "fedora":
        return (("trust", "anchor", "--store", file),)
    anchor = f"/usr/local/share/ca-certificates/{ANCHOR_NAME}"
    return (("install", "-m", "0644", file, anchor), ("update-ca-certificates",))


def shown(platform: str, commands: Sequence[Command]) -> str:
    """Return commands as the user would type them, with ``sudo`` if they need it."""
    if platform == "windows":
        return " && ".join(subprocess.list2cmdline(command) for command in commands)
    rights = "sudo " if needs_root(platform) else ""
    return " && ".join(rights + shlex.join(command) for command in commands)


def needs_root(platform: str) -> bool:
    """Return True if the platform's store is the system's."""
    return platform in ("debian", "fedora")


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _run(command: Sequence[str]) -> int:
    # The command is ours, its only variable part is the certificate's path, and no shell reads it.
    return subprocess.run(command, check=False, timeout=_TIMEOUT_SECONDS).returncode  # noqa: S603


def install_certificate(
    certificate: Path,
    platform: str | None = None,
    *,
    run: Run = _run,
    has_rights: Callable[[], bool] = _is_root,
) -> int:
    """Install the certificate. Return exit code 0, or print what to run instead and return 1."""
    platform = this_platform() if platform is None else platform
    commands = trust_commands(platform, certificate)
    if reason := _obstacle(platform, commands, has_rights):
        return _leave_to_user(platform, commands, reason)
    for command in commands:
        click.echo(f"running: {shown('', [command])}", err=True)
        if reason := _failure(command, run):
            return _leave_to_user(platform, commands, reason)
    click.echo(f"{PLATFORMS[platform]} trusts {certificate} now", err=True)
    click.echo("how to verify and to remove it: faultinject ca instructions", err=True)
    return 0


def _obstacle(
    platform: str, commands: Sequence[Command], has_rights: Callable[[], bool]
) -> str | None:
    missing = [command[0] for command in commands if shutil.which(command[0]) is None]
    if missing:
        return f"there is no {missing[0]} here"
    if needs_root(platform) and not has_rights():
        return "this needs the rights of root"
    return None


def _failure(command: Command, run: Run) -> str | None:
    try:
        code = run(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]} did not run: {error}"
    return f"{command[0]} ended with code {code}" if code else None


def _leave_to_user(platform: str, commands: Sequence[Command], reason: str) -> int:
    click.echo(f"faultinject: not installed: {reason}; run it yourself:", err=True)
    click.echo(f"  {shown(platform, commands)}", err=True)
    return 1
