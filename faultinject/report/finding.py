"""What can be found, and what was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

from attrs import define, field, frozen

from faultinject.report.display import times
from faultinject.report.history import History
from faultinject.report.thresholds import Thresholds

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""
MOST_NAMED = 20
"""So many calls one finding names, at most."""
MOST_IN_WORDS = 4
"""Of more calls than these a line says only how many they are."""
IN_TURN = (
    "the attempts came over several connections in turn, as Node's fetch sends them, threads, or"
    " async tasks"
)
"""Why the pace of some calls cannot be judged."""
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
    """The first call's attempts in one line; empty if it is about several calls."""
    of_calls: int = 1
    """How many calls it is about: of several its numbers are the sums."""

    @property
    def subject(self) -> str:
        """The call that it is about, or the calls; empty if it is about the run."""
        if not self.calls:
            return ""
        if self.of_calls == 1:
            return f"call {self.calls[0]}"
        if self.of_calls > MOST_IN_WORDS:
            return f"{self.of_calls} calls"
        *others, last = self.calls
        return f"calls {', '.join(map(str, others))} and {last}"

    @property
    def in_words(self) -> str:
        """The evidence, and in front of it the call or the calls."""
        return f"{self.subject}: {self.evidence}" if self.subject else self.evidence


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


@frozen
class Unclear:
    """Why no verdict could be had on a call in which there was something to judge."""

    reason: str
    """What made it unclear: of each finding one of a few sentences."""
    seen: str = ""
    """What was seen of the call, with its numbers; empty if the reason says all."""

    @property
    def in_words(self) -> str:
        """What was seen, and why that does not tell."""
        return f"{self.seen}, {self.reason}" if self.seen else self.reason


def not_judged(reasons: Iterable[list[tuple[str, int, Unclear]]], unseen: int) -> list[str]:
    """Return lines about what could not be judged: unseen requests, and findings by reasons.

    Of each reason the ids are given, with the number of such calls and the first of them.
    """
    return not_followed(unseen) + [_not_judged(each) for each in reasons]


def _not_judged(unclear: list[tuple[str, int, Unclear]]) -> str:
    ids = ", ".join(name for name, _, _ in unclear)
    calls = times(max(number for _, number, _ in unclear), "call")
    return f"Not judged: {ids} (of {calls}): {unclear[0][2].in_words}."


def not_followed(requests: int) -> list[str]:
    """Return a line that says that of so many requests it is not known what they asked for."""
    if not requests:
        return []
    followed, bodies = "which was not followed as a call", "its body was"
    if requests != 1:
        followed, bodies = "which were not followed as calls", "their bodies were"
    what = f"{times(requests, 'request')}, {followed}"
    return [f"Not judged: {what}: {bodies} not read to the end, or too long to keep."]


@define
class Judged:
    """What was looked at for one id, and what was found."""

    why_not: str
    """Why it could not be judged, if ``calls`` and ``unclear`` are empty: what did not happen."""
    calls: list[int] = field(factory=list)
    """The calls that could be judged."""
    findings: list[Finding] = field(factory=list)
    unclear: dict[int, Unclear] = field(factory=dict)
    """The calls in which it may have happened, but that cannot be told."""

    def find(
        self, severity: Severity, evidence: str, *, calls: Iterable[int], of_calls: int = 1
    ) -> None:
        """Add a finding; the first of the calls is the one that it is about.

        It is about more of them if ``of_calls`` says so.
        """
        named = tuple(islice(calls, MOST_NAMED))
        self.findings.append(Finding("", severity, evidence, named, of_calls=of_calls))


Check = Callable[[History, Thresholds], Judged]
"""Looks for one finding."""
