"""``faultinject proxy``: reads the options and runs the proxy."""

from __future__ import annotations

from typing import Any

import click

from faultinject.cli.commands import HelpfulCommand, settings_of
from faultinject.cli.table_options import table_options
from faultinject.config import PROXY_OPTIONS

_EPILOG = """\
A third of the requests fail, each time the same ones:

  faultinject proxy --status-code 429 --error-probability 0.33 --seed 1

Point a client at the proxy:

  export HTTPS_PROXY=http://127.0.0.1:8080
  SSL_CERT_FILE=$(faultinject ca path) python app.py

Or, where a client's base URL can be set, do without the certificate:

  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 python app.py

An option counts before its environment variable, that before the
configuration file. In the environment lists are comma-separated, and headers
have a line each. In the file a key is the option's name with underscores,
--header is "headers".
"""


@click.command("proxy", cls=HelpfulCommand, params=table_options(PROXY_OPTIONS), epilog=_EPILOG)
def proxy(**given: Any) -> int:
    """Run the proxy: answer some of the targets' requests with an error.

    Events are printed until Ctrl-C, which lets open requests finish; a second one ends them.
    """
    settings = settings_of(given, PROXY_OPTIONS)
    if given["export_ca"] is not None or given["install_ca"]:
        from faultinject.cli.ca import export_as_asked

        return export_as_asked(settings, given)
    from faultinject.cli.running import run_proxy

    return run_proxy(settings)
