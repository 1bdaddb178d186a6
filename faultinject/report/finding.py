"""What can be found, and what was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

from attrs import define, field, frozen

from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""
MOST_NAMED = 20
"""So many calls one finding names, at most."""
PAGE = "findings.md"
"""The page of the documentation that has a section for each finding."""


@frozen
class Finding:
    """Something that the program does wrong, or that is worth knowing."""

    id: str
    severity: Severity
    evidence: str
    """What was seen, with its numbers, in one line."""
    calls: tuple[int, ...] = ()
    """The calls in which it was seen; the first is the one that it is about."""
    attempts: tuple[int, ...] = ()
    """The numbers of the attempts of the first call in which it was seen; empty for all."""
    timeline: str = ""
    """The first call's attempts in one line."""


@frozen
class Known:
    """A finding that is looked for."""

    id: str
    severity: Severity
    """The severity it has mostly."""
    title: str
    """What the program does, in a few words."""
    advice: str
    """What a good client does, in one sentence."""

    @property
    def anchor(self) -> str:
        """Where the documentation tells more."""
        return f"{PAGE}#{self.id}"


@define
class Judged:
    """What was looked at for one id, and what was found."""

    why_not: str
    """Why it could not be judged, if ``calls`` is empty: what the run did not bring."""
    calls: list[int] = field(factory=list)
    """The calls that could be judged."""
    findings: list[Finding] = field(factory=list)

    def find(self, severity: Severity, evidence: str, *, calls: Iterable[int]) -> None:
        """Add a finding; the first of the calls is the one that it is about."""
        self.findings.append(Finding("", severity, evidence, tuple(islice(calls, MOST_NAMED))))


Check = Callable[[History, Thresholds], Judged]
"""Looks for one finding."""
