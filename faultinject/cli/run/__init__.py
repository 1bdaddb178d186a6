"""``faultinject run``: runs a command behind the proxy, and reports what became of its calls.

`routes` decides how its clients are led to the proxy, `environment` makes the command's
environment (of `client_variables`, `vendor_variables`, `bundles` and `java_options`),
`child_process` starts it, `supervise` runs the proxy beside it, and `command_run` writes the lines
and the report.
"""

from __future__ import annotations

import os
from typing import Any

import click
from attrs import evolve

from faultinject.cli.commands import HelpfulCommand, settings_as
from faultinject.cli.run.command_environment import EnvironmentMaker, has_java
from faultinject.cli.run.command_run import CommandRun
from faultinject.cli.run.env import print_environment
from faultinject.cli.run.routes import is_node, route_of
from faultinject.cli.table_options import table_options
from faultinject.cli.warning import warn
from faultinject.config import RUN_OPTIONS
from faultinject.settings import RunSettings

_EPILOG = """\
See how a program takes an API that is overloaded, without key and network:

  faultinject run --fake-upstream --preset overload-storm -- python3 app.py

The exit code is the command's own. Its input, output and terminal are its
own too; what the proxy did is told on standard error at the end.
"""

_UNLED = (
    "Node {}: its fetch heeds no proxy, so that its clients are led here by their base URLs; what"
    " it fetches from a URL written out in the program is not seen, and not kept from the API"
    " (docs/run.md)"
)


@click.command(
    "run",
    cls=HelpfulCommand,
    params=table_options(RUN_OPTIONS),
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=False, type=click.UNPROCESSED)
@click.pass_context
def run_command(context: click.Context, /, command: tuple[str, ...], **given: Any) -> int:
    """Run a command behind the proxy: make some of its requests fail.

    The proxy listens on a free port, and the command's environment tells its clients to use it and
    to trust it. At the end faultinject reports what became of the requests.
    """
    settings = settings_as(RunSettings, given, RUN_OPTIONS)
    if given["print_env"] is not None:
        return print_environment(settings, given["print_env"])
    if not command:
        words = "which command? As in: faultinject run --fake-upstream -- python3 app.py"
        raise click.UsageError(words, context)
    if given["proxy_port"] is None:  # one of a file or a variable is for the proxy alone
        settings = evolve(settings, proxy_port=0)
    route = route_of(settings, os.environ, warn)
    if route.old_node is not None and is_node(command[0], os.environ):
        warn(_UNLED.format(route.old_node))
    maker = EnvironmentMaker(
        route,
        os.environ,
        warn,
        java=settings.java or has_java(command),
    )
    return CommandRun(maker, command, verbose=bool(given["verbose"])).run()
