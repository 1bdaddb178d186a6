"""The summary for a person: tables of targets and rules, with sentences below.

This is the only module that loads rich, which takes a while: import it late.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from faultinject.events import Outcome
from faultinject.report.advice import MAX_HOST_CHARACTERS, RARE, checks, facts, what_is_missing
from faultinject.report.display import brief, percent
from faultinject.report.summary import RuleCounts, Summary, TargetCounts, TextSink

MAX_ROWS = 30
"""The most hosts that are not targets with a row; `--summary` has them all."""
LEAST_TABLE_COLUMNS = 64
"""The least width for the table of targets; in less its numbers or hosts would be cut."""
WITHOUT_TERMINAL = (100, 24)
"""Columns and lines if there is no terminal, as in the log of a CI run."""

_COLUMNS: dict[Outcome, tuple[str, str]] = {
    "injected": ("failed", "magenta"),  # whole answers, or none at all, by a rule
    "harmed": ("harmed", "magenta"),  # the API's answers: streams, delays
    "forwarded": ("passed", "green"),
    "upstream-error": ("upstream\nerrors", "red"),
}


def _number(number: int, style: str = "") -> Text:
    return Text(str(number), style=style if number else "dim")


def _rate(rate: float | None) -> Text:
    return Text("-" if rate is None else percent(rate))


def _name(counts: TargetCounts) -> Text:
    name = Text(brief(counts.target or "-", MAX_HOST_CHARACTERS))
    return name if counts.rate_asked is not None else name.append(" (no target)", style="dim")


def _rows(summary: Summary) -> list[TargetCounts]:
    targets = [counts for counts in summary.targets.values() if counts.rate_asked is not None]
    others = [counts for counts in summary.targets.values() if counts.rate_asked is None]
    others.sort(key=lambda counts: -counts.requests)
    return targets + others[:MAX_ROWS]


def _rare(counts: TargetCounts) -> int:
    return sum(counts.outcomes[outcome] for outcome in RARE)


def _cells(counts: TargetCounts, *, asked: bool) -> list[tuple[str, Text]]:
    """Return a row's numbers with their titles.

    ``asked`` is whether the options are the only rule: then there is a rate that was asked for,
    and no response of the API is harmed.
    """
    outcomes = [
        (title, _number(counts.outcomes[outcome], style))
        for outcome, (title, style) in _COLUMNS.items()
        if not (asked and outcome == "harmed")
    ]
    return [
        ("requests", _number(counts.requests)),
        *([("rate\nasked", _rate(counts.rate_asked))] if asked else []),
        ("rate\nseen", _rate(counts.rate_seen)),
        *outcomes,
    ]


def _empty_table() -> Table:
    # Without edges the table of the default target fits a terminal of 80 columns.
    return Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def _table(rows: list[TargetCounts], *, asked: bool) -> Table:
    """Return the table of targets; ``asked`` as in `_cells`."""
    any_rare = any(map(_rare, rows))
    table = _empty_table()
    table.add_column("target", overflow="fold")
    for title, _ in _cells(rows[0], asked=asked):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    if any_rare:
        table.add_column("other", justify="right", no_wrap=True, vertical="bottom")
    for counts in rows:
        rare = [_number(_rare(counts), "yellow")] if any_rare else []
        table.add_row(_name(counts), *(cell for _, cell in _cells(counts, asked=asked)), *rare)
    return table


def _narrow(rows: list[TargetCounts], *, asked: bool) -> Iterator[Text]:
    """Return the table of targets as lines, for a terminal that is too narrow for it."""
    for counts in rows:
        yield _name(counts)
        cells = _cells(counts, asked=asked)
        if rare := _rare(counts):
            cells.append(("other", Text(str(rare))))
        for title, cell in cells:
            if title == "requests" or cell.plain not in ("0", "-"):
                yield Text("  " + title.replace("\n", " ") + " " + cell.plain)


def _rules_met(summary: Summary) -> list[RuleCounts]:
    """Return the rules, without those of a preset that are for other APIs than what was met.

    Of a preset whose rules met nothing there is the first.
    """
    presets = {} if summary.started is None else summary.started.presets
    groups: dict[tuple[str | None, str], list[RuleCounts]] = {}
    for counts in summary.rules.values():
        preset = presets.get(counts.rule)
        groups.setdefault((preset, "" if preset else counts.rule), []).append(counts)
    met = ([each for each in rules if each.reached] or rules[:1] for rules in groups.values())
    return [counts for rules in met for counts in rules]


def _rule_table(summary: Summary) -> Table | None:
    """Return the table of rules; None if there is only the rule of the options."""
    if set(summary.rules) <= {"options"}:
        return None
    rules = _rules_met(summary)
    table = _empty_table()
    table.add_column("rule", overflow="fold")
    for title in ("reached", "fired", "without\neffect"):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    for counts in rules[:MAX_ROWS]:
        cells = (counts.reached, counts.fired, counts.not_reached)
        table.add_row(Text(brief(counts.rule, MAX_HOST_CHARACTERS)), *map(_number, cells))
    if len(rules) > MAX_ROWS:
        table.add_row(Text(f"and {len(rules) - MAX_ROWS} more", style="dim"))
    return table


def _print(console: Console, summary: Summary) -> None:
    console.print()
    seconds = f"{summary.seconds:.1f} s"
    seed = "" if summary.started is None else f", seed {summary.started.seed}"
    console.print(Text(f"Summary ({seconds}{seed})", style="bold"))
    rows = _rows(summary)
    asked = set(summary.rules) <= {"options"}
    if rows and console.width >= LEAST_TABLE_COLUMNS:
        console.print(_table(rows, asked=asked))
        console.print()
    elif rows:
        for line in _narrow(rows, asked=asked):
            console.print(line, soft_wrap=True)
        console.print()
    if (rules := _rule_table(summary)) is not None:
        console.print(rules)
        console.print()
    for fact in facts(summary):
        console.print(Text(f"- {fact}"), soft_wrap=True)
    if not summary.tested:
        missing = f"{what_is_missing(summary)} What to check:"
        console.print(Text(missing, style="bold yellow"))
        for check in checks(summary):
            console.print(Text(f"- {check}"), soft_wrap=True)


def report(summary: Summary, *, color: bool = False) -> str:
    """Return the whole summary, as wide as the terminal (100 columns if there is none)."""
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        width=shutil.get_terminal_size(WITHOUT_TERMINAL).columns,
    )
    _print(console, summary)
    return out.getvalue().rstrip("\n") + "\n"


def render(summary: Summary, stream: TextSink, *, color: bool = False) -> None:
    """Write the summary for a person: a table, and advice if nothing was tested."""
    stream.write(report(summary, color=color))
