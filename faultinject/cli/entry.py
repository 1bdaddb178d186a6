"""Runs the root command and turns errors into exit codes.

0: success. 1: the machine refused, for example because a port is in use. 2: the user's choices
cannot be used. 130: the user interrupted a command that does not end by Ctrl-C. Every error is one
line on stderr. A group without a command is not an error: it prints its help.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

import click

from faultinject import __version__
from faultinject.cli.commands import HelpfulGroup, LateCommand
from faultinject.cli.old_forms import current_form
from faultinject.cli.warning import forget, write_line
from faultinject.errors import FaultinjectError, SettingsError

PROGRAM = "faultinject"

_COMMANDS = {
    "demo:demo": "Show what the proxy does, in a few seconds.",
    "run:run_command": "Run a command behind the proxy: make some of its requests fail.",
    "proxy:proxy": "Run the proxy: make some of the requests to the targets fail.",
    "run.env:env": "Print the variables for the clients of a proxy that runs.",
    "plugin:plugin": "Run a plugin of Fault's proxy: inject API failures into its HTTPS tunnels.",
    "presets:presets": "List the failures that have a name (--preset), or show one.",
    "rules:rules": "Check a file of rules, write a first one, or print the schema.",
    "report:report": "Say what a program did about failures, by the events of a run.",
    "ca:ca": "Show, export and trust the certificate authority.",
    "completion:completion": "Print a script for your shell that completes commands and options.",
}
"""Where each command is in this package, and its line in the help, in the help's order. A new
command needs a line here."""

_EPILOG = """\
See what it does, without any setup:

  faultinject demo

Answer half of the requests to api.anthropic.com with a 429:

  faultinject proxy --error-probability 0.5 --status-code 429
"""


@click.group(
    PROGRAM,
    cls=HelpfulGroup,
    commands=[LateCommand(f"faultinject.cli.{place}", says) for place, says in _COMMANDS.items()],
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def root() -> None:
    """See what your program does when an API fails.

    A proxy between your program and an API. It answers some requests with the failure that the
    real API would send, and passes the others on unchanged.
    """


START_ERROR = 1
USAGE_ERROR = 2


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = root.main(current_form(typed), prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # a `click.ClickException` too
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _report_error(_with_help(error), error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except (FaultinjectError, ImportError, OSError, BaseExceptionGroup) as error:
        return _report_failure(error)
    return code if isinstance(code, int) else 0


def only_cause(error: BaseException) -> BaseException:
    """Return the only exception in a group, or in groups in groups; else the group itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _report_failure(error: BaseException) -> int:
    cause = only_cause(error)
    if isinstance(cause, KeyboardInterrupt):
        raise cause
    if isinstance(cause, FaultinjectError):
        return _report_error(
            str(cause), USAGE_ERROR if isinstance(cause, SettingsError) else START_ERROR
        )
    if isinstance(cause, OSError) and cause.errno in _FULL and cause.filename is None:
        forget(sys.stdout)
        return _report_error(f"cannot write the output: {cause.strerror}", START_ERROR)
    if isinstance(cause, ImportError):  # some of it is loaded late, once the proxy listens
        return _report_error(
            f"{cause}: a part of faultinject is missing; install it anew", START_ERROR
        )
    raise error


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""The errors of a write to a full disk, or to a terminal that is gone."""


def _report_error(message: str, code: int) -> int:
    if message:
        write_line(f"{PROGRAM}: {message}")
    return code


def _with_help(error: click.ClickException) -> str:
    """Return Click's message, with the command whose help says more."""
    message = " ".join(error.format_message().split()).rstrip(".")  # a line, and no list
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message
    return f"{message} (see '{error.ctx.command_path} --help')"
