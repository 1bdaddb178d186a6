"""A report as lines for a person, in a terminal or a log."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from faultinject.report.display import times
from faultinject.report.finding import Finding
from faultinject.report.judge import Report, Verdict
from faultinject.report.words import calls_in_words

SHOWN = 3
"""So many findings of an id are shown; of more only how many there are."""
COLUMNS = 100
"""How wide the lines are where there is no terminal."""
LEAST_COLUMNS = 50
"""As narrow as they get."""
_COLORS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m"}
_BOLD, _DIM, _RED, _GREEN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"
_INDENT = " " * 9
_BETWEEN = " · "
_HARD_SPACE = "\N{NO-BREAK SPACE}"
_NUMBER = re.compile(r"(?<=\d) (?=[a-z])")
"""Between a number and its word no line ends."""


def text_report(report: Report, *, color: bool = False, columns: int = COLUMNS) -> str:
    """Return the report as text: the calls, then what was found, the worst first.

    No line is wider than ``columns``, but for words that are.
    """
    columns = max(columns, LEAST_COLUMNS)
    return "".join(f"{line}\n" for line in _lines(report, columns, color=color))


def _lines(report: Report, columns: int, *, color: bool) -> Iterator[str]:
    title = "What the program did:"
    calls = calls_in_words(report.totals, report.facts.unseen)
    first, *more = _wrapped(f"{title} {calls}.", columns, "", "  ")
    yield _styled(title, _BOLD, color=color) + first.removeprefix(title)
    yield from more
    for verdict, findings in report.worst_first(SHOWN):
        yield ""
        yield from _verdict_lines(verdict, findings, columns, color=color)
    words = [each.word for each in report.verdicts]
    if found := words.count("found"):
        yield ""
    end = end_line(found, words.count("passed"), words.count("no verdict"))
    yield from _wrapped(end, columns, "", "  ")
    for line in report.not_judged:
        yield from _wrapped(line, columns, "", "  ")


def end_line(found: int, passed: int, unjudged: int) -> str:
    """Return how many checks found something, found nothing, and could not tell."""
    if not found:
        return f"Nothing found: {times(passed, 'check')} passed, {unjudged} without a verdict."
    checks = f"{times(found, 'check')} found something"
    return f"{checks}, {passed} passed, {unjudged} without a verdict."


def _verdict_lines(
    verdict: Verdict, findings: list[Finding], columns: int, *, color: bool
) -> Iterator[str]:
    known, severity = verdict.known, findings[0].severity
    head = f"{severity:<8} {known.id}"
    first, *more = _wrapped(f"{head}: the program {known.title}", columns, "", _INDENT)
    name = _styled(f"{severity:<8}", _COLORS[severity], color=color)
    yield f"{name} {_styled(known.id, _BOLD, color=color)}{first.removeprefix(head)}"
    yield from more
    for each in findings:
        yield from _wrapped(each.in_words, columns, _INDENT, _INDENT)
        yield from _timeline(each.timeline, columns, color=color)
    if (rest := verdict.found - len(findings)) > 0:
        yield f"{_INDENT}and {rest} more"
    advice = _wrapped(f"{known.advice} (docs/{known.anchor})", columns, _INDENT, _INDENT)
    yield from (_styled(line, _DIM, color=color) for line in advice)


def _timeline(line: str, columns: int, *, color: bool) -> Iterator[str]:
    """Return a timeline in lines that end between its pieces."""
    pieces = [each.replace(" ", _HARD_SPACE) for each in line.split(_BETWEEN)]
    indent = f"{_INDENT}  "
    for each in _wrapped(f"{_HARD_SPACE}· ".join(pieces), columns, indent, f"{indent}  "):
        yield _BETWEEN.join(_piece(piece, color=color) for piece in each.split(_BETWEEN))


def _piece(text: str, *, color: bool) -> str:
    """Return an attempt of a timeline in the colour of its result; a gap is dim."""
    words = text.strip(" ▶·")
    if words.endswith((" s", " min")) or words.startswith("…"):
        return _styled(text, _DIM, color=color)
    return _styled(text, _GREEN if words.isdigit() and words < "400" else _RED, color=color)


def _styled(text: str, style: str, *, color: bool) -> str:
    """Return text with a style, which begins where the text does."""
    bare = text.lstrip()
    return f"{text[: len(text) - len(bare)]}{style}{bare}{_PLAIN}" if color and bare else text


def _wrapped(text: str, columns: int, indent: str, further: str) -> list[str]:
    lines = textwrap.wrap(
        _NUMBER.sub(_HARD_SPACE, text), columns, initial_indent=indent, subsequent_indent=further,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace(_HARD_SPACE, " ") for line in lines]
