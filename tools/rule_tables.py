"""Writes what each key of a rule is into the tables of docs/rules.md, from what editors are told.

    python tools/rule_tables.py

A test holds the page against what this makes. The other columns are written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from faultinject.config.rules import (
    break_key,
    delay_key,
    fault_key,
    match_key,
    respond_key,
    rule_list,
    stream_key,
    when_key,
)

PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
TABLES: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "| key | says | without it |": (2, rule_list.ABOUT),
    "| key | value | looks at |": (3, match_key.ABOUT),
    "| key | the rule fires | example |": (2, when_key.ABOUT),
    "| key | happens |": (2, fault_key.ABOUT),
    "| key | what it is | value | without it |": (2, respond_key.ABOUT),
    "| key | lasts |": (2, delay_key.ABOUT),
    "| key | what it is | value |": (2, break_key.ABOUT),
    "| key | value | happens |": (3, stream_key.ABOUT),
}
"""By a table's head: which of its columns says what a key is, from 1, and the words of each key."""
ELSEWHERE = {
    "| key | happens |": {"weight"},
    "| key | value | happens |": {"after", "before", "at"},
}
"""Keys that have a place of their own on the page."""
_KEY = re.compile(r"\| [^`|]*`(\w+)[^|]*\|")


def keys_of(text: str, head: str) -> list[str]:
    """Return the keys of a table, in its order."""
    rows = text.partition(f"\n{head}\n")[2].partition("\n\n")[0].splitlines()
    return [found[1] for row in rows if (found := _KEY.match(row))]


def page_of(text: str) -> str:
    """Return the page with the words of each key in its place."""
    return "\n".join(_lines(text.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    column, about = 0, dict[str, str]()
    for line in lines:
        if not line.startswith("|"):
            about = {}
        elif line in TABLES:
            column, about = TABLES[line][0], dict(TABLES[line][1])
        found = _KEY.match(line)
        yield _row(line, column, about[found[1]]) if found and found[1] in about else line


def _row(line: str, column: int, words: str) -> str:
    cells = re.split(r"(?<!\\)\|", line)
    cells[column] = f" {_cell(words)} "
    return "|".join(cells)


def _cell(words: str) -> str:
    """Return a sentence as a part of one."""
    start = words[0].lower() if words[1:2].islower() or words[1:2] == " " else words[0]
    return start + words[1:].removesuffix(".")


if __name__ == "__main__":
    PAGE.write_text(page_of(PAGE.read_text("utf-8")), "utf-8")
