"""The summary in a person's words: a table, a row a target, and what to check if it is empty.

Knows nothing of events. The only module that loads rich, which takes a while: import it late.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from faultinject.events import Outcome, PluginStarted
from faultinject.output.escape import brief
from faultinject.output.quantities import percent, times
from faultinject.output.summary import Summary, TargetCounts

MAX_NAMED_HOSTS = 3
"""Most hosts that one sentence names."""
MAX_ROWS = 30
"""Most hosts without a target that get a row; `--summary` has them all."""
MAX_HOST_CHARACTERS = 60
LEAST_TABLE_COLUMNS = 64
"""As narrow as the table of targets may be: its numbers would be cut, or the hosts vanish."""
NAMELESS = "no name"
"""Stands for a tunnel whose client named no host, behind Fault."""

_COLUMNS: dict[Outcome, tuple[str, str]] = {
    "injected": ("injected", "magenta"),
    "forwarded": ("forwarded", "green"),
    "upstream-error": ("upstream\nerrors", "red"),
}
_RARE: tuple[Outcome, ...] = ("harmed", "not-reached", "upgraded", "client-gone", "refused")
"""Outcomes that share a column, so that the table fits 80 characters; a line tells them apart."""


def _number(number: int, style: str = "") -> Text:
    return Text(str(number), style=style if number else "dim")


def _rate(rate: float | None) -> Text:
    return Text("-" if rate is None else percent(rate))


def _name(counts: TargetCounts) -> Text:
    name = Text(brief(counts.target or "-", MAX_HOST_CHARACTERS))
    return name if counts.rate_asked is not None else name.append(" (no target)", style="dim")


def _rows(summary: Summary) -> list[TargetCounts]:
    targets = [counts for counts in summary.targets.values() if counts.rate_asked is not None]
    others = [counts for counts in summary.targets.values() if counts.rate_asked is None]
    others.sort(key=lambda counts: -counts.requests)
    return targets + others[:MAX_ROWS]


def _rare(counts: TargetCounts) -> int:
    return sum(counts.outcomes[outcome] for outcome in _RARE)


def _cells(counts: TargetCounts, *, asked: bool) -> list[Text]:
    return [
        _number(counts.requests),
        _rate(counts.rate_asked if asked else None),
        _rate(counts.rate_seen),
        *(_number(counts.outcomes[outcome], style) for outcome, (_, style) in _COLUMNS.items()),
    ]


def _titles() -> list[str]:
    return ["requests", "rate\nasked", "rate\nseen", *(title for title, _ in _COLUMNS.values())]


def _table(rows: list[TargetCounts], *, asked: bool) -> Table:
    """Return the targets; ``asked`` says whether one chance was asked for, and no other rule."""
    titles = _titles()
    any_rare = any(map(_rare, rows))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    table.add_column("target", overflow="fold")
    for title in [*titles, "other"] if any_rare else titles:
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    for counts in rows:
        rare = [_number(_rare(counts), "yellow")] if any_rare else []
        table.add_row(_name(counts), *_cells(counts, asked=asked), *rare)
    return table


def _narrow(rows: list[TargetCounts], *, asked: bool) -> Iterator[Text]:
    """Return what the table of targets says for a terminal that is too narrow for it."""
    titles = [title.replace("\n", " ") for title in _titles()]
    for counts in rows:
        yield _name(counts)
        cells = [*zip(titles, _cells(counts, asked=asked), strict=True)]
        if rare := _rare(counts):
            cells.append(("other", Text(str(rare))))
        for title, cell in cells:
            if title == "requests" or cell.plain not in ("0", "-"):
                yield Text(f"  {title} {cell.plain}")


def _rule_table(summary: Summary) -> Table | None:
    """Return the rules with what became of them; None if there is no rule but the options'."""
    if set(summary.rules) <= {"options"}:
        return None
    rules = list(summary.rules.values())
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    table.add_column("rule", overflow="fold")
    for title in ("reached", "fired", "without\neffect"):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    for counts in rules[:MAX_ROWS]:
        cells = (counts.reached, counts.fired, counts.not_reached)
        table.add_row(Text(brief(counts.rule, MAX_HOST_CHARACTERS)), *map(_number, cells))
    if len(rules) > MAX_ROWS:
        table.add_row(Text(f"and {len(rules) - MAX_ROWS} more", style="dim"))
    return table


def _top(table: dict[str, int]) -> str:
    """Name the largest entries, with their numbers."""
    names = sorted(table, key=lambda name: -table[name])
    words = [f"{brief(name or NAMELESS, MAX_HOST_CHARACTERS)} ({table[name]})" for name in names]
    more = len(words) - MAX_NAMED_HOSTS
    return ", ".join(words[:MAX_NAMED_HOSTS]) + (f" and {more} more" if more > 0 else "")


