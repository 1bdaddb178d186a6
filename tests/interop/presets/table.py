"""The table of what an application sees of each preset, with each SDK: written and read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.interop.presets.cases import MODES, SDKS, SHOWINGS, Showing
from tests.interop.presets.running import Result

PAGE = Path(__file__).parents[3] / "docs" / "presets-sdks.md"
BEGIN, END = "<!-- the table: begin -->", "<!-- the table: end -->"
NONE = "-"
SHORT_TEXT = 24
AnyShowing = TypeVar("AnyShowing", bound=Showing)
Key = tuple[str, str, str]
"""A preset, a mode and an SDK."""


def cell(result: Result) -> str:
    """Return in words what an application sees."""
    if result.showing.by_chance:
        return _by_chance(result)
    words = [_end(result), *_before(result)]
    if len(result.attempts) > 1:
        words.append(f"{len(result.attempts)} attempts")
    return ", ".join(words)


def _by_chance(result: Result) -> str:
    if result.showing.preset == "bad-day":
        return "any of the above"
    calls = result.outcomes[:-1]
    return f"{sum(ends_well(call) for call in calls)} of {len(calls)} calls succeed"


def ends_well(outcome: dict[str, object]) -> bool:
    """Return True if a call gave a whole answer."""
    return outcome["stop"] in ("end_turn", "stop") and "error" not in outcome


def _end(result: Result) -> str:
    seen = result.shown
    if seen["hangs"]:
        return "waits on" if not seen["text"] else "no end"
    if "error" in seen:
        extra = (f"`{seen[key]}`" for key in ("status", "type") if seen[key])
        return " ".join([f"`{seen['error']}`", *extra])
    if "returned" in seen:
        return f"returns `{seen['returned']}`, no error"
    if ends_well(seen):
        return "success"
    return f"success, stop reason `{seen['stop']}`"


def _before(result: Result) -> Iterable[str]:
    seen = result.shown
    if seen["text"] and not ends_well(seen):
        text = seen["text"]
        yield f"text “{text}”" if len(text) < SHORT_TEXT else "the whole text"
    if seen["arguments"]:
        yield f"arguments `{seen['arguments']}`"


def key(result: Result) -> Key:
    """Return where a result stands in the table."""
    return result.showing.preset, result.mode, result.sdk


def written(results: Iterable[Result]) -> str:
    """Return the lines of the table."""
    cells = {key(result): cell(result) for result in results}
    heads = ["preset", "call", *SDKS.values()]
    lines = [line(heads), line(["---"] * len(heads))]
    for showing in in_order(SHOWINGS):
        for mode in showing.modes:
            row = [cells.get((showing.preset, mode, sdk), NONE) for sdk in SDKS]
            lines.append(line([f"`{showing.preset}`", MODES[mode], *row]))
    return "\n".join(lines)


def in_order(showings: Sequence[AnyShowing]) -> list[AnyShowing]:
    """Return the showings as the presets are listed."""
    from faultinject.config.presets import NAMES

    return sorted(showings, key=lambda showing: NAMES.index(showing.preset))


def write(results: Iterable[Result]) -> None:
    """Put the table into the page."""
    put(BEGIN, written(results), END)


def put(begin: str, lines: str, end: str) -> None:
    """Put something between two marks of the page."""
    text = PAGE.read_text("utf-8")
    head, tail = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    PAGE.write_text(f"{head}\n{lines}\n{tail}", "utf-8")


def taken(begin: str, end: str) -> str:
    """Return what is between two marks of the page."""
    text = PAGE.read_text("utf-8")
    return text[text.index(begin) : text.index(end)]


def committed() -> dict[Key, str]:
    """Return the cells that the page has."""
    lines = taken(BEGIN, END).splitlines()[3:]
    modes = {words: mode for mode, words in MODES.items()}
    cells: dict[Key, str] = {}
    for line in lines:
        preset, mode, *row = (word.strip() for word in line.strip("|").split("|"))
        for sdk, word in zip(SDKS, row, strict=True):
            cells[preset.strip("`"), modes[mode], sdk] = word
    return cells


def line(words: Iterable[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(words) + " |"
