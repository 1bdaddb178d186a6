"""Writes the tables of docs/options.md from the options' own table.

    python tools/option_table.py

A test holds the page against what this makes.
"""

from __future__ import annotations

from pathlib import Path

from faultinject.config import ALL_OPTIONS, Option

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
START = "<!-- tables: start (made by tools/option_table.py) -->"
END = "<!-- tables: end -->"
_HEAD = """\
| option | default | what it does | variable, and key in a file |
|---|---|---|---|
"""


def tables() -> str:
    """Return a heading and a table for each group of options, as Markdown."""
    groups: dict[str, list[Option]] = {}
    for option in ALL_OPTIONS:
        groups.setdefault(option.group, []).append(option)
    return "\n".join(
        f"### {group}\n\n{_HEAD}" + "".join(map(_row, options)) for group, options in groups.items()
    )


def page_with(text: str, made: str) -> str:
    """Return the page with what stands between its marks replaced."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n\n{made}\n{END}{rest.partition(END)[2]}"


def _row(option: Option) -> str:
    default = "" if option.default is None else f"`{option.default}`"
    return f"| {_shown(option)} | {default} | {_meaning(option)} | {_elsewhere(option)} |\n"


def _shown(option: Option) -> str:
    kind = option.kind
    value = "" if kind.is_flag or kind.choices else f" {kind.metavar}"
    short = f"`-{option.letter}`, " if option.letter else ""
    return f"{short}`{option.flag}{value}`"


def _meaning(option: Option) -> str:
    words = option.help.replace("*", r"\*")
    if option.kind.choices:
        words += " One of " + ", ".join(f"`{word}`" for word in option.kind.choices) + "."
    if option.kind.repeatable:
        words += " May be repeated."
    return words


def _elsewhere(option: Option) -> str:
    if option.variable is None:
        return "command line only"
    return f"`{option.variable}`" + (f" `{option.key}`" if option.in_file else "")


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), tables()), encoding="utf-8")
