"""``faultinject demo``: shows in a few seconds, without network or key, what the proxy does.

`stage` holds the parts, `client` asks, `story` is what happens and checks that it did, `watching`
and `screen` show it.
"""

from __future__ import annotations

import sys

import click

from faultinject.cli.commands import HelpfulCommand

_EPILOG = """\
The same with another failure:

  faultinject demo --status-code 529
"""


class _Status(click.IntRange):
    name = "status"  # what Click calls what is no number


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

    A client, the proxy and a small fake API talk with each other on this machine: no network, no
    key, nothing to install. The exit code is 0 if everything went as shown.
    """
    import trio

    from faultinject.cli.demo.screen import Screen
    from faultinject.cli.demo.story import tell

    trio.run(tell, Screen(sys.stdout), status_code)
    return 0
