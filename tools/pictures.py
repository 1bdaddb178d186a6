"""Draws docs/images/demo.svg: what `faultinject demo` prints on a terminal, as it ran just now.

    python tools/demo_picture.py

Knows nothing of the demonstration but how it is called, and that its last section is advice.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.svg"
COLUMNS = 84
ADVICE = "What next"

THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34),
        (88, 166, 255), (224, 140, 255), (57, 197, 207), (177, 186, 196),
    ],
)  # fmt: skip

# rich's own frame fetches a font from the network; here the reader's machine has one.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" \
role="img" aria-label="What faultinject demo prints on a terminal">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def demo_output() -> str:
    """Return what the demonstration prints, with its colours. Raises if it failed."""
    command = [sys.executable, "-m", "faultinject", "demo"]
    look = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | look
    shown = subprocess.run(  # noqa: S603 - the command is ours
        command, check=True, capture_output=True, env=environment, encoding="utf-8"
    )
    return shown.stdout


def picture(output: str) -> str:
    """Return the picture of an output, up to its advice."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in Text.from_ansi(output).split("\n"):
        if ADVICE in line.plain:
            break
        console.print(line)
    svg = console.export_svg(
        title="faultinject demo", theme=THEME, code_format=FRAME, unique_id="demo"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(demo_output()), encoding="utf-8")
