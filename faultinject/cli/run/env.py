"""``faultinject env``: prints the variables for the clients of a proxy that runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import trio
from attrs import evolve

from faultinject.authority import Authority, TargetPattern, local_url
from faultinject.cli.commands import HelpfulCommand, settings_as
from faultinject.cli.run.command_environment import Address, EnvironmentMaker
from faultinject.cli.run.routes import route_of
from faultinject.cli.table_options import table_options
from faultinject.cli.warning import warn, write_line
from faultinject.config import ENV_OPTIONS
from faultinject.environment.shells import shown_in
from faultinject.errors import SettingsError, StartError
from faultinject.files import read_plain_file
from faultinject.settings import DEFAULT_TARGETS, RunSettings
from faultinject.tls.certificate_authority import CertificateAuthority

_EPILOG = """\
In the shell in which the client is started, while a proxy runs in another:

  eval "$(faultinject env)"
  faultinject env --shell fish | source
  faultinject env --shell powershell | Invoke-Expression

For a container that shares the host's network:

  faultinject env --shell dotenv > proxy.env
"""
_TAKEN = (
    "faultinject: for a proxy whose target is {}; if it has others, name them by --target-host, as"
    " for the proxy, or its file by --ready-file"
)
_MOST_BYTES = 1024 * 1024
_CONNECT_SECONDS = 5.0


@click.command("env", cls=HelpfulCommand, params=table_options(ENV_OPTIONS), epilog=_EPILOG)
def env(**given: Any) -> int:
    """Print the variables for the clients of a proxy that runs.

    They lead clients to the proxy and make them trust it, as those do that 'faultinject run' sets
    for its command. The proxy is found by its ready file, or at its host and port.
    """
    settings = settings_as(RunSettings, given, ENV_OPTIONS)
    address = None
    if settings.ready_file is not None:
        settings, address = _read(settings, settings.ready_file)
    url = address.url if address else _url(settings)
    trio.run(_check_listens, url)
    if address is None and settings.target_host == DEFAULT_TARGETS:
        write_line(_TAKEN.format(", ".join(map(str, DEFAULT_TARGETS))))
    return print_environment(settings, given["shell"] or "sh", address)


def print_environment(settings: RunSettings, shell: str, address: Address | None = None) -> int:
    """Print the variables for the clients of a proxy with these settings; return the exit code.

    Without an address it is where the settings say.
    """
    url = address.url if address else _url(settings)
    route = route_of(settings, os.environ, warn, url=url)
    if address is None:
        chosen = settings.ca_cert, settings.ca_key, settings.data_dir
        authority = CertificateAuthority.chosen(*chosen) if route.proxy else None
        address = Address(url, authority.certificate_path if authority else None)
    # At one port for all, where a request's path and headers show the target.
    address = evolve(address, base_urls=dict.fromkeys(route.base_url_targets, url))
    maker = EnvironmentMaker(route, os.environ, warn, java=settings.java)
    click.echo(shown_in(shell, maker.changes(address)), nl=False)
    return 0


def _url(settings: RunSettings) -> str:
    if settings.proxy_port == 0:
        raise SettingsError("--proxy-port: it must be the port at which the proxy listens")
    return local_url(settings.host, settings.proxy_port)


def _read(settings: RunSettings, file: Path) -> tuple[RunSettings, Address]:
    """Return what a proxy's ready file says. Raises `SettingsError`."""
    try:
        said = json.loads(read_plain_file(file, _MOST_BYTES))
        targets = tuple(map(TargetPattern.parse_target, said["targets"]))
        ca_cert = None if said["ca_cert"] is None else Path(said["ca_cert"])
        address = Address(str(said["proxy"]), ca_cert)
        fake = bool(said["fake_upstream"])
    except OSError as error:
        raise SettingsError(
            f"{file}: {error.strerror or error}; the proxy writes its ready file once it listens"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{file}: it is not the ready file of a proxy") from None
    return evolve(settings, target_host=targets, fake_upstream=fake), address


async def _check_listens(url: str) -> None:
    """Raise `StartError` if nothing listens at a URL: clients would be led nowhere."""
    try:
        authority = Authority.parse(url.removeprefix("http://"))
        with trio.fail_after(_CONNECT_SECONDS):
            stream = await trio.open_tcp_stream(authority.host, authority.port)
    except (OSError, ValueError, trio.TooSlowError):
        raise StartError(
            f"nothing listens at {url}: start 'faultinject proxy', or name its port by"
            " --proxy-port or its file by --ready-file"
        ) from None
    await stream.aclose()
