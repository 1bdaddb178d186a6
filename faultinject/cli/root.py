"""The root command: names the others."""

from __future__ import annotations

import click

from faultinject import __version__
from faultinject.cli.commands import HelpfulGroup

PROGRAM = "faultinject"

_COMMANDS = {
    "demo": "faultinject.cli.demo.demo_command:demo",
    "proxy": "faultinject.cli.proxy:proxy",
    "plugin": "faultinject.cli.plugin:plugin",
    "presets": "faultinject.cli.presets:presets",
    "rules": "faultinject.cli.rules:rules",
    "ca": "faultinject.cli.ca:ca",
    "completion": "faultinject.cli.completion:completion",
}
"""Where each command is, in the order of the help; a new command is a line here."""

_EPILOG = """\
See what it does, with nothing to set up:

  faultinject demo

Half of the requests to api.anthropic.com get a 429:

  faultinject proxy --error-probability 0.5 --status-code 429
"""


@click.group(
    PROGRAM,
    cls=HelpfulGroup,
    modules=_COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def root() -> None:
    """See what your program does when an API fails.

    A proxy between your program and an API: it answers some of the requests with the failure
    that the real API would send, and passes on the others untouched.
    """
