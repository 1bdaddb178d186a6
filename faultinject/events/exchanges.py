"""Events of a request and its answer."""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen

from faultinject.events.event import Event, Level
from faultinject.observed import NOTHING_OBSERVED, Observed
from faultinject.seen import AnySeen

Outcome = Literal[
    "injected",  # answered by a rule, or left without an answer by one
    "forwarded",  # the upstream's own answer, whole
    "upgraded",  # 101: the connection became a relay
    "upstream-error",  # no whole answer: our own 502 or 504, or the answer broke off
    "client-gone",  # the client left before the answer's end
    "refused",  # the request was not acceptable: our own 4xx, 501 or 505
    "harmed",  # the upstream's own answer, delayed, changed or broken off by a rule
    "not-reached",  # a rule fired, and nothing of it happened: its point never came
]

_NOTHING = NOTHING_OBSERVED.as_dict()


def _observed(seen: AnySeen | None) -> Observed | None:
    return None if seen is None else seen.observed


Kind = Literal[
    "model",  # a call of the API that asks a model to generate
    "api",  # any other call of the API
    "housekeeping",  # what clients send to an API's host beside: telemetry, settings, HEAD, …
    "preflight",  # a browser asks whether a page may make a call (CORS)
    "websocket",  # a client asks for a WebSocket, which rules do not reach
]
"""What a request is for; see `faultinject.providers.provider.Provider.kind`."""


@frozen(kw_only=True)
class ExchangeStarted(Event):
    """A request's head was read. It is told only if the run's level is debug."""

    NAME = "exchange-started"
    LEVEL = "debug"

    session: int
    exchange: int
    """As of `ExchangeEnded`, which follows."""
    client: str
    method: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    """Without the query, which may hold keys."""
    kind: Kind | None
    """What the request is for; None if it is a CONNECT."""


@frozen(kw_only=True, slots=False)  # to fill so many slots takes four times as long
class ExchangeEnded(Event):
    """A request was answered, or not."""

    NAME = "exchange"

    session: int
    exchange: int
    """Counts the exchanges of the session from 1."""
    client: str
    target: str
    """The target pattern that the upstream matched, or its host if it is no target; empty if the
    request named no host."""
    method: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    """Without the query, which may hold keys."""
    outcome: Outcome
    rule: str | None
    """The id of the rule that fired."""
    status: int | None
    """The status that the client got; None if it got none."""
    request_bytes: int
    """Bytes of the request's body that were read."""
    response_bytes: int
    """Bytes of the response's body that were sent."""
    milliseconds: float
    """From the request's head to the end of the answer."""
    error: str | None = None
    """What went wrong, in words."""
    fault: str | None = None
    """What a rule did to the answer, in words, and what it could not do."""
    kind: Kind | None = None
    """What the request is for; None if it named no host, or is a CONNECT."""
    path_mended_from: str | None = None
    """The path as the client sent it, if ``path``, the API's own, was asked for in its place."""
    seen: AnySeen | None = field(default=None, repr=False, eq=_observed)
    """What was seen of it as an attempt of a call; None if it is no request to an API."""

    @property
    def observed(self) -> Observed | None:
        """What was seen of it, which may be found out only now (`Settings.observes_late`)."""
        return _observed(self.seen)

    @property
    def ended_seconds(self) -> float | None:
        """When it ended, since the start of the run; None if that is not known."""
        began = None if self.seen is None else self.seen.began_seconds
        return None if began is None else round(began + self.milliseconds / 1000, 3)

    @property
    def level(self) -> Level:
        """A warning if the answer is not what upstream or a rule meant."""
        return "warning" if self.outcome in ("upstream-error", "refused") else "info"

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it: the fields of ``observed`` stand beside the others."""
        values = super().as_dict()
        del values["seen"]
        values.update(_NOTHING if self.seen is None else self.seen.observed.as_dict())
        return values


@frozen(kw_only=True)
class FaultBegan(Event):
    """A fault began that takes time. The exchange's own event tells of its end."""

    NAME = "fault-began"

    session: int
    exchange: int
    client: str
    method: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    """Without the query, which may hold keys."""
    rule: str | None
    """The id of the rule that fired."""
    fault: str
    """What happens, and where, in words."""
    seconds: float | None
    """How long it takes at most; None if nothing bounds it but the client, or the answer's end."""
