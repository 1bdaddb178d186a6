"""A report as Markdown, as for ``$GITHUB_STEP_SUMMARY``, and as GitHub's own lines."""

from __future__ import annotations

from collections.abc import Iterator

from faultinject.report.finding import Finding
from faultinject.report.judge import Report, Verdict
from faultinject.report.run_facts import run_in_words
from faultinject.report.words import calls_in_words

SHOWN = 5
"""So many findings of an id are listed; a summary on GitHub has a bound."""
ANNOTATIONS = 10
"""So many annotations of each kind GitHub shows of a step."""
_MARKS = {"error": "❌", "warning": "⚠️", "note": "📝"}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\`*_{}[]<>#|~!&"})


def markdown_report(report: Report) -> str:
    """Return the report as Markdown text."""
    return "\n".join(_lines(report)) + "\n"


def github_lines(report: Report) -> str:
    """Return a command for each finding that GitHub shows beside the run (``::error::…``)."""
    annotated = [each for _, findings in report.worst_first(ANNOTATIONS) for each in findings]
    return "".join(
        f"::{_COMMANDS[each.severity]} title=faultinject%3A {each.id}::"
        f"{_in_command(each.in_words)}\n"
        for each in annotated
    )


def _lines(report: Report) -> Iterator[str]:
    yield "## What the program did when its API failed"
    yield ""
    yield _plain(calls_in_words(report.totals, report.facts.unseen)) + "."
    yield ""
    if words := run_in_words(report.facts):
        yield f"Run: {'; '.join(map(_plain, words))}."
        yield ""
    if found := report.worst_first(SHOWN):
        yield "| | finding | evidence | what a good client does |"
        yield "|---|---|---|---|"
        yield from (_row(verdict, findings) for verdict, findings in found)
    else:
        yield "Nothing was found."
    for line in report.not_judged:
        yield ""
        yield _plain(line)
    unjudged = [each for each in report.verdicts if each.word == "no verdict"]
    if unjudged:
        yield ""
        yield f"<details><summary>No verdict on {len(unjudged)} findings</summary>"
        yield ""
        for verdict in unjudged:
            yield f"- `{verdict.known.id}`: {_plain(verdict.why_not)}"
        yield ""
        yield "</details>"


def _row(verdict: Verdict, findings: list[Finding]) -> str:
    known, severity = verdict.known, findings[0].severity
    evidence = [_plain(line) for each in findings for line in (each.in_words, each.timeline)]
    if (more := verdict.found - len(findings)) > 0:
        evidence.append(f"and {more} more")
    return (
        f"| {_MARKS[severity]} {severity} | `{known.id}`<br>{known.title} |"
        f" {'<br>'.join(filter(None, evidence))} | {known.advice} |"
    )


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return text.translate(_SPECIAL)


def _in_command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
