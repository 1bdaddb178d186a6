"""``faultinject plugin``: reads the options and runs the plugin."""

from __future__ import annotations

import os
from typing import Any

import click

from faultinject.cli.commands import HelpfulCommand, settings_as
from faultinject.cli.runner import Service, run
from faultinject.cli.table_options import table_options
from faultinject.cli.warning import warn
from faultinject.config import PLUGIN_OPTIONS
from faultinject.plugin.serving import RunningPlugin, serve_plugin
from faultinject.settings import PluginSettings

_EPILOG = """\
Make a third of the requests fail:

  faultinject plugin --status-code 429 --error-probability 0.33

It prints how to start Fault. Then point a client at Fault:

  export HTTPS_PROXY=http://127.0.0.1:3180
  SSL_CERT_FILE=$(faultinject ca path) python app.py

An option overrides its environment variable, which overrides the
configuration file. The proxy can use the same file.
"""


@click.command("plugin", cls=HelpfulCommand, params=table_options(PLUGIN_OPTIONS), epilog=_EPILOG)
def plugin(**given: Any) -> int:
    """Run a plugin of Fault's proxy: inject API failures into its HTTPS tunnels.

    Fault (0.x) breaks connections. With this plugin it also breaks the requests in them. It prints
    events until you press Ctrl-C. Open requests may then finish; a second Ctrl-C ends them.
    """
    settings = settings_as(PluginSettings, given, PLUGIN_OPTIONS)
    if given["export_ca"] is not None or given["install_ca"]:
        from faultinject.cli.ca import export_as_asked

        return export_as_asked(settings, given)
    if settings.connect_to and settings.tunnel == "duplex":
        warn("--connect-to has no effect on Fault's tunnels, because Fault itself connects")
    return run(settings, PLUGIN)


def contents(running: RunningPlugin) -> dict[str, object]:
    """Return the contents of a plugin's ready file."""
    client_side, upstream_side = running.registrations.urls.values()
    return {
        "client_url": client_side,
        "upstream_url": upstream_side,
        "command": running.command,
        "ca_cert": None if running.ca_cert is None else str(running.ca_cert),
        "pid": os.getpid(),
    }


PLUGIN = Service(serve_plugin, contents, "call the plugin in Fault's place")
