"""``faultinject report``: judges a log of events, as the end of the run itself does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from faultinject.cli.commands import HelpfulCommand, settings_of
from faultinject.cli.judging import Judging
from faultinject.cli.table_options import table_options
from faultinject.config import LOG_OPTIONS
from faultinject.errors import SettingsError
from faultinject.report import wants_color
from faultinject.report.log import LogError, read_log

_EPILOG = """\
Keep the events of a run, and judge them later:

  faultinject proxy --log-format json > events.jsonl
  faultinject report events.jsonl --report report.html
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


@click.command("report", cls=HelpfulCommand, params=table_options(LOG_OPTIONS), epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
def report(file: Path, **given: Any) -> int:
    """Say what a program did about failures, by the events of a run.

    FILE is what --log-format json wrote, whole; - stands for standard input.
    """
    judging = Judging(settings_of(given, LOG_OPTIONS))
    events = 0
    with _opened(file) as log:
        try:
            for events, event in enumerate(read_log(log), 1):  # noqa: B007 - counted
                judging.listen(event)
        except (LogError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: {error}") from None
    if not events:
        raise SettingsError(
            f"{file}: it has no event of a run, so nothing was tested; give what"
            " `--log-format json` wrote, whole"
        )
    click.echo(judging.text(color=wants_color(sys.stdout)), nl=False)
    return judging.end()
