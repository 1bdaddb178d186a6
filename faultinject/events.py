"""What happened, as immutable values; the only source of log lines.

Each event has a ``NAME`` for programs. The fields are promises (see docs/events.md), and no field
ever holds a header, a body or a query.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Literal

from attrs import field, fields, frozen

from faultinject.observed import NOTHING_OBSERVED, Observed

VERSION = 1
"""Version of the events' fields; it changes when one is renamed or changes its meaning."""

Level = Literal["debug", "info", "warning", "error"]
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

Kind = Literal[
    "model",  # a call of the API that asks a model to generate
    "api",  # any other call of the API
    "housekeeping",  # what clients send to an API's host beside: telemetry, settings, HEAD, …
    "preflight",  # a browser asks whether a page may make a call (CORS)
    "websocket",  # a client asks for a WebSocket, which rules do not reach
]
"""What a request is for; see `faultinject.providers.provider.Provider.kind`."""


@lru_cache(maxsize=1)  # most events fall into the second of the one before
def _utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(seconds: float) -> str:
    """Return seconds since the epoch as UTC with milliseconds (RFC 3339 section 5.6)."""
    second, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{_utc_second(second)}.{milliseconds:03d}Z"


@frozen(kw_only=True)
class Event:
    """Something that happened, at ``time`` (seconds since the epoch)."""

    NAME: ClassVar[str]
    LEVEL: ClassVar[Level] = "info"
    _names: ClassVar[tuple[str, ...]]

    time: float

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        # Once a class, since `as_dict` is on the path of every request.
        cls._names = tuple(each.name for each in fields(cls) if each.name != "time")

    @property
    def level(self) -> Level:
        """How much it matters."""
        return self.LEVEL

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it: name, version, level and time, then the fields.

        ``time`` is text (`rfc3339`). Not `attrs.asdict`: that looks into every value for nested
        classes, which takes longer than all the rest of an event.
        """
        values: dict[str, Any] = {"event": self.NAME, "v": VERSION, "level": self.level}
        values["time"] = rfc3339(self.time)
        for name in self._names:
            values[name] = getattr(self, name)
        return values


@frozen(kw_only=True)
class RunStarted(Event):
    """The proxy or the plugin listens."""

    version: str
    host: str
    """The address to listen on, as given; 0.0.0.0 and :: stand for every one of the machine's."""
    targets: tuple[str, ...]
    error_probability: float
    status_code: int
    seed: int
    ca_cert: str | None
    """Path of the certificate that clients must trust; None if there is no certificate authority,
    so that the proxy is of use as base URL alone."""
    rules: tuple[str, ...] = ("options",)
    """The names (or ids) of the rules in force, in order; ``options`` is that of the options."""
    chances: dict[str, float] = field(factory=dict, hash=False)
    """The chance of each rule that does not fire whenever it may, but of that of the options;
    a ramp's greatest."""
    only: Literal["model", "api", "all"] = "api"
    """Which requests presets and the options are for."""
    unknown_apis: tuple[str, ...] = ()
    """Those hosts among the targets whose API is not known: their errors are generic."""
    first_attempts: dict[str, int] = field(factory=dict, hash=False)
    """For how many of the first attempts of each call a rule is, by its name; those for which all
    attempts are alike are not in it."""
    only_for: tuple[str, ...] = ()
    """The names of the rules that ``only`` is for: those of presets and of the options."""
    refuse_websocket: bool = False
    """Whether clients that ask a target for a WebSocket are answered 426."""
    presets: dict[str, str] = field(factory=dict, hash=False)
    """The preset that each rule of a preset is of, by the rule's name."""


@frozen(kw_only=True)
class RunStopped(Event):
    """It does not listen any more, and every session has ended."""

    reason: str
    rules: tuple[dict[str, str | int], ...] = ()
    """How often each rule (``rule``) was ``reached`` and ``fired``."""


@frozen(kw_only=True)
class ProxyStarted(RunStarted):
    """The proxy listens."""

    NAME = "proxy-started"

    url: str
    """What clients on this machine use as proxy or base URL."""
    port: int
    fake_upstream: bool


@frozen(kw_only=True)
class ProxyStopped(RunStopped):
    """The proxy does not listen any more."""

    NAME = "proxy-stopped"


@frozen(kw_only=True)
class PluginStarted(RunStarted):
    """The plugin listens for Fault."""

    NAME = "plugin-started"

    client_url: str
    """Where Fault calls about the client's side of tunnels."""
    upstream_url: str
    """Where Fault calls about the upstream's side of tunnels."""
    tunnel: Literal["duplex", "reply"]
    command: str
    """How Fault is started so that it uses the plugin."""


@frozen(kw_only=True)
class PluginStopped(RunStopped):
    """The plugin does not listen any more."""

    NAME = "plugin-stopped"


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
    observed: Observed | None = None
    """What was seen of it as an attempt of a call; None if it is no request to an API."""

    @property
    def level(self) -> Level:
        """A warning if the answer is not what upstream or a rule meant."""
        return "warning" if self.outcome in ("upstream-error", "refused") else "info"

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it: the fields of ``observed`` stand beside the others."""
        values = super().as_dict()
        del values["observed"]
        values.update(_NOTHING if self.observed is None else self.observed.as_dict())
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


@frozen(kw_only=True)
class Warned(Event):
    """Something the user should know that concerns no single session."""

    NAME = "warning"
    LEVEL = "warning"

    message: str


@frozen(kw_only=True)
class CommandEnded(Event):
    """The command that the run was started for is over."""

    NAME = "command-ended"

    code: int | None
    """Its exit code; None if a signal ended it."""
    signal: int | None
    """The signal that ended it."""


@frozen(kw_only=True)
class EventsDropped(Event):
    """Events were dropped, because whoever takes the output was too slow or could not take it."""

    NAME = "events-dropped"
    LEVEL = "warning"

    count: int
    """How many since the last such event."""


Listener = Callable[[Event], None]
"""Gets every event, at once, in the event loop: it must not block and must not raise."""
