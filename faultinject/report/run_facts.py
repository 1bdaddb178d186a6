"""What a run's events say of the run itself: what was meant to happen, and what did."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import inf
from typing import Any

from attrs import define, evolve, field, frozen

from faultinject.events import (
    CommandEnded,
    Event,
    EventsDropped,
    ExchangeEnded,
    HandshakeFailed,
    PluginStarted,
    PluginStopped,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
)
from faultinject.report.display import brief
from faultinject.seen import CALL, PlainSeen, Seen

KEPT_LOGINS = 1000
KEPT_HOSTS = 1000
KEPT_UNFIT = 1000
_TOKEN_PATH = ("token", "oauth", "login", "auth", "refresh", "sts", "session")


OF_SIGNALS = 128
"""Exit codes from here on say that a signal ended a command."""
OF_TIMEOUT = 124
"""The exit code of the command `timeout` says that it ended a command by a signal."""


@define(eq=False, repr=False)
class RunFacts:
    """What is known of a run besides its calls; ``listen`` takes its events in order."""

    started: ProxyStarted | PluginStarted | None = None
    stopped: ProxyStopped | PluginStopped | None = None
    command: CommandEnded | None = None
    requests: int = 0
    """Requests to targets; housekeeping, preflights and WebSockets apart."""
    housekeeping: int = 0
    """Housekeeping and preflights."""
    housekept: set[str] = field(factory=set)
    """The hosts that it was for."""
    websockets: int = 0
    """Requests for a WebSocket."""
    unseen: int = 0
    """Requests of which no more is known than that they were: they belong to no call."""
    last_unseen: float = -inf
    """When the last of them began, as far as that is known."""
    happened: dict[str, int] = field(factory=dict)
    """How often something came of each rule."""
    unfit: list[RuleUnfit] = field(factory=list)
    """The first of the rules that mean nothing for an API which they met."""
    refused_handshakes: int = 0
    relayed: int = 0
    dropped: int = 0
    """Events that are missing from a log."""
    logins: deque[tuple[float, float]] = field(factory=lambda: deque(maxlen=KEPT_LOGINS))
    """When requests for a token began and ended, or what may have been some."""
    _zero: float | None = None
    """The time of the run's start."""
    _last: float = 0.0
    _last_told: float = 0.0
    """The time of the last event that a report of a log is made of, too."""

    def listen(self, event: Event) -> None:
        """Take note of an event."""
        if event.time > self._last:
            self._last = event.time
        listen = _LISTEN.get(type(event))
        if listen is not None:
            if event.time > self._last_told:
                self._last_told = event.time
            listen(self, event)

    @property
    def now(self) -> float:
        """The time of the last event, since the start of the run."""
        return self._since_start(self._last)

    @property
    def now_told(self) -> float:
        """The time of the last event of the kinds in `TOLD_BY`, since the start of the run.

        Others are heard before those that wait to be looked at, and are not read back from a log.
        What is judged in between has to be the same there, so they tell no time for it.
        """
        return self._since_start(self._last_told)

    def _since_start(self, time: float) -> float:
        return 0.0 if self._zero is None else max(0.0, round(_logged(time) - self._zero, 3))

    @property
    def command_ended(self) -> bool:
        """Whether the command is over, by itself and not by a signal.

        A shell, and others, tell of a signal by their exit code.
        """
        code = None if self.command is None else self.command.code
        return code is not None and code < OF_SIGNALS and code != OF_TIMEOUT

    @property
    def command_killed(self) -> bool:
        """Whether a signal has ended the command."""
        return self.command is not None and not self.command_ended

    @property
    def over(self) -> float | None:
        """When the command or the run was over, whichever was first; None if neither is."""
        ends = [each.time for each in (self.command, self.stopped) if each is not None]
        return round(min(ends) - self._zero, 3) if ends and self._zero is not None else None

    def _start(self, event: ProxyStarted | PluginStarted) -> None:
        self.started, self._zero = event, _logged(event.time)

    def _stop(self, event: ProxyStopped | PluginStopped) -> None:
        self.stopped = event

    def _command(self, event: CommandEnded) -> None:
        self.command = event

    def _exchange(self, event: ExchangeEnded) -> None:
        seen, kind = event.seen, event.kind
        if self._zero is None:
            began = None if seen is None else seen.began_seconds
            self._zero = _logged(event.time) - event.milliseconds / 1000 - (began or 0.0)
        if event.rule is not None and event.outcome != "not-reached":
            self.happened[event.rule] = self.happened.get(event.rule, 0) + 1
        if kind == "websocket":
            self.websockets += 1
        elif kind in ("housekeeping", "preflight"):
            self.housekeeping += 1
            if len(self.housekept) < KEPT_HOSTS:
                self.housekept.add(event.host)
        elif self.started is None or event.target in self.started.targets:
            self.requests += 1
            if not isinstance(seen, PlainSeen):
                self._note_unseen(seen)
        if _may_ask_for_token(event.path):
            self._login(event)

    def _note_unseen(self, seen: Seen | None) -> None:
        if seen is not None and seen.parts[-1][CALL] is not None:
            return
        self.unseen += 1
        if seen is not None and seen.began_seconds is not None:
            self.last_unseen = max(self.last_unseen, seen.began_seconds)

    def _relay(self, event: RelayEnded) -> None:
        self.relayed += 1
        self._login(event)

    def _login(self, event: ExchangeEnded | RelayEnded) -> None:
        if self._zero is not None:
            ended = _logged(event.time) - self._zero
            self.logins.append((round(ended - event.milliseconds / 1000, 3), round(ended, 3)))

    def _rule_unfit(self, event: RuleUnfit) -> None:
        if len(self.unfit) < KEPT_UNFIT:
            self.unfit.append(event)

    def _handshake(self, event: HandshakeFailed) -> None:
        self.refused_handshakes += event.refused or event.left

    def _drop(self, event: EventsDropped) -> None:
        self.dropped += event.count


