"""One client connection from accept to close, and the events that report on it.

A session runs stages one after another: `http_proxy`, then `tunnel`, then `intercept`.
"""

from __future__ import annotations

import math
import re
import time
import traceback
from collections.abc import Awaitable
from typing import Literal, Protocol

from attrs import Factory, define

from faultinject.authority import Authority
from faultinject.errors import HandshakeError
from faultinject.events import (
    ClientHelloRead,
    Event,
    ExchangeEnded,
    ExchangeStarted,
    FaultBegan,
    HandshakeFailed,
    Kind,
    Outcome,
    RelayEnded,
    SessionEnded,
    SessionFailed,
    SessionStarted,
    Warned,
)
from faultinject.http.message import RequestHead
from faultinject.net.relay import Relayed
from faultinject.net.timeouts import Timeout, TimeoutExpiredError
from faultinject.proxy.runtime import Runtime
from faultinject.proxy.upstream.lease import Lease
from faultinject.rules.facts import Facts, Way
from faultinject.seen import AnySeen
from faultinject.tls.client_hello import ClientHello


class SessionStage(Protocol):
    """A part of a session's life; returns the next stage, or None at the end.

    A stage returns the next one instead of calling it, so that what it held is freed: most of a
    session is spent waiting in the last stage.
    """

    def serve(self, session: Session, /) -> Awaitable[SessionStage | None]:
        """Serve the session's client."""
        ...


@define(eq=False, repr=False)
class Session:
    """One client connection."""

    runtime: Runtime
    id: int
    client: str
    """The client's address and port."""
    exchanges: int = 0
    """How many there were."""
    open_exchanges: int = 0
    """How many of them are not over."""
    waits: bool = False
    """Whether the client's next request is waited for, and none has begun to come."""
    idle_seconds: float = Factory(lambda self: self.runtime.limits.idle_seconds, takes_self=True)
    """How long the client may take to its next request."""
    timeout: Timeout = Factory(
        lambda self: Timeout("a request", self.idle_seconds), takes_self=True
    )
    """The time limit of what the session waits for: at first, for a request."""
    lease: Lease = Factory(lambda self: self.runtime.new_lease(), takes_self=True)
    way: Way | None = None
    """The tunnel that the client has asked for; None if there is none, or the client is unknown."""
    _ended_because: str = "the client's connection was over"

    def emit(self, event: Event) -> None:
        """Send an event to the run's listener."""
        self.runtime.listener(event)

    def begin_exchange(self) -> int:
        """Return the number of an exchange that begins, from 1."""
        self.exchanges += 1
        self.open_exchanges += 1
        return self.exchanges

    def end_exchange(self) -> None:
        """Note that an exchange is over."""
        self.open_exchanges -= 1
        if self.runtime.draining:
            self.drain()

    @property
    def idle(self) -> bool:
        """Whether no exchange is open and none begins, so that the session may end."""
        return self.waits and not self.open_exchanges

    def drain(self) -> None:
        """End now if the session is idle, else after its exchanges."""
        if self.idle:
            self.timeout.expire("the proxy stops")

    async def run(self, first: SessionStage) -> None:
        """Serve the client, stage by stage. An exception ends only this session.

        A defect in faultinject is reported with its traceback; other sessions go on.
        """
        started = time.perf_counter()
        try:
            self.emit(SessionStarted(time=time.time(), session=self.id, client=self.client))
            async with self.lease:
                with self.timeout:
                    stage: SessionStage | None = first
                    while stage is not None:
                        stage = await stage.serve(self)
        except TimeoutExpiredError as error:
            self._ended_because = str(error)
        except Exception as error:  # noqa: BLE001 - other sessions go on
            self._ended_because = "a defect in faultinject"
            self._report_defect(error)
        except BaseException:  # the whole run ends
            self._ended_because = "the proxy stopped"
            raise
        finally:
            self._report_end(started)

    def _report_defect(self, error: Exception) -> None:
        self.emit(
            SessionFailed(
                time=time.time(),
                session=self.id,
                client=self.client,
                error=f"{type(error).__name__}: {error}",
                traceback="".join(traceback.format_exception(error)),
            )
        )

    def _report_end(self, started: float) -> None:
        self.emit(
            SessionEnded(
                time=time.time(),
                session=self.id,
                reason=self._ended_because,
                exchanges=self.exchanges,
                milliseconds=milliseconds_since(started),
            )
        )


