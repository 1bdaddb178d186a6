"""The exceptions of the package.

Exceptions of libraries are translated into these where they arise. Any other exception is a bug.
"""

from __future__ import annotations


class FaultinjectError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(FaultinjectError):
    """Something that the user gave (an option, variable, file or certificate) cannot be used.

    The message is one line: what is wrong, where, and what would be right. Exit code 2.
    """


class DataDirectoryError(SettingsError):
    """The directory of our own certificate authority cannot be found or used."""


class StartError(FaultinjectError):
    """The settings are right, but the machine refuses, for example a port in use. Exit code 1."""


class CheckError(FaultinjectError, AssertionError):
    """A test tested nothing, or its program took a failure badly: see `faultinject.Proxy.check`."""


class PeerError(FaultinjectError):
    """A peer made it impossible to go on. The subclass says which peer."""

    was_reset = False
    """Whether its connection ended with a reset."""


class ClientGoneError(PeerError):
    """The client's connection ended too early."""


class ClientProtocolError(PeerError):
    """The client broke HTTP/1.1. ``status`` is for the answer (RFC 9110 section 15.5)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class UpstreamError(PeerError):
    """The upstream could not be reached, or did not answer properly.

    ``status`` is the gateway error for the client: 502 or 504 (RFC 9110 sections 15.6.3 and
    15.6.5). ``kind`` is a stable word for programs: ``dns``, ``connect``, ``tls``,
    ``certificate``, ``timeout``, ``disconnected``, ``protocol``, ``loop``, ``pipelined``.
    """

    def __init__(self, kind: str, message: str, status: int = 502) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class UnansweredError(UpstreamError):
    """A reused upstream connection took a request and ended without an answer.

    The request must not be repeated: whether it was acted on is not known, and its method is not
    idempotent (RFC 9110 section 9.2.2). The client's connection ends, as it would have directly.
    """

    def __init__(self, reason: str, why_not_again: str) -> None:
        super().__init__(
            "disconnected",
            "the upstream ended a connection that was used before, without an answer to this"
            f" request ({reason}); it is not sent again, because {why_not_again}",
        )


class HandshakeError(FaultinjectError):
    """The TLS handshake with a client failed.

    ``refused`` is true if the client sent an alert that it does not trust our certificate, ``left``
    if it ended the connection without an alert, as some clients do in that case too. ``reason``
    has words: those of the alert, if there was one.
    """

    def __init__(self, reason: str, *, refused: bool = False, left: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused
        self.left = left
