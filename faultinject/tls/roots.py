"""The certificates that the user trusts upstreams by, beside the system's.

Knows nothing of who dials them.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from faultinject.errors import SettingsError
from faultinject.plain_files import check_plain_file


def check_roots(file: Path) -> None:
    """Raise `SettingsError` if the certificates that the user named cannot be used."""
    # Into settings of no use: those with the system's roots take some 50 ms and can wait.
    add_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)


def add_roots(context: ssl.SSLContext, file: Path) -> None:
    """Trust the certificates of a PEM file, too. Raises `SettingsError`."""
    try:
        check_plain_file(file)
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise SettingsError(
            f"{file}: has no PEM certificate to verify upstreams with; it should start with"
            " '-----BEGIN CERTIFICATE-----'"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{file}: cannot be read ({error.strerror}); name a PEM file of certificates to verify"
            " upstreams with"
        ) from None
