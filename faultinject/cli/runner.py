"""Runs the proxy or the plugin: events on stdout, a summary at the end, errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import trio
from attrs import evolve, frozen

from faultinject.authority import is_loopback
from faultinject.cli.commands import make_room, stop_collecting
from faultinject.cli.signals import Contents, Serve, until_stopped
from faultinject.cli.warning import warn
from faultinject.errors import StartError
from faultinject.events import Event
from faultinject.files import check_place, write_within
from faultinject.report import EventOutput, Summary, wants_color
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import CertificateAuthority

if TYPE_CHECKING:
    from faultinject.cli.judging import Judging

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits
    resource = None  # type: ignore[assignment]

SUMMARY_SECONDS = 2.0
"""How long a pipe may take to read the summary."""
_WANTED_FILES = 65_536  # if the system's limit is "unlimited", which macOS does not accept


@frozen(eq=False, repr=False)
class Service:
    """What a command runs: the proxy or the plugin."""

    serve: Serve
    contents: Contents
    danger: str
    """What anyone who can reach its address can do."""


def run(settings: Settings, service: Service) -> int:
    """Run until a signal ends it; return the exit code.

    Raises `StartError` if it cannot start, or cannot write one of its files.
    """

    @cache
    def judging() -> Judging:
        from faultinject.cli.judging import Judging  # late, when the proxy listens

        return Judging(settings)

    if _has_judging_options(settings):
        judging()  # which reports a mistake in them
    if settings.summary is not None:
        check_summary(settings.summary)
    settings = of_own_process(settings)
    stop_collecting()
    if CertificateAuthority.is_missing(settings.ca_cert, settings.ca_key, settings.data_dir):
        make_room()  # for what makes one
    raise_open_files_limit()
    warn_of_address(settings, service)
    output = _output(settings)
    summary = Summary(events_dropped=lambda: output.dropped)
    make_room_once = cache(make_room)

    def listener(event: Event) -> None:
        make_room_once()  # with the first event it listens, and loads what serves
        summary.listen(event)
        judging().listen(event)
        output.listen(event)

    with output:
        trio.run(until_stopped, settings, listener, service.serve, service.contents)
        if settings.log_format == "text":
            render_summary(summary, judging(), output, sys.stdout)
    _write_elsewhere(settings, summary, judging())
    return judging().end()


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def of_own_process(settings: SomeSettings) -> SomeSettings:
    """Return settings for a process that nobody else uses, where nobody else takes the events."""
    is_told = settings.log_format == "json" or settings.log_level == "debug"  # in another thread
    return evolve(settings, gives_memory_back=True, observes_late=not is_told)


def _has_judging_options(settings: Settings) -> bool:
    """Say whether there is an option of `Judging` that can be wrong."""
    given = settings.report or settings.judge_only or settings.ignore or settings.threshold
    return bool(given) or settings.fail_on not in ("none", "error")


def warn_of_address(settings: Settings, service: Service) -> None:
    """Warn if other machines can reach the service."""
    if not is_loopback(settings.host):
        warn(
            f"listening on {settings.host}: whoever can reach this address can {service.danger};"
            " 127.0.0.1 is for this machine only"
        )


def render_summary(
    summary: Summary, judging: Judging, output: EventOutput, stream: TextIO | None
) -> None:
    """Write the summary and the findings for people, in colour if ``stream`` can show it."""
    from faultinject.report.table import render  # late, because rich takes long to load

    color = wants_color(stream)
    render(summary, output, color=color)
    output.write("\n" + judging.text(color=color))


def _output(settings: Settings) -> EventOutput:
    """Return what writes events to stdout."""
    return EventOutput(
        stream=sys.stdout,
        fmt=settings.log_format,
        level=settings.log_level,
        color=wants_color(sys.stdout),
        limit=settings.limits.queued_events,
    )


def _write_elsewhere(settings: Settings, summary: Summary, judging: Judging) -> None:
    """Write the summary where events do not go: to a file, and to stderr if stdout is JSON's.

    Raises `StartError` if the file cannot be written.
    """
    if settings.log_format == "json":
        # stdout has only JSON lines, so people see the summary on stderr. It has a thread of its
        # own too, so that a pipe that nobody reads does not delay the end.
        with EventOutput(sys.stderr) as errors:
            render_summary(summary, judging, errors, sys.stderr)
    if settings.summary is not None:
        write_summary(settings.summary, summary.as_dict())


def check_summary(path: Path) -> None:
    """Raise `StartError` if the summary cannot be written, before the run instead of after it.

    Leaves no trace. Names of streams, such as /dev/stdout, are not tried.
    """
    try:
        check_place(path)
    except OSError as error:
        raise _cannot_write(path, error) from None


def write_summary(path: Path, summary: Mapping[str, object]) -> None:
    """Write the summary as JSON. Raises `StartError` if the file cannot be written."""
    text = json.dumps(summary, indent=2) + "\n"
    try:
        write_within(path, text.encode(), SUMMARY_SECONDS)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> StartError:
    return StartError(
        f"cannot write the summary {path}: {error.strerror or error}; name a file in a directory"
        " that exists and is yours"
    )


def raise_open_files_limit() -> None:
    """Allow as many open files, and so connections, as the system permits."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return  # the present limit has to be enough
