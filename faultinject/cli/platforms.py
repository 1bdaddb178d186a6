"""The platforms whose trust stores we know, and which of them this is.

Knows nothing of certificates.
"""

from __future__ import annotations

import sys
from pathlib import Path

PLATFORMS = {
    "macos": "macOS",
    "debian": "Debian and Ubuntu",
    "fedora": "Fedora, RHEL and their kin",
    "windows": "Windows",
    "firefox": "Firefox",
}
"""Their titles, by the names that the command line has for them."""

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
