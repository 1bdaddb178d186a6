"""Judges what a program does, as the options say, and writes the reports at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from faultinject.errors import StartError
from faultinject.events import Event
from faultinject.files import check_place, replace_within
from faultinject.report.as_lines import COLUMNS, text_report
from faultinject.report.fail_on import FailOn, read_fail_on, read_ids
from faultinject.report.findings import NOTHING_TESTED
from faultinject.report.judge import Judge, Report
from faultinject.report.thresholds import read_thresholds
from faultinject.settings import Settings

REPORT_SECONDS = 2.0
"""How long writing to a named pipe may take."""


def judge_for(settings: Settings) -> tuple[Judge, FailOn]:
    """Return what judges a run, and what makes it fail. Raises `SettingsError`."""
    only = None
    if settings.judge_only:  # whether the run was a test at all goes with every choice
        only = read_ids(settings.judge_only, "--judge-only") | {NOTHING_TESTED.id}
    ignored = read_ids(settings.ignore, "--ignore")
    thresholds = read_thresholds(settings.threshold, settings.effects)
    return Judge(thresholds, only=only, ignore=ignored), read_fail_on(settings.fail_on)


class Judging:
    """Follows a run, and says at its end what the program did."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        """Read the options. Raises `SettingsError`, and `StartError` if a report has no place."""
        self._judge, self._fail_on = judge_for(settings)
        self._files = settings.report
        self._environment = environment
        for path in self._files:
            try:
                check_place(path)
            except OSError as error:
                raise _cannot_write(path, error) from None

    def listen(self, event: Event) -> None:
        """Take note of an event."""
        self._judge.listen(event)

    @cached_property
    def report(self) -> Report:
        """What the program did. It is asked for once the run is over."""
        return self._judge.report()

    def text(self, *, color: bool) -> str:
        """Return what the program did, as lines; under GitHub Actions with commands for it."""
        columns = shutil.get_terminal_size((COLUMNS, 0)).columns
        text = text_report(self.report, color=color, columns=columns)
        if self._for_github:
            from faultinject.report.forms import github_lines

            text += github_lines(self.report)
        return text

    def end(self) -> int:
        """Write the reports that were asked for, and return the exit code.

        Raises `StartError` if one cannot be written.
        """
        if self._files:
            from faultinject.report.forms import form_for

            for path in self._files:
                text = form_for(path)(self.report, self._fail_on)
                try:
                    replace_within(path, text.encode(), REPORT_SECONDS)
                except OSError as error:
                    raise _cannot_write(path, error) from None
        self._summarize()
        return self._fail_on.exit_code(self.report)

    @property
    def _for_github(self) -> bool:
        """Whether GitHub Actions is to show the report: there, and if one is in Markdown."""
        in_actions = self._environment.get("GITHUB_ACTIONS") == "true"
        return in_actions and any(path.suffix.lower() == ".md" for path in self._files)

    def _summarize(self) -> None:
        """Add the report to the summary of the step that GitHub Actions runs."""
        name = self._environment.get("GITHUB_STEP_SUMMARY")
        if not (name and self._for_github):
            return
        from faultinject.report.forms import markdown_report

        try:
            with Path(name).open("a", encoding="utf-8") as file:
                file.write(markdown_report(self.report))
        except OSError as error:
            raise _cannot_write(Path(name), error) from None


def _cannot_write(path: Path, error: OSError) -> StartError:
    return StartError(
        f"cannot write the report {path}: {error.strerror or error}; name a file in a directory"
        " that exists and is yours"
    )
