"""The result of a run: requests by target and outcome, and what was not decrypted.

All times are those of the events. `faultinject.report.table` shows it to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from attrs import define, field

from faultinject.events import (
    CommandEnded,
    Event,
    ExchangeEnded,
    HandshakeFailed,
    Kind,
    Outcome,
    PluginStarted,
    PluginStopped,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
    SessionFailed,
    SessionStarted,
    rfc3339,
)

VERSION = 1
"""Version of the summary's fields; it changes when a field is renamed or changes its meaning."""
MAX_HOSTS = 1000
"""The most hosts that one table has by name; strangers choose those names."""
OTHER = "(other)"
"""The name of all further hosts together. No host can have parentheses."""

MAX_REQUEST_CHARACTERS = 200
MAX_UNFIT = 100
"""The longest method and path that a table has; clients choose them."""

_V = TypeVar("_V")


class TextSink(Protocol):
    """What a summary can be written to: a text file, or an `EventOutput`."""

    def write(self, text: str, /) -> object:
        """Write the text."""
        ...


@define(eq=False, repr=False)
class TargetCounts:
    """The exchanges with one target, or with one host that is not a target."""

    target: str
    rate_asked: float | None
    """The probability that was asked for; None for a host that is not a target."""
    outcomes: dict[Outcome, int] = field(
        factory=lambda: {
            "injected": 0,
            "forwarded": 0,
            "upgraded": 0,
            "upstream-error": 0,
            "client-gone": 0,
            "refused": 0,
            "harmed": 0,
            "not-reached": 0,
        }
    )

    @property
    def requests(self) -> int:
        """How many exchanges ended, with any outcome."""
        return sum(self.outcomes.values())

    @property
    def tested(self) -> int:
        """How many of them rules could apply to: all but those that were refused."""
        return self.requests - self.outcomes["refused"]

    @property
    def rate_seen(self) -> float | None:
        """The part of ``tested`` that a rule injected or harmed; None if there were none."""
        faults = self.outcomes["injected"] + self.outcomes["harmed"]
        return faults / self.tested if self.tested else None

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as in the JSON summary."""
        return {
            "target": self.target,
            "requests": self.requests,
            "injected": self.outcomes["injected"],
            "rate_asked": self.rate_asked,
            "rate_seen": None if self.rate_seen is None else round(self.rate_seen, 6),
            "forwarded": self.outcomes["forwarded"],
            "upgraded": self.outcomes["upgraded"],
            "upstream_errors": self.outcomes["upstream-error"],
            "client_gone": self.outcomes["client-gone"],
            "refused": self.outcomes["refused"],
            "harmed": self.outcomes["harmed"],
            "not_reached": self.outcomes["not-reached"],
        }


@define(eq=False, repr=False)
class RuleCounts:
    """How often one rule was reached and fired; known at the end of the run."""

    rule: str
    reached: int = 0
    fired: int = 0
    not_reached: int = 0
    """How often it fired without effect, because its point never came."""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as in the JSON summary."""
        return {
            "rule": self.rule,
            "reached": self.reached,
            "fired": self.fired,
            "not_reached": self.not_reached,
        }


def _key(table: dict[str, _V], name: str) -> str:
    return name if name in table or len(table) < MAX_HOSTS else OTHER


def _count(table: dict[str, int], name: str) -> None:
    key = _key(table, name)
    table[key] = table.get(key, 0) + 1


