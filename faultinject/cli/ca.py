"""``faultinject ca``: where the certificate authority is, and how to make clients trust it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from faultinject.cli.commands import HelpfulGroup, settings_of
from faultinject.cli.instructions import instructions_for
from faultinject.cli.table_options import table_options
from faultinject.cli.trust import PLATFORMS, install_certificate, this_platform
from faultinject.config import CA_OPTIONS
from faultinject.errors import SettingsError, StartError
from faultinject.files import read_plain_file, write_within
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import CertificateAuthority

_MOST_BYTES = 1024 * 1024  # as for the files of a certificate authority
_WRITE_SECONDS = 10.0
_PEM_START = b"-----BEGIN CERTIFICATE-----"
_EPILOG = """\
What a Python program needs:

  export HTTPS_PROXY=http://127.0.0.1:8080
  SSL_CERT_FILE=$(faultinject ca path) python app.py
"""


@click.group("ca", cls=HelpfulGroup, epilog=_EPILOG)
def ca() -> None:
    """Show, export and trust the certificate authority.

    Clients get certificates signed by this authority, so they must trust it. It is made on this
    machine on first use, and its key never leaves the machine.
    """


@ca.command("path", params=table_options(CA_OPTIONS))
def path(**given: Any) -> int:
    """Print the path of the certificate. It is made if there is none yet."""
    click.echo(str(_authority(settings_of(given, CA_OPTIONS)).certificate_path))
    return 0


@ca.command("export", params=table_options(CA_OPTIONS))
@click.argument("file", type=click.Path(path_type=Path))
def export(file: Path, **given: Any) -> int:
    """Write the certificate (PEM) to FILE; '-' is standard output."""
    return export_and_install(settings_of(given, CA_OPTIONS), file, install=False)


@ca.command("instructions", params=table_options(CA_OPTIONS))
@click.option(
    "--platform",
    type=click.Choice([*PLATFORMS, "all"]),
    help="The platform to print instructions for; by default this system.",
)
def instructions(platform: str | None, **given: Any) -> int:
    """Print how to install, check and remove the certificate, and which variables clients read."""
    authority = _authority(settings_of(given, CA_OPTIONS))
    names = tuple(PLATFORMS) if platform == "all" else (platform or this_platform(),)
    text = instructions_for(names, authority.certificate_path, authority.certificate_pem)
    click.echo(text)
    return 0


def export_as_asked(settings: Settings, given: dict[str, Any]) -> int:
    """Do what the options ``--export-ca`` and ``--install-ca`` ask for; return the exit code."""
    file = Path(given["export_ca"]).expanduser() if given["export_ca"] else None
    return export_and_install(settings, file, install=bool(given["install_ca"]))


def export_and_install(settings: Settings, file: Path | None, *, install: bool) -> int:
    """Do what ``--export-ca`` and ``--install-ca`` ask for; return the exit code."""
    authority = _authority(settings)
    if file is not None:
        export_certificate(authority.certificate_pem, file)
    if not install:
        return 0
    return install_certificate(authority.certificate_path)


def export_certificate(pem: bytes, file: Path) -> None:
    """Write a certificate to a file, or to standard output for ``-``.

    Raises `SettingsError` if the file has other contents, `StartError` if it cannot be written.
    """
    if str(file) == "-":
        click.echo(pem, nl=False)
        return
    try:
        if file.exists() and not _may_be_replaced(file, pem):
            raise SettingsError(
                f"{file}: the file exists and is not one certificate; choose another name"
            )
        write_within(file, pem, _WRITE_SECONDS)
    except OSError as error:
        raise StartError(f"cannot write {file}: {error.strerror or error}") from None


def _may_be_replaced(file: Path, pem: bytes) -> bool:
    """Return True if a file holds one certificate and nothing else (or is empty, from mktemp).

    The system's bundle starts like a certificate too, and a key may follow one.
    """
    if not file.is_file():
        return file.is_char_device() or file.is_fifo()  # /dev/null, /dev/stdout
    held = read_plain_file(file, _MOST_BYTES)
    one = held.lstrip().startswith(_PEM_START) and held.count(b"-----BEGIN ") == 1
    return one or held in (b"", pem)


def _authority(settings: Settings) -> CertificateAuthority:
    """Open the certificate authority of the settings."""
    return CertificateAuthority.chosen(settings.ca_cert, settings.ca_key, settings.data_dir)
