"""One run of a command: its environment, the proxy's lines, the report, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import trio
from attrs import define, field

from faultinject.cli.commands import stop_collecting
from faultinject.cli.entry import only_cause
from faultinject.cli.judging import Judging
from faultinject.cli.proxy import PROXY
from faultinject.cli.run.child_process import CommandError
from faultinject.cli.run.command_environment import Address, EnvironmentMaker
from faultinject.cli.run.supervise import Supervisor, environment_with
from faultinject.cli.runner import (
    check_summary,
    of_own_process,
    raise_open_files_limit,
    render_summary,
    warn_of_address,
    write_summary,
)
from faultinject.cli.warning import write_line
from faultinject.errors import StartError
from faultinject.events import Event
from faultinject.proxy.server import RunningProxy
from faultinject.report import EventOutput, Summary, wants_color
from faultinject.settings import RunSettings


@define(eq=False, repr=False)
class CommandRun:
    """Runs a command once."""

    maker: EnvironmentMaker
    command: Sequence[str]
    verbose: bool = False
    _owned: ExitStack = field(factory=ExitStack, init=False)
    """What is closed when the command and the proxy have ended."""

    @property
    def settings(self) -> RunSettings:
        """The settings, with the user's own base URLs among the targets."""
        return self.maker.route.settings

    def run(self) -> int:
        """Run the command; return the exit code.

        Raises `StartError` if the proxy cannot start, or a file that was asked for cannot be
        written.
        """
        judging = Judging(self.settings)
        if self.settings.summary is not None:
            check_summary(self.settings.summary)
        stop_collecting()
        warn_of_address(self.settings, PROXY)
        with self._log_stream() as stream:
            output = self._output(stream)
            summary = Summary(events_dropped=lambda: output.dropped)
            try:
                code = self._supervised(summary, judging, output)
            except (CommandError, BaseExceptionGroup) as error:
                cause = only_cause(error)
                if not isinstance(cause, CommandError):
                    raise
                write_line(f"faultinject: {cause}")
                return cause.code
        findings_code = self._report(summary, judging)
        return code or findings_code

    def _supervised(self, summary: Summary, judging: Judging, output: EventOutput) -> int:
        def listener(event: Event) -> None:
            summary.listen(event)
            judging.listen(event)
            output.listen(event)

        def on_start() -> None:
            # Only now: the command gets our limit as it was, and is started before there are
            # threads. Events of the start wait in the output's queue.
            raise_open_files_limit()
            self._owned.enter_context(output)

        settings = of_own_process(self.settings)
        supervisor = Supervisor(settings, listener, self.command, self._environment, on_start)
        with self._owned:
            return trio.run(supervisor.run)

    # The command's environment

    def _environment(self, running: RunningProxy) -> dict[str, str]:
        address = Address(running.url, running.ca_cert, running.base_urls)
        return environment_with(self.maker.user, self.maker.changes(address))

    # What is told

    @contextmanager
    def _log_stream(self) -> Iterator[TextIO]:
        """Open what the proxy's lines go to."""
        path = self.settings.log_file
        if path is None:
            yield sys.stderr
            return
        with _opened(path) as file:
            yield file

    def _output(self, stream: TextIO) -> EventOutput:
        # Without -v the terminal is the command's, but for what makes a run test less than it says.
        all_lines = self.verbose or self.settings.log_file is not None
        return EventOutput(
            stream,
            self.settings.log_format,
            level=self.settings.log_level if all_lines else "warning",
            color=wants_color(stream),
            setup_hints=False,  # the command's environment has it all
            limit=self.settings.limits.queued_events,
        )

    def _report(self, summary: Summary, judging: Judging) -> int:
        """Write what became of the run; return the exit code that the findings ask for."""
        with EventOutput(sys.stderr) as output:
            render_summary(summary, judging, output, sys.stderr)
        if self.settings.summary is not None:
            write_summary(self.settings.summary, summary.as_dict())
        return judging.end()


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise StartError(
            f"cannot write the log file {path}: {error.strerror or error}; name a file in a"
            " directory that exists and is yours"
        ) from None
