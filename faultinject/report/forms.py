"""The forms of a report, by the endings of the files that it is written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from faultinject.report.as_html import html_report
from faultinject.report.as_json import json_report
from faultinject.report.as_junit import junit_report
from faultinject.report.as_markdown import github_lines, markdown_report
from faultinject.report.fail_on import FailOn
from faultinject.report.judge import Report

__all__ = ["form_for", "github_lines", "markdown_report"]

_FORMS: dict[str, Callable[[Report, FailOn], str]] = {
    ".json": lambda report, _: json_report(report),
    ".xml": junit_report,
    ".md": lambda report, _: markdown_report(report),
    ".html": lambda report, _: html_report(report),
}
"""By the endings of `faultinject.settings.REPORT_ENDINGS`."""


def form_for(path: Path) -> Callable[[Report, FailOn], str]:
    """Return what makes the text of a report for a file."""
    return _FORMS[path.suffix.lower()]
