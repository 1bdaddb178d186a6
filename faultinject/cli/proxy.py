"""``faultinject proxy``: reads the options and runs the proxy."""

from __future__ import annotations

import os
from typing import Any

import click

from faultinject.cli.commands import HelpfulCommand, settings_of
from faultinject.cli.runner import Service, run
from faultinject.cli.table_options import table_options
from faultinject.config import PROXY_OPTIONS
from faultinject.proxy.server import RunningProxy, serve

_EPILOG = """\
Make a third of the requests fail, the same ones in each run:

  faultinject proxy --status-code 429 --error-probability 0.33 --seed 1

Point a client at the proxy:

  export HTTPS_PROXY=http://127.0.0.1:8080
  SSL_CERT_FILE=$(faultinject ca path) python app.py

If you can set the client's base URL, you need no certificate:

  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 python app.py

An option overrides its environment variable, which overrides the
configuration file. In a variable, separate the items of a list by commas, and
headers by line ends. In the file, a key is the option's name with underscores;
--header is "headers".
"""


@click.command("proxy", cls=HelpfulCommand, params=table_options(PROXY_OPTIONS), epilog=_EPILOG)
def proxy(**given: Any) -> int:
    """Run the proxy: make some of the requests to the targets fail.

    It prints events until you press Ctrl-C. Open requests may then finish; a second Ctrl-C ends
    them.
    """
    settings = settings_of(given, PROXY_OPTIONS)
    if given["export_ca"] is not None or given["install_ca"]:
        from faultinject.cli.ca import export_as_asked

        return export_as_asked(settings, given)
    return run(settings, PROXY)


def contents(running: RunningProxy) -> dict[str, object]:
    """Return the contents of a proxy's ready file."""
    return {
        "proxy": running.url,
        "host": running.host,
        "port": running.port,
        "ca_cert": None if running.ca_cert is None else str(running.ca_cert),
        "targets": [str(target) for target in running.targets],
        "fake_upstream": running.fake_upstream,
        "pid": os.getpid(),
    }


PROXY = Service(serve, contents, "use the proxy to connect anywhere from here")
