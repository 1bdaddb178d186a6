"""``faultinject report``: judges a log of events, as the end of the run itself does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from faultinject.cli.commands import HelpfulCommand
from faultinject.errors import SettingsError
from faultinject.report.as_json import json_report
from faultinject.report.as_junit import junit_report
from faultinject.report.as_lines import text_report
from faultinject.report.as_markdown import markdown_report
from faultinject.report.fail_on import read_fail_on
from faultinject.report.judge import Judge
from faultinject.report.log import LogError, read_log

_EPILOG = """\
Keep the events of a run, and judge them later:

  faultinject proxy --log-format json > events.jsonl
  faultinject report events.jsonl
"""


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        log = file.open(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror or error}") from None
    with log:
        yield log


@click.command("report", cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit", "markdown"]),
    default="text",
    show_default=True,
    help="How to write the report.",
)
@click.option(
    "--fail-on",
    "fail_on",
    metavar="error|warning|ID,…|none",
    default="none",
    show_default=True,
    help="For which findings the exit code is 3.",
)
def report(file: Path, form: str, fail_on: str) -> int:
    """Say what a program did about failures, by the events of a run.

    FILE is what --log-format json wrote, whole; - stands for standard input.
    """
    fails, judge = read_fail_on(fail_on), Judge()
    with _opened(file) as log:
        try:
            for event in read_log(log):
                judge.listen(event)
        except (LogError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: {error}") from None
    found = judge.report()
    match form:
        case "json":
            text = json_report(found)
        case "junit":
            text = junit_report(found, fails)
        case "markdown":
            text = markdown_report(found)
        case _:
            text = text_report(found)
    click.echo(text, nl=False)
    return fails.exit_code(found)
