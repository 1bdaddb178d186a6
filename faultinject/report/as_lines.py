"""A report as lines for a person, in a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator

from faultinject.report.finding import SEVERITIES, Finding
from faultinject.report.judge import Report, Verdict
from faultinject.report.words import calls_in_words

SHOWN = 3
"""So many findings of an id are shown; of more only how many there are."""
_COLORS = {"error": "\x1b[31m", "warning": "\x1b[33m", "note": "\x1b[36m"}
_PLAIN = "\x1b[0m"
_INDENT = " " * 9


def text_report(report: Report, *, color: bool = False) -> str:
    """Return the report as text: the calls, then what was found, the worst first."""
    return "".join(f"{line}\n" for line in _lines(report, color=color))


def _lines(report: Report, *, color: bool) -> Iterator[str]:
    yield f"What the program did: {calls_in_words(report.totals)}."
    found = [verdict for verdict in report.verdicts if verdict.findings]
    for verdict in sorted(found, key=_worst):
        yield from _verdict_lines(verdict, color=color)
    unjudged = sum(verdict.word == "no verdict" for verdict in report.verdicts)
    passed = sum(verdict.word == "passed" for verdict in report.verdicts)
    yield f"Findings: {len(found)} found, {passed} passed, {unjudged} without a verdict."


def _worst(verdict: Verdict) -> int:
    return min(SEVERITIES.index(each.severity) for each in verdict.findings)


def _verdict_lines(verdict: Verdict, *, color: bool) -> Iterator[str]:
    known = verdict.known
    findings = sorted(verdict.findings, key=lambda each: SEVERITIES.index(each.severity))
    yield f"{_word(findings[0].severity, color=color)} {known.id}: the program {known.title}"
    for each in findings[:SHOWN]:
        yield f"{_INDENT}{_evidence(each)}"
        if each.timeline:
            yield f"{_INDENT}  {each.timeline}"
    if (more := verdict.found - SHOWN) > 0:
        yield f"{_INDENT}and {more} more"
    yield f"{_INDENT}{known.advice} (docs/{known.anchor})"


def _word(severity: str, *, color: bool) -> str:
    word = f"{severity:<8}"
    return f"{_COLORS[severity]}{word}{_PLAIN}" if color else word


def _evidence(finding: Finding) -> str:
    return f"call {finding.calls[0]}: {finding.evidence}" if finding.calls else finding.evidence