def _facts(summary: Summary) -> list[str]:
    """Say what happened besides exchanges."""
    relays = sum(summary.relayed.values())
    unopened = sum(summary.unopened_tunnels.values())
    refusals = sum(summary.refused_handshakes.values())
    facts = [
        f"{times(number, 'request')}: {outcome.replace('-', ' ')}."
        for outcome in _RARE
        if (number := sum(counts.outcomes[outcome] for counts in summary.targets.values()))
    ]
    if relays:
        tunnels = times(relays, "tunnel was", "tunnels were")
        facts.append(f"{tunnels} relayed untouched: {_top(summary.relayed)}.")
    if unopened:
        tunnels = times(unopened, "tunnel")
        facts.append(f"{tunnels} could not be opened: {_top(summary.unopened_tunnels)}.")
    if refusals:
        handshakes = times(refusals, "handshake was", "handshakes were")
        facts.append(
            f"{handshakes} refused by clients that do not trust our CA: "
            f"{_top(summary.refused_handshakes)}. See `faultinject ca instructions`."
        )
    if summary.handshake_failures:
        facts.append(f"{times(summary.handshake_failures, 'other TLS handshake')} failed.")
    if summary.session_failures:
        facts.append(
            f"{times(summary.session_failures, 'session')} ended by a defect of faultinject; "
            "please report it, with the traceback that --log-level debug shows."
        )
    if summary.events_dropped:
        facts.append(
            f"{times(summary.events_dropped, 'event')} missing above: the output was too slow."
        )
    return facts


def _url(summary: Summary) -> str:
    started = summary.started
    return (
        "the proxy's URL" if started is None or isinstance(started, PluginStarted) else started.url
    )


def _checks(summary: Summary) -> list[str]:
    """Say what to look at after a run without one request to a target."""
    if isinstance(summary.started, PluginStarted):
        return _plugin_checks(summary, summary.started)
    if summary.refused_handshakes:
        mend = "Make the client trust our CA (`faultinject ca instructions`), or give it "
        return [f"{mend}{_url(summary)} as base URL: that needs no certificate."]
    # What names no host is no request to a proxy: TLS or SOCKS, most likely.
    others = [name for name, counts in summary.targets.items() if counts.rate_asked is None]
    if summary.relay_reasons or any(others):
        reasons = _top(summary.relay_reasons) or "not a target"
        return [
            f"The client uses the proxy, but nothing was looked into: {reasons}.",
            "If one of those hosts should be, name it with --target-host.",
        ]
    if summary.handshake_failures:
        return ["Clients connected, but TLS with them failed: the lines above say why."]
    if summary.sessions:
        return [
            "Clients connected, but no request to a target ended: do they speak HTTP?",
            f"They must use {_url(summary)} as an HTTP proxy (not SOCKS), as http:// (not https://).",
        ]
    return [
        f"No client connected. Is HTTPS_PROXY={_url(summary)} set where the client runs?",
        "Does the client heed it? Not all do, and NO_PROXY may exclude the host.",
        f"A client with a base URL can be given {_url(summary)} as that.",
    ]


def _plugin_checks(summary: Summary, started: PluginStarted) -> list[str]:
    """Say the same after a run of the plugin."""
    if summary.refused_handshakes:
        return ["Make the client trust our CA: `faultinject ca instructions`."]
    if summary.relay_reasons:
        return [
            f"Fault used the plugin, but nothing was looked into: {_top(summary.relay_reasons)}.",
            "If a host should be, name it with --target-host.",
        ]
    if summary.handshake_failures:
        return ["There were tunnels, but TLS in them failed: the lines above say why."]
    if summary.sessions:
        return ["There were tunnels, but no request to a target ended: do they carry HTTP?"]
    command = f" ({brief(started.command, 300)})" if started.command else ""
    return [
        f"Fault brought no tunnel. Does it run, with both registrations and the targets{command}?",
        "Does the client heed HTTPS_PROXY, which names Fault? NO_PROXY may exclude the host.",
    ]


def _print(console: Console, summary: Summary) -> None:
    console.print()
    seconds = f"{summary.seconds:.1f} s"
    seed = "" if summary.started is None else f", seed {summary.started.seed}"
    console.print(Text(f"Summary ({seconds}{seed})", style="bold"))
    rows = _rows(summary)
    asked = set(summary.rules) <= {"options"}
    if rows and console.width >= LEAST_TABLE_COLUMNS:
        console.print(_table(rows, asked=asked))
        console.print()
    elif rows:
        for line in _narrow(rows, asked=asked):
            console.print(line, soft_wrap=True)
        console.print()
    if (rules := _rule_table(summary)) is not None:
        console.print(rules)
        console.print()
    for fact in _facts(summary):
        console.print(Text(f"- {fact}"), soft_wrap=True)
    if not summary.requests:
        console.print(Text("No request to a target arrived. What to check:", style="bold yellow"))
        for check in _checks(summary):
            console.print(Text(f"- {check}"), soft_wrap=True)


def report(summary: Summary, *, color: bool = False) -> str:
    """Return the whole report, as wide as the terminal (80 columns if there is none)."""
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        width=shutil.get_terminal_size().columns,
    )
    _print(console, summary)
    return out.getvalue()
