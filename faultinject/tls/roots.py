"""What upstreams are verified by: the system's certificates, and those that the user trusts.

Knows nothing of who dials them.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from pathlib import Path

from faultinject.errors import SettingsError
from faultinject.files import check_plain_file

# As `ssl.create_default_context` has them, from Python 3.13 on.
_STRICT = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_STRICT
_FLAGS = _STRICT if sys.version_info >= (3, 13) else ssl.VerifyFlags.VERIFY_DEFAULT


def default_context(cafile: Path | None = None) -> ssl.SSLContext:
    """Return a client's settings as `ssl.create_default_context` makes them.

    They trust the system's certificates, or those of a file. Unlike there, a file for key logs
    (SSLKEYLOGFILE) that cannot be opened is no error: there is no log then.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= _FLAGS
    if cafile is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile)
    with contextlib.suppress(OSError):
        _log_keys(context)
    return context


def _log_keys(context: ssl.SSLContext) -> None:
    file = os.environ.get("SSLKEYLOGFILE")
    if file and not sys.flags.ignore_environment:
        context.keylog_filename = file


def key_log_problem() -> str | None:
    """Say what is wrong with the file that SSLKEYLOGFILE names, if anything."""
    try:
        _log_keys(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError as error:
        file = os.environ.get("SSLKEYLOGFILE")
        return f"SSLKEYLOGFILE={file}: cannot be written ({error.strerror}); no keys are logged"
    return None


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
