"""The TLS handshake with a client.

Knows nothing of HTTP, and nothing of which certificate is shown.
"""

from __future__ import annotations

import ssl

import trio

from faultinject.errors import HandshakeError
from faultinject.tls.stream import TlsStream

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


async def accept_tls(
    transport: trio.abc.Stream, received: bytes, context: ssl.SSLContext, limit_seconds: float
) -> TlsStream:
    """Do the handshake as the serving side, the first bytes of which were read already.

    The transport stays its owner's to close if this fails. Raises `HandshakeError`.
    """
    stream = TlsStream(transport, context, server_side=True, received=received)
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
