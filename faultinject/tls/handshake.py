"""TLS handshakes: accepts TLS from clients, and makes the contexts that verify upstreams."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from pathlib import Path

import trio

from faultinject.errors import HandshakeError, SettingsError
from faultinject.files import check_plain_file
from faultinject.tls.layer import TlsLayer, TlsSide, WrapTls

# OpenSSL's ``reason`` in the error if the client sent an alert about our certificate.
_REFUSALS = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)


async def accept_tls(
    wrap_tls: WrapTls,
    transport: trio.abc.Stream,
    received: bytes,
    context: ssl.SSLContext,
    limit_seconds: float,
) -> TlsLayer:
    """Do the handshake as the server; ``received`` are the bytes that were read already.

    ``wrap_tls`` makes the stream. If this fails, the caller still has to close the transport.
    Raises `HandshakeError`.
    """
    stream = wrap_tls(transport, TlsSide(context, received=received))
    with trio.CancelScope(deadline=trio.current_time() + limit_seconds) as scope:
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            raise _failure(error.__cause__ or error) from error
    if scope.cancelled_caught:
        raise HandshakeError(f"the client did not finish its handshake within {limit_seconds:g} s")
    return stream


def _failure(cause: BaseException) -> HandshakeError:
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    if reason is None:  # an end or a reset, not an alert
        return HandshakeError(str(cause), left=True)
    words = reason.rpartition("ALERT_")[2].replace("_", " ").lower()
    return HandshakeError(words, refused=reason in _REFUSALS)


# The flags of `ssl.create_default_context` from Python 3.13 on.
_STRICT = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_STRICT
_FLAGS = _STRICT if sys.version_info >= (3, 13) else ssl.VerifyFlags.VERIFY_DEFAULT


def default_context(cafile: Path | None = None) -> ssl.SSLContext:
    """Return a client's context like `ssl.create_default_context`.

    It trusts the system's certificates, or those of a file. The difference is that a key log
    (SSLKEYLOGFILE) that cannot be opened is not an error: then there is no log.
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
    """Return what is wrong with the file that SSLKEYLOGFILE names, or None."""
    try:
        _log_keys(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError as error:
        file = os.environ.get("SSLKEYLOGFILE")
        return f"SSLKEYLOGFILE={file}: cannot be written ({error.strerror}); no keys are logged"
    return None


def check_roots(file: Path) -> None:
    """Raise `SettingsError` if the certificates that the user named cannot be used."""
    # In a context that is thrown away: one with the system's roots takes about 50 ms, and can wait.
    add_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)


def add_roots(context: ssl.SSLContext, file: Path) -> None:
    """Also trust the certificates of a PEM file. Raises `SettingsError`."""
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
