"""A report as Markdown, as for ``$GITHUB_STEP_SUMMARY``, and as GitHub's own lines."""

from __future__ import annotations

from collections.abc import Iterator

from faultinject.report.finding import Finding
from faultinject.report.findings import known_by_id
from faultinject.report.judge import Report
from faultinject.report.words import calls_in_words

MOST_FINDINGS = 50
"""So many findings are listed; a summary on GitHub has a bound."""
_MARKS = {"error": "❌", "warning": "⚠️", "note": "📝"}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\`*_{}[]<>#|~!&"})


def markdown_report(report: Report) -> str:
    """Return the report as Markdown text."""
    return "\n".join(_lines(report)) + "\n"


def github_lines(report: Report) -> str:
    """Return a command for each finding that GitHub shows beside the run (``::error::…``)."""
    return "".join(
        f"::{_COMMANDS[each.severity]} title=faultinject%3A {each.id}::"
        f"{_in_command(_evidence(each))}\n"
        for each in report.findings[:MOST_FINDINGS]
    )


def _lines(report: Report) -> Iterator[str]:
    yield "## What the program did when its API failed"
    yield ""
    yield _plain(calls_in_words(report.totals)) + "."
    yield ""
    if not report.findings:
        yield "Nothing was found."
    else:
        yield "| | finding | evidence | what a good client does |"
        yield "|---|---|---|---|"
        yield from map(_row, report.findings[:MOST_FINDINGS])
    if (more := len(report.findings) - MOST_FINDINGS) > 0:
        yield ""
        yield f"And {more} more."
    unjudged = [each for each in report.verdicts if each.word == "no verdict"]
    if unjudged:
        yield ""
        yield f"<details><summary>No verdict on {len(unjudged)} findings</summary>"
        yield ""
        for verdict in unjudged:
            yield f"- `{verdict.known.id}`: {_plain(verdict.why_not)}"
        yield ""
        yield "</details>"


def _row(finding: Finding) -> str:
    known = known_by_id(finding.id)
    timeline = f"<br>{_plain(finding.timeline)}" if finding.timeline else ""
    return (
        f"| {_MARKS[finding.severity]} {finding.severity} | `{finding.id}`<br>{known.title} |"
        f" {_plain(_evidence(finding))}{timeline} | {known.advice} |"
    )


def _evidence(finding: Finding) -> str:
    call = f"call {finding.calls[0]}: " if finding.calls else ""
    return call + finding.evidence


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return text.translate(_SPECIAL)


def _in_command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