def milliseconds_since(started: float) -> float:
    """Return how long ago a `time.perf_counter` reading was."""
    return round((time.perf_counter() - started) * 1e6) / 1000


_BEHIND_THE_PATH = re.compile(rb"[?#;&]|%(?:3[fF]|23|3[bB]|26)")
"""Where a query, a fragment or a parameter begins, as it is or percent-encoded by mistake."""


def reported_path(request: RequestHead) -> str:
    """Return a request's path for events, without anything that may hold a key.

    That is without query, fragment and parameters. It is empty if the target is a URL, with its
    scheme or from ``//`` on, which may have a user and password in it.
    """
    behind = _BEHIND_THE_PATH.search(request.target)
    before = request.target if behind is None else request.target[: behind.start()]
    path = before.decode("ascii", "backslashreplace")
    has_user = path.startswith("//") and "@" in path
    return path if (path.startswith("/") and not has_user) or path == "*" else ""


def report_hello(session: Session, authority: str, hello: ClientHello) -> None:
    """Report a ClientHello; ``authority`` is empty if the client named none before."""
    session.emit(
        ClientHelloRead(
            time=time.time(),
            session=session.id,
            authority=authority,
            server_name=hello.server_name,
            alpn=hello.alpn,
        )
    )


def report_handshake_failure(session: Session, host: str, error: HandshakeError) -> None:
    """Report that a client's TLS handshake failed."""
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
    """Warn that a target's tunnel is relayed, not intercepted."""
    session.emit(Warned(time=time.time(), message=f"{name} is relayed: {reason}"))


def report_relay(
    session: Session,
    authority: Authority,
    reason: str,
    relayed: Relayed,
    started: float,
    *,
    opened: bool = True,
) -> None:
    """Report the end of a relay; ``started`` is a reading of `time.perf_counter`."""
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


def report_start(
    session: Session, number: int, facts: Facts, scheme: Literal["http", "https"], path: str
) -> None:
    """Report that an exchange begins; ``path`` is as `reported_path` returns it."""
    session.emit(
        ExchangeStarted(
            time=time.time(),
            session=session.id,
            exchange=number,
            client=session.client,
            method=facts.method,
            scheme=scheme,
            host=facts.host,
            port=facts.port,
            path=path,
            kind=facts.kind,
        )
    )


NOTICEABLE_SECONDS = 1.0
"""A fault that takes at least so long is reported when it begins."""


def report_wait(
    session: Session,
    authority: Authority | None,
    fault: str,
    seconds: float,
    *,
    number: int,
    method: str,
    scheme: Literal["http", "https"],
    path: str,
    rule: str | None,
) -> None:
    """Report that a fault begins to take time in an exchange, if noticeable.

    ``fault`` is its description; ``seconds`` is how long it takes at most, or infinity; ``number``
    is the exchange's.
    """
    if seconds < NOTICEABLE_SECONDS:
        return
    session.emit(
        FaultBegan(
            time=time.time(),
            session=session.id,
            exchange=number,
            client=session.client,
            method=method,
            scheme=scheme,
            host=authority.host if authority else "",
            port=authority.port if authority else 0,
            path=path,
            rule=rule,
            fault=fault,
            seconds=None if seconds == math.inf else round(seconds, 3),
        )
    )


def report_exchange(
    session: Session,
    authority: Authority | None,
    started: float,
    *,
    number: int,
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
    seen: AnySeen | None = None,
) -> None:
    """Report the end of an exchange; ``number`` is its place among the session's, from 1.

    ``authority`` is None if the request named no host; ``started`` is a reading of
    `time.perf_counter`; the rest is as `ExchangeEnded` has it.
    """
    session.end_exchange()
    host, port = (authority.host, authority.port) if authority else ("", 0)
    session.emit(
        ExchangeEnded(
            time=time.time(),
            session=session.id,
            exchange=number,
            client=session.client,
            target=session.runtime.target_name(host, port) if authority else "",
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
            seen=seen,
        )
    )
