"""Events of a client's connection, apart from the requests that come by it."""

from __future__ import annotations

from attrs import field, frozen

from faultinject.events.event import Event, Level

SURGE_CONNECTIONS = 200
"""So many connections at once are a surge: some 15 MiB. Much is tidied up once they have left."""


@frozen(kw_only=True)
class SessionStarted(Event):
    """A client connected."""

    NAME = "session-started"
    LEVEL = "debug"

    session: int
    client: str
    """The client's address and port."""


@frozen(kw_only=True)
class ClientHelloRead(Event):
    """A client began TLS inside its tunnel."""

    NAME = "client-hello"
    LEVEL = "debug"

    session: int
    authority: str
    server_name: str | None
    alpn: tuple[str, ...]
    """Protocols that the client offers; empty if it offers none."""


@frozen(kw_only=True)
class HandshakeCompleted(Event):
    """TLS with a client is up."""

    NAME = "handshake-completed"
    LEVEL = "debug"

    session: int
    host: str
    """The name that our leaf was minted for."""
    tls_version: str
    alpn: str | None
    milliseconds: float


@frozen(kw_only=True)
class HandshakeFailed(Event):
    """TLS with a client did not come up."""

    NAME = "handshake-failed"
    LEVEL = "warning"

    session: int
    client: str
    host: str
    reason: str
    refused: bool
    """The client said that it does not trust our certificate."""
    left: bool = False
    """The client ended the connection without an alert, perhaps because it does not trust it."""


@frozen(kw_only=True)
class RelayEnded(Event):
    """A tunnel was passed on untouched, and has ended; or there was no upstream to open it to."""

    NAME = "relay"

    session: int
    client: str
    host: str
    port: int
    reason: str
    """Why it was not looked into: ``not a target``, ``neither TLS nor HTTP``, …"""
    sent_bytes: int
    """From the client to the upstream."""
    received_bytes: int
    """From the upstream to the client."""
    milliseconds: float
    error: str | None = None
    opened: bool = True
    """Whether the upstream was reached; without it nothing was passed on."""

    @property
    def level(self) -> Level:
        """A warning if the tunnel did not come up or broke."""
        return "warning" if self.error else "info"


@frozen(kw_only=True)
class SessionEnded(Event):
    """A client connection is over."""

    NAME = "session-ended"
    LEVEL = "debug"

    session: int
    reason: str
    exchanges: int
    milliseconds: float


@frozen(kw_only=True)
class SessionFailed(Event):
    """A defect of ours ended a session; the others go on."""

    NAME = "session-failed"
    LEVEL = "error"

    session: int
    client: str
    error: str
    traceback: str = field(repr=False)
