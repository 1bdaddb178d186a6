"""``faultinject plugin``: reads the options and runs the plugin."""

from __future__ import annotations

from typing import Any

import click

from faultinject.cli.commands import HelpfulCommand, settings_as
from faultinject.cli.table_options import table_options
from faultinject.cli.warning import warn
from faultinject.config import PLUGIN_OPTIONS
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
        warn("--connect-to has no effect on Fault's tunnels: it is Fault that connects")
    from faultinject.cli.running import run_plugin

    return run_plugin(settings)
