"""What happened in one run of the proxy, as a test looks at it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable

from attrs import define, field

from faultinject.events import (
    Event,
    ExchangeEnded,
    FaultBegan,
    HandshakeFailed,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    SessionFailed,
    Warned,
)
from faultinject.report.lines import TextFormat
from faultinject.testing.wanted import Expected

KEPT = 10_000
"""So many of the latest events are kept."""
_SHOWN = (ExchangeEnded, FaultBegan, RelayEnded, HandshakeFailed, SessionFailed, Warned)
"""The events that a timeline shows."""
_KEPT = (*_SHOWN, ProxyStarted, ProxyStopped)
Totals = Iterable[dict[str, str | int]]
"""How often each rule (``rule``) was ``reached`` and ``fired``."""


@define(eq=False)
class Recorder:
    """Listens to a run."""

    _events: deque[Event] = field(factory=lambda: deque(maxlen=KEPT))
    _missed: Counter[str] = field(factory=Counter)
    """How often each rule fired without anything coming of it."""

    def listen(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, _KEPT):
            self._events.append(event)
        if isinstance(event, ExchangeEnded) and event.outcome == "not-reached":
            self._missed[str(event.rule)] += 1

    def warn(self, message: str) -> None:
        """Take note of something that the user should know, once."""
        if not any(isinstance(each, Warned) and each.message == message for each in self.events):
            self.listen(Warned(time=time.time(), message=message))

    @property
    def events(self) -> list[Event]:
        """The events that are kept."""
        return list(self._events)

    @property
    def exchanges(self) -> list[ExchangeEnded]:
        """The exchanges among them."""
        return [event for event in self.events if isinstance(event, ExchangeEnded)]

    def timeline(self) -> str:
        """Return a line for each thing that happened."""
        text = TextFormat()
        return "".join([text(event) for event in self.events if isinstance(event, _SHOWN)])

    def unfired(self, expected: Iterable[Expected], totals: Totals) -> list[str]:
        """Return a sentence for each of the expected of which nothing came.

        ``totals`` are those of all rules, in the order in which they are expected. Exchanges that
        are still open count: their rule has fired.
        """
        rows = iter(totals)
        groups = [(each, [next(rows) for _ in range(each.count)]) for each in expected]
        return [
            f"nothing came of {each.label}: {self._why(rules, each)}"
            for each, rules in groups
            if not each.optional and not any(map(self._came, rules))
        ]

    def _came(self, row: dict[str, str | int]) -> bool:
        return int(row["fired"]) > self._missed[str(row["rule"])]

    def _why(self, rows: list[dict[str, str | int]], expected: Expected) -> str:
        if any(row["fired"] for row in rows):
            return "it fired, but what it was to harm never came"
        if reached := sum(int(row["reached"]) for row in rows):
            hint = f"; use {expected.surer}" if expected.surer else ""
            return f"requests reached it ({reached}), and it did not fire{hint}"
        if self.exchanges:
            meant = f": it is for {expected.is_for}" if expected.is_for else ""
            return f"no request matched it{meant}"
        return "no request came through the proxy"
