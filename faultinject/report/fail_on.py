"""Which findings make a run fail: what ``--fail-on`` says."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from faultinject.errors import SettingsError
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
    return FailOn(frozenset(), read_ids(text.split(","), "--fail-on"))


def read_ids(names: Iterable[str], option: str) -> frozenset[str]:
    """Return ids of findings, if all of them are known. Raises `SettingsError`."""
    ids = frozenset(filter(None, (name.strip() for name in names)))
    for name in sorted(ids - IDS):
        raise SettingsError(
            f"{option}: there is no finding {name!r}; the findings are {', '.join(sorted(IDS))}"
        )
    return ids
