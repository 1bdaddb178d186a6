"""The exact bytes that each preset sends for each API, as text files to be read and compared.

``python -m tests.unit.config.presets.golden`` writes them anew;
look at what changed before it is committed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from faultinject.cli.presets import sections
from faultinject.config.presets import NAMES, preset_named
from faultinject.providers.known import PROVIDERS

FOLDER = Path(__file__).parent / "golden"
NOTHING = "the preset is not for this API: its requests pass\n"


@cache
def files() -> dict[str, str]:
    """Return the golden files: their names and what must be in them."""
    return {
        f"{name}.{provider.name}.txt": "".join(sections(preset_named(name), provider)) or NOTHING
        for name in NAMES
        for provider in PROVIDERS
    }


def main() -> None:
    """Write the files, and remove those that are no more."""
    made = files()
    for path in FOLDER.glob("*.txt"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
