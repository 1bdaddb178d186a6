"""The table of what each agent did, as docs/agents.md has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.agents.running import PATIENCE_SECONDS, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
BEGIN, END = "<!-- the table: begin -->", "<!-- the table: end -->"


def cell(outcome: Outcome) -> str:
    """Say what an agent did."""
    if not outcome.reached:
        return "no model call came"
    calls = len(outcome.calls)
    requests = f"{calls} request{'' if calls == 1 else 's'}, {outcome.harmed} of them harmed"
    return f"{_end(outcome)}; {requests}; {outcome.seconds:.0f} s"


def _end(outcome: Outcome) -> str:
    if outcome.exit_code is None:
        return f"**still trying** after {PATIENCE_SECONDS:.0f} s"
    if outcome.answered:
        return "**succeeds**"
    return f"**fails** (exit {outcome.exit_code})"


Key = tuple[str, str]
"""A preset and a way in."""


def write(versions: Mapping[str, str], cells: Mapping[str, Mapping[Key, str]]) -> None:
    """Write the table into the page: a row an agent, preset and way in."""
    rows = [
        f"| {agent} {versions[agent]} | {preset} | {way} | {words} |"
        for agent, found in cells.items()
        for (preset, way), words in found.items()
    ]
    PAGE.write_text(_with_table(PAGE.read_text("utf-8"), rows), "utf-8")


def _with_table(page: str, rows: Iterable[str]) -> str:
    head = ("| agent | preset | way in | what it did |", "| --- | --- | --- | --- |")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return before + "\n".join([BEGIN, *head, *rows, END]) + after
