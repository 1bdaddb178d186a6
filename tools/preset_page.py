"""Writes the table and the sections of docs/presets.md from the presets themselves.

    python tools/preset_page.py

A test holds the page against what this makes.
"""

from __future__ import annotations

import re
from pathlib import Path

from faultinject.config.presets import NAMES, Preset, preset_named
from faultinject.plugin.interface import CAPABILITIES

PAGE = Path(__file__).parents[1] / "docs" / "presets.md"
START = "<!-- presets: start (made by tools/preset_page.py) -->"
END = "<!-- presets: end -->"
_HEAD = """\
| preset | what the client sees | what a client should do | behind Fault |
|---|---|---|---|
"""


def made() -> str:
    """Return the table of all presets, and a section for each, as Markdown."""
    presets = [preset_named(name) for name in NAMES]
    return _HEAD + "".join(map(_row, presets)) + "\n" + "\n".join(map(_section, presets))


def page_with(text: str, made: str) -> str:
    """Return the page with what stands between its marks replaced."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n\n{made}\n{END}{rest.partition(END)[2]}"


def _row(preset: Preset) -> str:
    cells = (f"[`{preset.name}`](#{preset.name})", _cell(preset.sees), _cell(preset.expect))
    return f"| {' | '.join(cells)} | {'no' if refused(preset) else 'yes'} |\n"


def refused(preset: Preset) -> bool:
    """Return True if the plugin cannot do what a preset asks for."""
    return any(rule.abilities & CAPABILITIES["duplex"].lacks.keys() for rule in preset.rules)


def _cell(text: str) -> str:
    return re.sub(r"([|*])", r"\\\1", text)


def _section(preset: Preset) -> str:
    evidence = "".join(f"- {_cell(each)}\n" for each in preset.evidence)
    note = "" if preset.note is None else f"{_cell(preset.note)}\n\n"
    return f"### {preset.name}\n\n{note}{evidence}\n```yaml\n{preset.text}```\n"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), made()), encoding="utf-8")
