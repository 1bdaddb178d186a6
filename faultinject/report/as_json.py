"""A report as JSON, for programs; ``schema.json`` beside this file describes it."""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict

from faultinject.events import rfc3339
from faultinject.report.finding import Finding
from faultinject.report.findings import known_by_id
from faultinject.report.judge import Report, Verdict
from faultinject.report.run_facts import program, rule_counts

VERSION = 1
"""Version of the report's fields; it changes when one is renamed or changes its meaning."""


def json_report(report: Report) -> str:
    """Return the report as JSON text with a newline."""
    return json.dumps(report_value(report), indent=2, ensure_ascii=False) + "\n"


def report_value(report: Report) -> dict[str, Any]:
    """Return the report as JSON has it."""
    facts, totals = report.facts, report.totals
    started = facts.started
    return {
        "v": VERSION,
        "started": None if started is None else rfc3339(started.time),
        "seconds": round(facts.now, 3),
        "seed": None if started is None else started.seed,
        "program": program(facts),
        "rules": [asdict(each) for each in rule_counts(facts)],
        "requests": facts.requests,
        "housekeeping": facts.housekeeping,
        "unseen": facts.unseen,
        "events_dropped": facts.dropped,
        "calls": {
            **totals.outcomes,
            "attempts": totals.attempts,
            "added_seconds": round(totals.added_seconds, 3),
            "lost_input_tokens": totals.lost_input_tokens,
            "lost_output_tokens": totals.lost_output_tokens,
        },
        "verdicts": [_verdict(verdict) for verdict in report.verdicts],
        "findings": [_finding(finding) for finding in report.findings],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.known.id,
        "verdict": verdict.word,
        "judged": verdict.judged,
        "found": verdict.found,
        "why_not": verdict.why_not if verdict.word == "no verdict" else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    known = known_by_id(finding.id)
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": known.title,
        "evidence": finding.evidence,
        "timeline": finding.timeline,
        "calls": list(finding.calls),
        "advice": known.advice,
        "page": known.anchor,
    }
