"""The TLS handshake with a client.

Knows nothing of HTTP, and nothing of which certificate is shown.
"""

from __future__ import annotations

import contextlib
import ssl

import trio

from faultinject.errors import HandshakeError
from faultinject.tls.client_hello import AlertDescription, fatal_alert

# How OpenSSL says in an error's ``reason`` that the client sent an alert about our certificate.
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

_ALERTS = {
    "UNSUPPORTED_PROTOCOL": AlertDescription.PROTOCOL_VERSION,
    "NO_SHARED_CIPHER": AlertDescription.HANDSHAKE_FAILURE,
    "NO_SUITABLE_KEY_SHARE": AlertDescription.HANDSHAKE_FAILURE,
}


async def accept_tls(
    transport: trio.abc.Stream, context: ssl.SSLContext, limit_seconds: float
) -> trio.SSLStream[trio.abc.Stream]:
    """Do the handshake as the serving side.

    The transport stays its owner's to close if this fails. Raises `HandshakeError`.
    """
    stream = trio.SSLStream(transport, context, server_side=True)
    with trio.move_on_after(limit_seconds) as scope:
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            raise await _failure(transport, error.__cause__) from error
    if scope.cancelled_caught:
        raise HandshakeError(f"the client did not finish its handshake within {limit_seconds:g} s")
    return stream


async def _failure(transport: trio.abc.Stream, cause: BaseException | None) -> HandshakeError:
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    if reason in _REFUSALS:
        words = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return HandshakeError(f"the client does not trust the certificate ({words})", refused=True)
    if reason is None or "ALERT" in reason:
        return HandshakeError(str(cause or "the client closed the connection"))
    await _send_alert(transport, _ALERTS.get(reason, AlertDescription.HANDSHAKE_FAILURE))
    return HandshakeError(reason.replace("_", " ").lower())


async def _send_alert(transport: trio.abc.Stream, description: AlertDescription) -> None:
    """Say why: OpenSSL has made the alert too, but `trio.SSLStream` keeps it to itself."""
    with contextlib.suppress(trio.BrokenResourceError):
        await transport.send_all(fatal_alert(description))
