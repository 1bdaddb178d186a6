"""Events as lines for a person: aligned, coloured by outcome, with control characters escaped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from faultinject.authority import HTTP_PORT, HTTPS_PORT, bracketed
from faultinject.events import (
    Event,
    EventsDropped,
    ExchangeEnded,
    FaultBegan,
    HandshakeFailed,
    Level,
    PluginStarted,
    PluginStopped,
    ProxyDraining,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
    SessionFailed,
    Warned,
)
from faultinject.report.banner import plugin_block, start_block
from faultinject.report.display import brief, byte_count, safe, times

MAX_URL_CHARACTERS = 80
MAX_METHOD_CHARACTERS = 16
MAX_WORDS_CHARACTERS = 300
"""The longest error or other value in a line."""
MAX_REFUSING_HOSTS = 1000
"""The most hosts that get a line when clients refuse our certificate, or seem to."""
_URL_COLUMN = range(34, 50)
"""The column of host and path grows with its values, from the first to the last of these."""
_WORD_COLUMN = 14
_COMMON_FIELDS = ("event", "v", "level", "time")

_DIM, _RED, _BOLD, _PLAIN = "\x1b[2m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
_COLORS = {
    "injected": "\x1b[35m",
    "forwarded": "\x1b[32m",
    "upgraded": "\x1b[36m",
    "relayed": "\x1b[34m",
    "upstream-error": "\x1b[31m",
    "client-gone": "\x1b[33m",
    "refused": "\x1b[33m",
    "harmed": "\x1b[35m",
    "fault-began": "\x1b[35m",
    "not-reached": "\x1b[33m",
    "not-trusted": "\x1b[33m",
    "unfit": "\x1b[33m",
    "warning": "\x1b[33m",
    "error": "\x1b[1;31m",
    "stopping": _BOLD,
    "stopped": _BOLD,
}
_DEFAULT_PORTS = {"https": HTTPS_PORT, "http": HTTP_PORT}


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, tuple):
        return ",".join(map(_value, value)) or "-"
    return brief(str(value), MAX_WORDS_CHARACTERS)


def _url(event: ExchangeEnded | FaultBegan) -> str:
    """Return host and path, with the port if it is not the usual one."""
    default = event.port in (_DEFAULT_PORTS.get(event.scheme), 0)  # 0 if there is no host
    host = bracketed(event.host) if default else f"{bracketed(event.host)}:{event.port}"
    return host + event.path


def _is_new(host: str, hosts: set[str]) -> bool:
    """Return True if a host is new, and remember it; the number of hosts is bounded."""
    if host in hosts or len(hosts) >= MAX_REFUSING_HOSTS:
        return False
    hosts.add(host)
    return True


def line_level(event: Event) -> Level:
    """Return how much an event's line matters to a person.

    That a rule means nothing at one API is no warning while it may do its work at another; whether
    anything came of it is a finding, at the end.
    """
    return "info" if isinstance(event, RuleUnfit) else event.level


def _unfit(event: RuleUnfit) -> str:
    reason = brief(event.reason, MAX_WORDS_CHARACTERS)
    where = f"does nothing at {safe(event.host)}"
    return f"the rule {safe(event.rule)} {where}, and its requests pass: {reason}"


_SEEN = (
    "provider", "model", "stream", "call", "attempt", "retry_count", "gap_seconds", "taken",
    "failure", "failure_kind", "wait_asked_seconds", "wait_asked_by", "input_tokens",
    "output_tokens",
)  # fmt: skip
"""What is shown at debug of an attempt; its digests are for programs."""


def _seen(event: ExchangeEnded) -> str:
    """Return what was seen of an exchange as an attempt of a call."""
    if event.observed is None:
        return ""
    values = ((name, getattr(event.observed, name)) for name in _SEEN)
    return "".join(f" {name}={_exactly(value)}" for name, value in values if value is not None)


def _exactly(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else _value(value)


class TextFormat:
    """Turns events into text, in order; the columns never get narrower.

    The block at the proxy's start says how clients are set up, unless ``setup_hints`` is False.
    """

    def __init__(
        self, *, level: Level = "info", color: bool = False, setup_hints: bool = True
    ) -> None:
        self._debug = level == "debug"
        self._color = color
        self._setup_hints = setup_hints
        self._words = {word: self._word(word) for word in _COLORS}
        self._second = -1
        self._clock = ""
        self._url_column = _URL_COLUMN.start
        self._refusing_hosts: set[str] = set()
        self._left_hosts: set[str] = set()
        self._base_url_helps = True
        self._forms: dict[type[Event], Callable[[Any], str]] = {
            ProxyStarted: self._started,
            ProxyStopped: lambda event: self._line(event, "stopped", _value(event.reason)),
            ProxyDraining: self._draining,
            PluginStarted: self._plugin_started,
            PluginStopped: lambda event: self._line(event, "stopped", _value(event.reason)),
            ExchangeEnded: self._exchange,
            FaultBegan: self._fault_began,
            RelayEnded: self._relay,
            HandshakeFailed: self._handshake_failed,
            SessionFailed: self._session_failed,
            EventsDropped: self._events_dropped,
            Warned: lambda event: self._line(event, "warning", safe(event.message)),
            RuleUnfit: lambda event: self._line(event, "unfit", _unfit(event)),
        }

    def __call__(self, event: Event) -> str:
        """Return the lines for an event, each with its newline; empty if it has none."""
        return self._forms.get(type(event), self._any_other)(event)

    # --- pieces of lines ---

    def _word(self, word: str) -> str:
        padded = f"{word:<{_WORD_COLUMN}}"
        return f"{_COLORS[word]}{padded}{_PLAIN}" if self._color else padded

    def _time(self, seconds: float) -> str:
        whole, milliseconds = divmod(round(seconds * 1000), 1000)
        if whole != self._second:  # most events fall into the second of the one before
            self._second = whole
            self._clock = time.strftime("%H:%M:%S", time.localtime(whole))
        text = f"{self._clock}.{milliseconds:03d}"
        return f"{_DIM}{text}{_PLAIN}" if self._color else text

    def _error(self, error: str) -> str:
        text = brief(error, MAX_WORDS_CHARACTERS)
        return f"{_RED}{text}{_PLAIN}" if self._color else text

    def _url(self, url: str) -> str:
        text = brief(url, MAX_URL_CHARACTERS)
        if len(text) > self._url_column:
            self._url_column = min(len(text), _URL_COLUMN.stop)
        return text.ljust(self._url_column)

    def _line(self, event: Event, word: str, rest: str) -> str:
        return f"{self._time(event.time)} {self._words[word]} {rest}\n"

    def _row(
        self,
        event: ExchangeEnded | RelayEnded,
        word: str,
        method: str,
        url: str,
        status: int | str,
        response_bytes: int,
        notes: Iterable[str],
    ) -> str:
        return self._line(
            event,
            word,
            f"{brief(method, MAX_METHOD_CHARACTERS):<7} {self._url(url)} {status:>3} "
            f"{byte_count(response_bytes):>8} {event.milliseconds:>9.1f} ms  "
            + "  ".join((f"{safe(event.client):<15}", *notes)).rstrip(),
        )

    # --- events ---

    def _started(self, event: ProxyStarted) -> str:
        bold, plain = (_BOLD, _PLAIN) if self._color else ("", "")
        return start_block(event, bold=bold, plain=plain, setup_hints=self._setup_hints)

    def _draining(self, event: ProxyDraining) -> str:
        what = "request" if event.exchanges else "tunnel"
        count = event.exchanges or event.sessions
        them = "it" if count == 1 else "them"
        # Where a command was run, its own end has stopped the proxy, and no key was pressed.
        again = f"; Ctrl-C again ends {them}" if self._setup_hints else ""
        is_open = times(count, f"{what} is open", f"{what}s are open")
        rest = f"{is_open}: waiting up to {event.seconds:g} s{again}"
        return self._line(event, "stopping", rest)

    def _plugin_started(self, event: PluginStarted) -> str:
        self._base_url_helps = False
        return plugin_block(event, bold=_BOLD, plain=_PLAIN) if self._color else plugin_block(event)

    def _exchange(self, event: ExchangeEnded) -> str:
        notes: list[str] = []
        if event.kind in ("housekeeping", "preflight", "websocket"):
            notes.append(event.kind)
        if event.path_mended_from is not None:
            notes.append(f"asked for as {brief(event.path_mended_from, MAX_URL_CHARACTERS)}")
        if event.rule is not None:
            notes.append(f"rule={brief(event.rule, MAX_URL_CHARACTERS)}")
        if event.fault is not None:
            notes.append(brief(event.fault, MAX_WORDS_CHARACTERS))
        if self._debug:
            notes.append(f"session={event.session} exchange={event.exchange}{_seen(event)}")
        if event.error is not None:
            notes.append(self._error(event.error))
        return self._row(
            event,
            event.outcome,
            event.method,
            _url(event) or "-",
            "-" if event.status is None else event.status,
            event.response_bytes,
            notes,
        )

    def _fault_began(self, event: FaultBegan) -> str:
        length = "no limit" if event.seconds is None else f"{event.seconds:g} s at most"
        notes = [f"{brief(event.fault, MAX_WORDS_CHARACTERS)} ({length})"]
        if event.rule is not None:
            notes.insert(0, f"rule={brief(event.rule, MAX_URL_CHARACTERS)}")
        if self._debug:
            notes.append(f"session={event.session} exchange={event.exchange}")
        words = "  ".join((f"{safe(event.client):<15}", *notes))
        method = brief(event.method, MAX_METHOD_CHARACTERS)
        # As wide as a row with its status, bytes and milliseconds, which are not known yet.
        return self._line(
            event, "fault-began", f"{method:<7} {self._url(_url(event))} {'':25}  {words}"
        )

    def _relay(self, event: RelayEnded) -> str:
        notes = [_value(event.reason)]
        if self._debug:
            notes.append(f"session={event.session} sent={byte_count(event.sent_bytes)}")
        if event.error is not None:
            notes.append(self._error(event.error))
        url = f"{bracketed(event.host)}:{event.port}" if event.host else "-"
        word = "relayed" if event.opened else "upstream-error"
        return self._row(event, word, "CONNECT", url, "-", event.received_bytes, notes)

    def _handshake_failed(self, event: HandshakeFailed) -> str:
        if event.refused:
            return self._refused(event)
        host = brief(event.host, MAX_URL_CHARACTERS)
        words = f"TLS with {safe(event.client)} for {host} failed: {_value(event.reason)}"
        if event.left:
            if not _is_new(event.host, self._left_hosts):
                return ""
            words += (
                "; perhaps it does not trust our certificate: `faultinject ca instructions`. "
                "Further ones for this host are only counted."
            )
        return self._line(event, "warning", words)

    def _refused(self, event: HandshakeFailed) -> str:
        if not _is_new(event.host, self._refusing_hosts):
            return ""
        return self._line(
            event,
            "not-trusted",
            f"{brief(event.host, MAX_URL_CHARACTERS)}: {safe(event.client)} refused our "
            f"certificate ({_value(event.reason)}). "
            f"Make it trust the CA (`faultinject ca instructions`){self._other_way}. "
            "Further refusals for this host are only counted.",
        )

    @property
    def _other_way(self) -> str:
        return ", or give it the proxy's address as its base URL" if self._base_url_helps else ""

    def _session_failed(self, event: SessionFailed) -> str:
        words = f"session {event.session} of {safe(event.client)}: {self._error(event.error)}"
        if not self._debug:
            words += "  (a bug in faultinject; --log-level debug shows the traceback)"
            return self._line(event, "error", words)
        lines = (f"    {safe(line)}\n" for line in event.traceback.splitlines())
        return self._line(event, "error", words) + "".join(lines)

    def _events_dropped(self, event: EventsDropped) -> str:
        words = f"{times(event.count, 'event')} dropped: this output was too slow"
        return self._line(event, "warning", words)

    def _any_other(self, event: Event) -> str:
        """Return name and fields, as for debug events and for kinds not known here."""
        values = event.as_dict()
        names = [name for name in values if name not in _COMMON_FIELDS]
        words = " ".join(f"{name}={_value(values[name])}" for name in names)
        return f"{self._time(event.time)} {event.NAME:<{_WORD_COLUMN}} {words}\n"
