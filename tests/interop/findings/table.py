"""The tables of what was found of clients, as docs/findings.md has them: written and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "findings.md"
Key = tuple[str, str]
"""A row's name, and a column's."""


def found_words(ids: Iterable[str]) -> str:
    """Return ids of findings as a cell has them."""
    return ", ".join(f"`{each}`" for each in sorted(set(ids))) or "nothing"


def written(corner: str, columns: Sequence[str], cells: Mapping[Key, str]) -> str:
    """Return a table: a row for each name, in the order in which they come."""
    rows = dict.fromkeys(row for row, _ in cells)
    lines = [_line([corner, *columns]), _line(["---"] * (len(columns) + 1))]
    lines += [_line([row, *(cells.get((row, each), "-") for each in columns)]) for row in rows]
    return "\n".join(lines)


def put(name: str, table: str) -> None:
    """Put a table into the page, between the marks with its name."""
    text = PAGE.read_text("utf-8")
    before, after = _around(text, name)
    PAGE.write_text(f"{before}\n{table}\n{after}", "utf-8")


def committed(name: str) -> dict[Key, str]:
    """Return the cells that the page has."""
    text = PAGE.read_text("utf-8")
    before, after = _around(text, name)
    head, _, *lines = text[len(before) : len(text) - len(after)].strip().splitlines()
    _, *columns = _cells(head)
    return {
        (row, column): cell
        for row, *rest in map(_cells, lines)
        for column, cell in zip(columns, rest, strict=True)
    }


def _around(text: str, name: str) -> tuple[str, str]:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    return text[: text.index(begin) + len(begin)], text[text.index(end) :]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip("|").split("|")]