class Summary:
    """Counts events; ``listen`` is the listener.

    ``events_dropped`` returns how many events were not written (`EventOutput.dropped`).
    """

    def __init__(self, events_dropped: Callable[[], int] = lambda: 0) -> None:
        self._events_dropped = events_dropped
        self._last_time = 0.0
        self.started: ProxyStarted | PluginStarted | None = None
        self.sessions = 0
        self.targets: dict[str, TargetCounts] = {}
        self.rules: dict[str, RuleCounts] = {}
        self.left_out: dict[str, int] = {}
        """Requests that ``--only`` excludes and that passed, by method and path."""
        self.left_out_hit: dict[str, int] = {}
        """Requests that ``--only`` excludes and that a rule of the user hit."""
        self.preflights = 0
        self.websockets = 0
        self.ran_command = False
        """Whether the run was started for a command, whose environment was set."""
        self.refused = 0
        """Requests that were refused, to any host or to none."""
        self.relayed: dict[str, int] = {}
        self.unopened_tunnels: dict[str, int] = {}
        self.relay_reasons: dict[str, int] = {}
        """Why tunnels were not decrypted, including those that could not be opened."""
        self.refused_handshakes: dict[str, int] = {}
        self.handshake_failures = 0
        self.session_failures = 0
        self.unfit: list[RuleUnfit] = []
        """The first of the rules that mean nothing for an API which they met."""
        self._counts: dict[type[Event], Callable[[Any], None]] = {
            ProxyStarted: self._start,
            PluginStarted: self._start,
            ProxyStopped: self._stop,
            PluginStopped: self._stop,
            SessionStarted: self._session,
            ExchangeEnded: self._exchange,
            RelayEnded: self._relay,
            HandshakeFailed: self._handshake_failure,
            SessionFailed: self._session_failure,
            CommandEnded: self._command,
            RuleUnfit: self._unfit_rule,
        }

    def listen(self, event: Event) -> None:
        """Count an event."""
        self._last_time = event.time
        count = self._counts.get(type(event))
        if count is not None:
            count(event)

    @property
    def only(self) -> str:
        """Which requests presets and the options are for."""
        return "api" if self.started is None else self.started.only

    @property
    def tested(self) -> int:
        """How many requests to targets rules could apply to.

        Those that ``--only`` excludes are not counted.
        """
        return sum(
            counts.tested for counts in self.targets.values() if counts.rate_asked is not None
        )

    @property
    def seconds(self) -> float:
        """The time from the start to the last event."""
        return 0.0 if self.started is None else max(0.0, self._last_time - self.started.time)

    @property
    def events_dropped(self) -> int:
        """How many events the output did not write."""
        return self._events_dropped()

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as written to JSON (docs/events.md)."""
        started = self.started
        return {
            "v": VERSION,
            "started": None if started is None else rfc3339(started.time),
            "seconds": round(self.seconds, 3),
            "seed": None if started is None else started.seed,
            "targets": [counts.as_dict() for counts in self.targets.values()],
            "rules": [counts.as_dict() for counts in self.rules.values()],
            "left_out": dict(self.left_out),
            "left_out_hit": dict(self.left_out_hit),
            "preflights": self.preflights,
            "websockets": self.websockets,
            "sessions": self.sessions,
            "relayed": dict(self.relayed),
            "unopened_tunnels": dict(self.unopened_tunnels),
            "refused_handshakes": dict(self.refused_handshakes),
            "handshake_failures": self.handshake_failures,
            "session_failures": self.session_failures,
            "unfit": [
                {"rule": each.rule, "host": each.host, "reason": each.reason} for each in self.unfit
            ],
            "events_dropped": self.events_dropped,
        }

    # --- events ---

    def _start(self, event: ProxyStarted | PluginStarted) -> None:
        self.started = event
        for target in event.targets:
            self.targets[target] = TargetCounts(target, event.error_probability)
        self.rules = {rule: RuleCounts(rule) for rule in event.rules}

    def _stop(self, event: ProxyStopped | PluginStopped) -> None:
        for totals in event.rules:
            rule = str(totals["rule"])
            counts = self.rules.setdefault(rule, RuleCounts(rule))
            counts.reached, counts.fired = int(totals["reached"]), int(totals["fired"])

    def _session(self, _: SessionStarted) -> None:
        self.sessions += 1

    def _exchange(self, event: ExchangeEnded) -> None:
        if event.outcome == "not-reached" and event.rule in self.rules:
            self.rules[event.rule].not_reached += 1
        if event.outcome == "refused" and event.method:  # without one it was not a request
            self.refused += 1
        if event.kind == "preflight" and event.rule is None:
            self.preflights += 1
        elif self._is_left_websocket(event):
            self.websockets += 1
        elif event.outcome != "refused" and self._leaves_out(event.kind):
            request = f"{event.method} {event.path}"[:MAX_REQUEST_CHARACTERS]
            _count(self.left_out if event.rule is None else self.left_out_hit, request)
        else:
            self._count_outcome(event)

    def _is_left_websocket(self, event: ExchangeEnded) -> bool:
        """Return True for a request for a WebSocket that passed because of what it is."""
        passed = event.kind == "websocket" and event.rule is None and event.outcome != "refused"
        return passed and self.only != "all"

    def _leaves_out(self, kind: Kind | None) -> bool:
        """Return True if presets and the options are not for requests of this kind."""
        only = self.only
        if only == "model":
            return kind not in ("model", None)
        return only == "api" and kind in ("housekeeping", "preflight")

    def _count_outcome(self, event: ExchangeEnded) -> None:
        counts = self.targets.get(event.target)
        if counts is None:
            key = _key(self.targets, event.target)
            counts = self.targets.setdefault(key, TargetCounts(key, None))
        counts.outcomes[event.outcome] += 1

    def _relay(self, event: RelayEnded) -> None:
        _count(self.relayed if event.opened else self.unopened_tunnels, event.host)
        _count(self.relay_reasons, event.reason)

    def _handshake_failure(self, event: HandshakeFailed) -> None:
        if event.refused:
            _count(self.refused_handshakes, event.host)
        else:
            self.handshake_failures += 1

    def _unfit_rule(self, event: RuleUnfit) -> None:
        if len(self.unfit) < MAX_UNFIT:
            self.unfit.append(event)

    def _command(self, _event: CommandEnded) -> None:
        self.ran_command = True

    def _session_failure(self, _: SessionFailed) -> None:
        self.session_failures += 1
