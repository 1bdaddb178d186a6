"""Which findings make a run fail: what ``--fail-on`` says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from faultinject.errors import SettingsError
from faultinject.reading.shown import nearest, shown_text
from faultinject.report.finding import SEVERITIES, Finding
from faultinject.report.findings import KNOWN
from faultinject.report.judge import Report

EXIT_CODE = 3
"""How a run ends that fails because of findings."""
IDS = frozenset(known.id for known in KNOWN)


@frozen(eq=False, repr=False)
class FailOn:
    """Findings of these severities, or with these ids, make a run fail."""

    severities: frozenset[str] = frozenset({"error"})
    ids: frozenset[str] = frozenset()

    def fails(self, finding: Finding) -> bool:
        """Return True if a finding makes the run fail."""
        return finding.severity in self.severities or finding.id in self.ids

    def exit_code(self, report: Report) -> int:
        """Return the exit code that a report gives."""
        return EXIT_CODE if any(map(self.fails, report.findings)) else 0


NEVER = FailOn(frozenset())


def read_fail_on(text: str) -> FailOn:
    """Read ``error``, ``warning`` (and errors), ``note`` (all), ids with commas, or ``none``.

    Raises `SettingsError`.
    """
    if text == "none":
        return NEVER
    if text in SEVERITIES:
        return FailOn(frozenset(SEVERITIES[: [*SEVERITIES].index(text) + 1]))
    return FailOn(frozenset(), read_ids(text.split(","), "--fail-on", (*SEVERITIES, "none")))


def read_ids(names: Iterable[str], option: str, words: Sequence[str] = ()) -> frozenset[str]:
    """Return ids of findings, if all of them are known.

    ``words`` are what the option takes besides, alone. Raises `SettingsError`, with what is
    probably meant.
    """
    ids = frozenset(filter(None, (name.strip() for name in names)))
    for name in sorted(ids - IDS):
        if name in words:
            raise SettingsError(f"{option}: {name} stands alone, without other words or findings")
        near = nearest(name, (*words, *sorted(IDS)))
        hint = f"did you mean {near}?" if near else f"the findings are {', '.join(sorted(IDS))}"
        besides = f"; it takes {', '.join(words)}, or findings" if words else ""
        raise SettingsError(f"{option}: there is no finding {shown_text(name)}{besides}; {hint}")
    return ids
