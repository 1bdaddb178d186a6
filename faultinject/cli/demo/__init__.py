"""``faultinject demo``: shows what the proxy does, in a few seconds, without a network or key.

`setup` starts the parts, `client` sends the requests, `story` plays the demonstration and checks
it, `screen` shows it.
"""

from __future__ import annotations

import sys

import click
import trio

from faultinject.cli.commands import HelpfulCommand
from faultinject.cli.demo.screen import Screen
from faultinject.cli.demo.story import run_demo

_EPILOG = """\
Show another failure:

  faultinject demo --status-code 529
"""


class _Status(click.IntRange):
    name = "status"  # for Click's error about a value that is not a number


@click.command("demo", cls=HelpfulCommand, epilog=_EPILOG)
@click.option(
    "--status-code",
    type=_Status(400, 599),
    default=429,
    show_default=True,
    metavar="CODE",
    help="Status of the failure, 400 to 599.",
)
def demo(status_code: int) -> int:
    """Show what the proxy does, in a few seconds.

    A client, the proxy and a small fake API run on this machine. You need no network, no key, and
    nothing to install. The exit code is 0 if everything went as shown.
    """
    trio.run(run_demo, Screen(sys.stdout), status_code)
    return 0
