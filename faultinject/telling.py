"""What is told of a tunnel.

Knows nothing of how it went on.
"""

from __future__ import annotations

import time

from faultinject.authority import Authority
from faultinject.errors import HandshakeError
from faultinject.events import ClientHelloRead, HandshakeFailed, RelayEnded, Warned
from faultinject.relay import Relayed
from faultinject.session import Session, milliseconds_since
from faultinject.tls.client_hello import ClientHello


def tell_hello(session: Session, authority: str, hello: ClientHello) -> None:
    """Tell that a client began TLS; ``authority`` is empty if it named none before."""
    session.emit(
        ClientHelloRead(
            time=time.time(),
            session=session.id,
            authority=authority,
            server_name=hello.server_name,
            alpn=hello.alpn,
        )
    )


def tell_failure(session: Session, host: str, error: HandshakeError) -> None:
    """Tell that a client's TLS did not come up."""
    session.emit(
        HandshakeFailed(
            time=time.time(),
            session=session.id,
            client=session.client,
            host=host,
            reason=error.reason,
            refused=error.refused,
            left=error.left,
        )
    )


def warn_of_relay(session: Session, name: str, reason: str) -> None:
    """Warn that a target's tunnel will be passed on."""
    session.emit(Warned(time=time.time(), message=f"{name} is relayed: {reason}"))


def tell_relay(
    session: Session,
    authority: Authority,
    reason: str,
    relayed: Relayed,
    started: float,
    *,
    opened: bool = True,
) -> None:
    """Tell of a relay's end; ``started`` is a reading of `time.perf_counter`."""
    session.emit(
        RelayEnded(
            time=time.time(),
            session=session.id,
            client=session.client,
            host=authority.host,
            port=authority.port,
            reason=reason,
            sent_bytes=relayed.sent_bytes,
            received_bytes=relayed.received_bytes,
            milliseconds=milliseconds_since(started),
            error=relayed.error,
            opened=opened,
        )
    )
