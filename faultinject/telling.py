"""What is told of a tunnel, and of an exchange.

Knows nothing of how they went on.
"""

from __future__ import annotations

import math
import re
import time
from typing import Literal

from faultinject.authority import Authority
from faultinject.errors import HandshakeError
from faultinject.events import (
    ClientHelloRead,
    ExchangeEnded,
    FaultBegan,
    HandshakeFailed,
    Kind,
    Outcome,
    RelayEnded,
    Warned,
)
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed
from faultinject.proxy.session import Session, milliseconds_since
from faultinject.tls.client_hello import ClientHello

_BEHIND_THE_PATH = re.compile(rb"[?#;&]|%(?:3[fF]|23|3[bB]|26)")
"""Where a query, a fragment or a parameter begins, as it is or percent-encoded by mistake."""


def told_path(request: RequestHead) -> str:
    """Return a request's path as events have it: nothing in which keys are put.

    Without a query, a fragment, or parameters, and empty if the target is a URL, which may have a
    user in it.
    """
    path = _BEHIND_THE_PATH.split(request.target, maxsplit=1)[0].decode("ascii", "backslashreplace")
    return path if path.startswith("/") or path == "*" else ""


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


NOTICEABLE_SECONDS = 1.0
"""A fault that takes so long is told of when it begins."""


def tell_wait(
    session: Session,
    authority: Authority,
    fault: str,
    seconds: float,
    *,
    method: str,
    scheme: Literal["http", "https"],
    path: str,
    rule: str | None,
) -> None:
    """Tell that a fault begins to take time in a session's latest exchange, if that is noticeable.

    ``fault`` is in words; ``seconds`` is how long it takes at most, or infinity.
    """
    if seconds < NOTICEABLE_SECONDS:
        return
    session.emit(
        FaultBegan(
            time=time.time(),
            session=session.id,
            exchange=session.exchanges,
            client=session.client,
            method=method,
            scheme=scheme,
            host=authority.host,
            port=authority.port,
            path=path,
            rule=rule,
            fault=fault,
            seconds=None if seconds == math.inf else round(seconds, 3),
        )
    )


def tell_exchange(
    session: Session,
    authority: Authority | None,
    started: float,
    *,
    method: str,
    scheme: Literal["http", "https"],
    path: str,
    outcome: Outcome,
    rule: str | None,
    status: int | None = None,
    request_bytes: int = 0,
    response_bytes: int = 0,
    error: str | None = None,
    fault: str | None = None,
    kind: Kind | None = None,
    path_mended_from: str | None = None,
) -> None:
    """Tell of the end of a session's latest exchange.

    ``authority`` is None if the request named no host; ``started`` is a reading of
    `time.perf_counter`; the rest is as `ExchangeEnded` has it.
    """
    host, port = (authority.host, authority.port) if authority else ("", 0)
    target = session.services.target_of(host, port) if authority else None
    session.emit(
        ExchangeEnded(
            time=time.time(),
            session=session.id,
            exchange=session.exchanges,
            client=session.client,
            target=str(target or host),
            method=method,
            scheme=scheme,
            host=host,
            port=port,
            path=path,
            outcome=outcome,
            rule=rule,
            status=status,
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            milliseconds=milliseconds_since(started),
            error=error,
            fault=fault,
            kind=kind,
            path_mended_from=path_mended_from,
        )
    )
