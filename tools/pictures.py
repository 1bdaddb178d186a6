"""Draws docs/images/demo.svg, judged.svg and run.svg: what commands print, as they ran just now.

Run it with ``python tools/pictures.py``.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import IO, cast

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

FOLDER = Path(__file__).parents[1] / "docs" / "images"
COLUMNS = 84
RUN_COLUMNS = 158
ADVICE = "What next"
RUN = "faultinject proxy --fake-upstream --preset overload-storm --preset stream-truncated"
"""What is drawn in run.svg: it fails each call's first two attempts, and cuts off streams."""
JUDGED = (
    "faultinject run --fake-upstream --preset rate-limited@first=3"
    " -- python3 docs/examples/impatient.py"
)
"""What is drawn in judged.svg: a program that tries again at once, three times too early."""
BASE_URL = re.compile(r"ANTHROPIC_BASE_URL=(\S+)")
"""The last thing that the proxy says of itself before it tells what arrives."""
FOUND = 3
"""The exit code of a run with findings."""
PAUSE_SECONDS = 0.5
"""What the SDKs wait before they try again."""

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
role="img" aria-label="What faultinject prints on a terminal">
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
    """Return what the demonstration prints up to its advice, with its colours.

    Raises if it failed.
    """
    shown = subprocess.run(  # noqa: S603 - the command is ours
        _command("faultinject demo"), check=True, capture_output=True, env=_environment(COLUMNS),
        encoding="utf-8",
    )  # fmt: skip
    return "".join(takewhile(lambda line: ADVICE not in line, shown.stdout.splitlines(True)))


def judged_output() -> str:
    """Return what a run of a command prints: the command's own words, then what is found of it."""
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(  # noqa: S603 - the command is ours
            _command(JUDGED), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            check=False, cwd=FOLDER.parents[1],
            env=_environment(COLUMNS) | {"FAULTINJECT_DATA_DIR": folder},
        )  # fmt: skip
    if shown.returncode != FOUND:
        raise ValueError(shown.stdout)
    return f"$ {JUDGED}\n{shown.stdout}"


def run_output() -> str:
    """Return what the proxy prints while a program makes two calls, and then at Ctrl-C."""
    command = [*_command(RUN), "--proxy-port", "0", "--seed", "1"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(  # noqa: S603 - the command is ours
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            env=_environment(RUN_COLUMNS) | {"FAULTINJECT_DATA_DIR": folder},
        ) as proxy,
        ExitStack() as stack,
    ):  # fmt: skip
        stack.callback(proxy.kill)  # or a failure here would wait for a proxy that nobody stops
        lines = cast("IO[str]", proxy.stdout)
        first = next(lines)
        _call(next(filter(None, map(BASE_URL.search, lines)))[1])
        proxy.send_signal(signal.SIGINT)
        rest = lines.read()
    return f"$ {RUN}\n{first}{rest}"


def _call(url: str) -> None:
    """Ask as a program does that tries each call three times, the second time for a stream."""
    for stream in (False, True):
        body = json.dumps({"model": "claude", "max_tokens": 99, "stream": stream}).encode()
        for _ in range(3):
            try:
                with urllib.request.urlopen(  # noqa: S310
                    f"{url}/v1/messages", body, timeout=30
                ) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                error.close()
                time.sleep(PAUSE_SECONDS)


def _command(line: str) -> list[str]:
    return [sys.executable, "-m", *line.split()]


def _environment(columns: int) -> dict[str, str]:
    look = {"FORCE_COLOR": "1", "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"}
    return {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | look


def picture(output: str, title: str, columns: int) -> str:
    """Return the picture of an output."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for line in Text.from_ansi(output).split("\n"):
        console.print(line)
    name = title.split()[-1]
    svg = console.export_svg(title=title, theme=THEME, code_format=FRAME, unique_id=name)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, title, output, columns in (
        ("demo", "faultinject demo", demo_output(), COLUMNS),
        ("judged", "faultinject run", judged_output(), COLUMNS),
        ("run", "faultinject proxy", run_output(), RUN_COLUMNS),
    ):
        (FOLDER / f"{name}.svg").write_text(picture(output, title, columns), encoding="utf-8")
