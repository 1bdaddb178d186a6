"""The programs on docs/library.md, and what they print.

As a program it writes them into a folder, for mypy:
``python -m tests.behaviour.library.examples FOLDER``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "library.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)

_FILE = re.compile(r"as this `([^`]+)`:\n\n```yaml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Return each program with its output. Raises `ValueError` if one has no output."""
    blocks = [block for block in _BLOCK.findall(PAGE.read_text("utf-8")) if block[0] != "yaml"]
    pairs = list(zip(blocks[::2], blocks[1::2], strict=True))
    if any((one[0], other[0]) != ("python", "text") for one, other in pairs):
        raise ValueError("a program is not followed by what it prints")
    return [(program, output) for (_, program), (_, output) in pairs]


def files() -> dict[str, str]:
    """Return the files that the programs read, by name."""
    return dict(_FILE.findall(PAGE.read_text("utf-8")))


def write(folder: Path) -> None:
    """Write the programs, each as a module."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (program, _) in enumerate(examples(), 1):
        (folder / f"example_{number}.py").write_text(program, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
