"""Runs the proxy or the plugin: events on stdout, a summary at the end, errors on stderr."""

from __future__ import annotations

import gc
import ipaddress
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import trio
from attrs import evolve, frozen

from faultinject.cli.signals import Contents, Serve, until_stopped
from faultinject.cli.warning import warn
from faultinject.errors import StartError
from faultinject.events import Event
from faultinject.files import write_within
from faultinject.report import EventOutput, Summary, wants_color
from faultinject.settings import Settings

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits
    resource = None  # type: ignore[assignment]

SUMMARY_SECONDS = 2.0
"""How long a pipe that was named for the summary may take."""
_WANTED_FILES = 65_536  # where the system's own bound is "unlimited", which macOS does not take


@frozen
class Service:
    """What a command runs."""

    serve: Serve
    contents: Contents
    danger: str
    """What anyone can do who reaches its address."""


def run(settings: Settings, service: Service) -> int:
    """Run until stopped by a signal; return the exit code.

    Raises `StartError` if it cannot start, or a file that was asked for cannot be written.
    """
    if settings.summary is not None:
        check_summary(settings.summary)
    settings = evolve(settings, gives_memory_back=True)  # the process is ours alone
    gc.freeze()  # what is loaded stays to the end: the collector need not look at it again
    raise_open_files_limit()
    warn_of_address(settings, service)
    output = _output(settings)
    summary = Summary(events_dropped=lambda: output.dropped)

    def listener(event: Event) -> None:
        summary.listen(event)
        output.listen(event)

    with output:
        trio.run(until_stopped, settings, listener, service.serve, service.contents)
        if settings.log_format == "text":
            render_summary(summary, output, sys.stdout)
    _tell_beside(settings, summary)
    return 0


def warn_of_address(settings: Settings, service: Service) -> None:
    """Warn if others than this machine can reach what is run."""
    if not is_loopback(settings.host):
        warn(
            f"listening on {settings.host}: whoever can reach this address can {service.danger};"
            " 127.0.0.1 is for this machine alone"
        )


def render_summary(summary: Summary, output: EventOutput, stream: TextIO | None) -> None:
    """Write the summary for people, as ``stream`` can show it."""
    from faultinject.report.table import render  # late, for rich takes a while to load

    render(summary, output, color=wants_color(stream))


def _output(settings: Settings) -> EventOutput:
    """Return what writes events to stdout."""
    return EventOutput(
        stream=sys.stdout,
        fmt=settings.log_format,
        level=settings.log_level,
        color=wants_color(sys.stdout),
        limit=settings.limits.queued_events,
    )


def _tell_beside(settings: Settings, summary: Summary) -> None:
    """Write the summary where events do not go: to a file, and to stderr if stdout is JSON's.

    Raises `StartError` if the file cannot be written.
    """
    if settings.log_format == "json":
        # On stdout JSON lines stay JSON lines; a person sees the summary beside them.
        # By a thread of its own, too: a pipe that nobody reads should not hold up the end.
        with EventOutput(sys.stderr) as beside:
            render_summary(summary, beside, sys.stderr)
    if settings.summary is not None:
        write_summary(settings.summary, summary.as_dict())


def check_summary(path: Path) -> None:
    """Raise `StartError` if the summary will not find its place: at the end it would be lost.

    Leaves no trace. What stands for a stream, as /dev/stdout does, is left alone.
    """
    try:
        if not path.exists():
            with tempfile.TemporaryFile(dir=path.parent):
                return
        if path.is_file() or path.is_dir():
            with path.open("ab"):
                return
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


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def raise_open_files_limit() -> None:
    """Allow as many open files, and so connections, as the system lets us."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return  # the limit that there is has to do