def _logged(time: float) -> float:
    """Return a time as a log has it."""
    return round(time * 1000) / 1000


@lru_cache(maxsize=256)
def _may_ask_for_token(path: str) -> bool:
    return any(word in path.lower() for word in _TOKEN_PATH)


_LISTEN: dict[type[Event], Callable[[RunFacts, Any], None]] = {
    ProxyStarted: RunFacts._start,
    PluginStarted: RunFacts._start,
    ProxyStopped: RunFacts._stop,
    PluginStopped: RunFacts._stop,
    CommandEnded: RunFacts._command,
    ExchangeEnded: RunFacts._exchange,
    RelayEnded: RunFacts._relay,
    HandshakeFailed: RunFacts._handshake,
    EventsDropped: RunFacts._drop,
    RuleUnfit: RunFacts._rule_unfit,
}
TOLD_BY = frozenset(_LISTEN)
"""The kinds of events that tell more than that time passes."""


# -- what was run: names and counts, no arguments and no headers ---------------------------------

MOST_NAMED = 20
"""So many rules stand in a line, at most."""
_MOST_CHARACTERS = 100


@frozen
class RuleCount:
    """A rule of the run, and how often it fired."""

    rule: str
    """Its name, or its id."""
    preset: str | None
    """The preset that it is of."""
    reached: int | None
    """The requests that reached it; None if the end of the run is not known."""
    fired: int | None


def rule_counts(facts: RunFacts) -> list[RuleCount]:
    """Return the rules of a run, in the order in which they are asked."""
    if (started := facts.started) is None:
        return []
    counts = {str(each["rule"]): each for each in (facts.stopped.rules if facts.stopped else ())}
    found = []
    for rule in started.rules:
        count = counts.get(rule)
        reached, fired = (None, None) if count is None else (count["reached"], count["fired"])
        numbers = [None if each is None else int(each) for each in (reached, fired)]
        found.append(RuleCount(brief(rule, _MOST_CHARACTERS), started.presets.get(rule), *numbers))
    return found


def program(facts: RunFacts) -> str | None:
    """Return the name of the command's program; None if no command was run, or its log is old."""
    name = None if facts.command is None else facts.command.program
    return None if name is None else brief(name, _MOST_CHARACTERS)


def run_in_words(facts: RunFacts) -> list[str]:
    """Return what was run, and the rules with their counts, each in a few words.

    A preset has rules for several APIs: those that no request reached are left out.
    """
    name = program(facts)
    counts = list(_of_interest(rule_counts(facts)))
    words = [] if name is None else [f"program {name}"]
    words += [_rule_in_words(each) for each in counts[:MOST_NAMED]]
    if (more := len(counts) - MOST_NAMED) > 0:
        words.append(f"{more} more rules")
    return words


def _of_interest(counts: list[RuleCount]) -> Iterator[RuleCount]:
    """Yield rules without those of presets that no request reached; of each preset one at least."""
    named = {each.preset for each in counts if each.reached != 0}
    for each in counts:
        if each.preset is None or each.reached != 0:
            yield each
        elif each.preset not in named:
            named.add(each.preset)
            yield evolve(each, rule=each.preset)


def _rule_in_words(count: RuleCount) -> str:
    name = f"rule {count.rule}"
    if count.preset is not None:
        of = brief(count.preset, _MOST_CHARACTERS)
        name = f"preset {of}" if of == count.rule else f"preset {of} (rule {count.rule})"
    return name if count.fired is None else f"{name} fired {count.fired} of {count.reached} times"
