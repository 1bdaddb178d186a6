"""The report shows the numbers and, where nothing came, what to check."""

from __future__ import annotations

import io
import os
import re
from typing import Any

import pytest

from faultinject.events import (
    CommandEnded,
    Event,
    ExchangeEnded,
    HandshakeFailed,
    PluginStarted,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
    SessionFailed,
    SessionStarted,
    Warned,
)
from faultinject.report import Summary
from faultinject.report.table import MAX_ROWS, render, report
from tests.support.sample_events import TIME, sample

CHECK = "No request to a target arrived"


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every terminal 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")


def report_of(*events: Event, dropped: int = 0, **options: Any) -> str:
    """Return the report of a run with some events."""
    summary = Summary(events_dropped=lambda: dropped)
    for event in (sample(ProxyStarted), *events):
        summary.listen(event)
    return report(summary, **options)


def row(text: str, name: str) -> list[str]:
    """Return the cells of the row that begins with a name."""
    return next(line for line in text.splitlines() if line.startswith(name)).split()


HOUSEKEEPING = {"kind": "housekeeping", "path": "/api/event_logging/v2/batch"}


def test_what_passed_as_housekeeping() -> None:
    """It is named by method and path, the most frequent first, and preflights are counted."""
    passed = {"outcome": "forwarded", "rule": None}
    text = report_of(
        sample(ExchangeEnded),
        *[sample(ExchangeEnded, **passed, **HOUSEKEEPING)] * 2,
        sample(ExchangeEnded, **passed, kind="housekeeping", method="HEAD", path="/"),
        sample(ExchangeEnded, rule="mine", **HOUSEKEEPING),
        sample(ExchangeEnded, **passed, kind="preflight", method="OPTIONS"),
        sample(ExchangeEnded, outcome="upgraded", rule=None, kind="websocket", method="GET"),
    )
    assert row(text, "api.anthropic.com")[1] == "1"
    batch = "POST /api/event_logging/v2/batch"
    assert f"- 3 requests passed as housekeeping: {batch} (2), HEAD / (1).\n" in text
    assert f"- 1 request was hit by a rule of yours as housekeeping: {batch} (1).\n" in text
    assert "- 1 CORS preflight passed.\n" in text
    assert "- 1 request for a WebSocket passed: rules do not reach it (--refuse" in text
    assert "arrived" not in text


@pytest.mark.parametrize("number", [1, 5, 6, 7])
def test_rules_that_mean_nothing(number: int) -> None:
    """They are told with their reasons, as many as fit."""
    text = report_of(sample(ExchangeEnded), *[sample(RuleUnfit)] * number)
    line = "- Rule cap does nothing at api.example.com: plain has no failure spend-cap; it has"
    assert text.count(line) == min(number, 5)
    assert ("- And 1 further rule that does nothing.\n" in text) is (number == 6)
    assert ("- And 2 further rules that do nothing.\n" in text) is (number == 7)


@pytest.mark.parametrize(
    ("only", "kind", "rule", "words"),
    [
        ("api", "housekeeping", None, "No call of the API arrived, so nothing was tested. What"),
        ("api", "preflight", None, "No call of the API arrived, so nothing was tested. What"),
        ("api", "websocket", None, "No call of the API arrived, so nothing was tested. What"),
        ("model", "api", None, "No call of a model arrived, so nothing was tested. What"),
        ("api", "housekeeping", "mine", "No call of the API arrived. What"),
    ],
)
def test_nothing_but_what_is_left_out(only: str, kind: str, rule: str | None, words: str) -> None:
    """Such a run must not look as if it had tested anything."""
    text = report_of(
        sample(ProxyStarted, only=only, only_for=("options",)), sample(SessionStarted),
        sample(ExchangeEnded, kind=kind, rule=rule, outcome="forwarded"),
    )  # fmt: skip
    assert words in text
    assert "- The client sent requests, but none that presets" in text
    assert ("--only api is for" in text) is (only == "model")
    assert "--only all is for every request.\n" in text
    assert ("CORS preflights always pass" in text) is (kind == "preflight")


REFUSED = sample(ExchangeEnded, outcome="refused", rule=None)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([REFUSED], "1 request was refused, and no other call of the API arrived, so nothing was"),
        (
            [sample(ExchangeEnded, outcome="refused", target="", host="", rule=None)] * 2,
            "2 requests were refused, and no other call of the API arrived, so nothing was tested.",
        ),
        (
            [sample(ProxyStarted, only="model"), REFUSED],
            "1 request was refused, and no other call of a model arrived, so nothing was tested.",
        ),
    ],
)
def test_nothing_but_what_was_refused(events: list[Event], words: str) -> None:
    """A rate of 0 % would say that something was tested."""
    text = " ".join(report_of(*events).split())
    assert words in text
    assert "- The responses, and the lines above with 'refused', give the reason" in text
    assert " 0 %" not in text
    assert CHECK not in text


def test_what_was_refused_beside_housekeeping() -> None:
    """Both are told."""
    passed = sample(ExchangeEnded, outcome="forwarded", rule=None, **HOUSEKEEPING)
    text = report_of(REFUSED, passed)
    assert "1 request was refused, and no other call of the API arrived, so nothing was" in text
    assert "- The responses, and the lines" in text
    assert "- The client sent requests, but" in text


def test_nothing_but_housekeeping_before_rules_of_ones_own() -> None:
    """--only is not for them, and is no advice."""
    text = report_of(
        sample(ProxyStarted, rules=("mine",), only_for=()),
        sample(ExchangeEnded, outcome="forwarded", rule=None, **HOUSEKEEPING),
    )
    assert "No call of the API arrived, so nothing was tested. What" in text
    assert "- The client sent requests, but none was a call of the API.\n" in text
    assert "--only" not in text


def test_a_row_a_target() -> None:
    """Requests, rates asked and seen, what failed and what passed, and upstream errors."""
    text = report_of(
        sample(ExchangeEnded),
        *[sample(ExchangeEnded, outcome="forwarded")] * 8,
        sample(ExchangeEnded, outcome="upstream-error"),
        sample(Warned, time=TIME + 2),
    )
    assert "Summary (2.0 s, seed 42)" in text
    assert row(text, "api.anthropic.com") == [
        *("api.anthropic.com", "10", "10", "%", "10", "%", "1", "8", "1"),
    ]
    assert row(text, "*.example.com")[1:] == ["0", "10", "%", "-", "0", "0", "0"]
    assert "other" not in text
    assert CHECK not in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_rules_harm_has_a_column() -> None:
    """Beside the whole answers that they give; what was asked for is no rate then."""
    text = report_of(
        sample(ProxyStarted, rules=("r",)),
        *[sample(ExchangeEnded)] * 2,
        *[sample(ExchangeEnded, outcome="harmed")] * 7,
        sample(ExchangeEnded, outcome="forwarded"),
        *[sample(ExchangeEnded, outcome="not-reached")] * 10,
    )
    titles = ["requests", "seen", "failed", "harmed", "passed", "errors", "other"]
    assert row(text, "target")[1:] == titles
    assert row(text, "api.anthropic.com")[1:] == ["20", "45", "%", "2", "7", "1", "0", "10"]
    assert "- 10 requests: not reached.\n" in text
    assert "harmed." not in text
    assert max(map(len, text.splitlines())) <= 80


def test_rare_outcomes_share_a_column_and_are_told_apart() -> None:
    """The table stays narrow, and nothing is hidden."""
    text = report_of(
        sample(ExchangeEnded, outcome="client-gone"),
        sample(ExchangeEnded, outcome="client-gone"),
        sample(ExchangeEnded, outcome="upgraded", target="*.example.com"),
    )
    assert row(text, "*.example.com")[-1] == "1"
    assert "- 2 requests: client gone.\n" in text
    assert "- 1 request: upgraded.\n" in text
    assert "refused" not in text


def test_the_default_target_fits_80_columns_with_all_that_can_stand_beside_it() -> None:
    """A host is not folded for the want of one column."""
    text = report_of(
        *[sample(ExchangeEnded)] * 2,
        sample(ExchangeEnded, outcome="forwarded"),
        *[sample(ExchangeEnded, outcome="refused")] * 8,
    )
    assert row(text, "api.anthropic.com")[3:] == ["%", "66.7", "%", "2", "1", "0", "8"]
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_terminal_there_is_room_for_long_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a CI has no width."""
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: os.terminal_size(fallback))
    host = "generativelanguage.googleapis.com"
    assert row(report_of(sample(ExchangeEnded, target=host, outcome="harmed")), host)


def test_other_hosts_are_marked_and_bounded() -> None:
    """Hosts that are no target follow, the busiest first, and not all of them."""
    others = [
        sample(ExchangeEnded, target=f"h{number}.example")
        for number in range(MAX_ROWS + 5)
        for _ in range(number)
    ]
    text = report_of(sample(ExchangeEnded), *others)
    rows = [line for line in text.splitlines() if re.match(r"h\d+.example", line)]
    assert len(rows) == MAX_ROWS == text.count("target)")
    assert rows[0].startswith(f"h{MAX_ROWS + 4}.example")


def test_what_happened_besides() -> None:
    """Relays, refusals, failures and drops are sentences."""
    text = report_of(
        sample(ExchangeEnded),
        *(sample(RelayEnded, host=f"h{number}.example") for number in range(5)),
        sample(RelayEnded, host="h4.example"),
        sample(RelayEnded, host="closed.example", opened=False),
        sample(HandshakeFailed),
        sample(HandshakeFailed, refused=False),
        sample(SessionFailed),
        dropped=3,
    )
    assert (
        "- 6 tunnels were relayed untouched: "
        "h4.example (2), h0.example (1), h1.example (1) and 2 more.\n"
    ) in text
    assert "- 1 tunnel could not be opened: closed.example (1).\n" in text
    assert "- 1 handshake was refused by clients that do not trust our CA: " in text
    assert "- 1 other TLS handshake failed.\n" in text
    assert "- 1 session ended by a bug in faultinject" in text
    assert "- 3 events missing above" in text


@pytest.mark.parametrize(
    ("events", "advice"),
    [
        ([], "No client connected. Is HTTPS_PROXY=http://127.0.0.1:8080 set"),
        ([sample(CommandEnded)], "The command made no connection to the proxy."),
        ([sample(CommandEnded), sample(HandshakeFailed)], "does not take our CA from its"),
        ([sample(CommandEnded), sample(SessionStarted)], "as an HTTP proxy (not SOCKS)"),
        ([sample(SessionStarted)], "as an HTTP proxy (not SOCKS), by http:// (not https://)"),
        (
            [sample(SessionStarted)],
            "as of `faultinject env`, connects too; if that was all, is HTTPS",
        ),
        ([sample(HandshakeFailed, refused=False)], "TLS with them failed"),
        ([sample(RelayEnded)], "no connection was decrypted: not a target (1)"),
        ([sample(RelayEnded, opened=False)], "no connection was decrypted: not a target (1)"),
        ([sample(ExchangeEnded, target="o.example")], "no connection was decrypted: not a target"),
        (
            [
                sample(SessionStarted),
                sample(ExchangeEnded, target="", method="", outcome="refused"),
            ],
            "as an HTTP proxy (not SOCKS), by http:// (not https://)",
        ),
        ([sample(HandshakeFailed), sample(RelayEnded)], "Make the client trust our CA"),
    ],
    ids=[
        "no client",
        "no client of a command",
        "a command that does not trust us",
        "no request of a command",
        "no request",
        "a look",
        "failed",
        "relayed",
        "unopened",
        "no target",
        "no host",
        "refused",
    ],
)
def test_advice_follows_what_was_seen(events: list[Event], advice: str) -> None:
    """A run without requests to targets says what to check first."""
    text = report_of(*events)
    assert CHECK in text
    assert advice in text.split(CHECK)[1]


def test_without_a_start() -> None:
    """A summary that saw no start is still a report."""
    text = report(Summary())
    assert "Summary (0.0 s)" in text
    assert "HTTPS_PROXY=the proxy's URL set" in text


def test_hostile_names_and_markup() -> None:
    """Names from the network are neither control characters nor rich's markup."""
    text = report_of(
        sample(ExchangeEnded, target="[red]x\x1b[31m"),
        sample(RelayEnded, host="[bold]y\x07", reason="z\n"),
        sample(HandshakeFailed, host="w\x9b"),
    )
    assert all(line.isprintable() for line in text.split("\n"))
    assert r"[red]x\x1b[31m" in text
    assert r"[bold]y\x07" in text


def test_color() -> None:
    """Colours come if they are asked for, whatever the environment."""
    assert "\x1b[35m" in report_of(sample(ExchangeEnded), color=True)
    assert "\x1b[" not in report_of(sample(ExchangeEnded), color=False)


def test_render_writes_the_report() -> None:
    """`render` is the report, written."""
    stream, summary = io.StringIO(), Summary()
    render(summary, stream)
    assert stream.getvalue() == report(summary)


def test_a_row_a_rule() -> None:
    """How often each was reached, fired, and had no effect; the chance of the options is none."""
    totals = [{"rule": f"r{n}", "reached": 9, "fired": 3} for n in range(MAX_ROWS + 2)]
    text = report_of(
        sample(ProxyStarted, rules=("r0",)),
        sample(ExchangeEnded, outcome="not-reached", rule="r0"),
        sample(ProxyStopped, rules=tuple(totals)),
    )
    assert row(text, "r0") == ["r0", "9", "3", "1"]
    assert row(text, "r1") == ["r1", "9", "3", "0"]
    assert "and 2 more" in text
    assert "asked" not in text
    assert "rule " not in report_of(sample(ExchangeEnded))
    few = report_of(sample(ProxyStarted, rules=("r0",)))
    assert row(few, "r0") == ["r0", "0", "0", "0"]
    assert " more" not in few


def test_a_presets_rules_for_other_apis_have_no_row() -> None:
    """Those that met something have one; if none did, the first has. Rules of one's own have."""
    names = ("p", "p-frame", "q", "q-chat", "own", "own-2")
    presets = {"p": "p", "p-frame": "p", "q": "q", "q-chat": "q"}
    reached = [{"rule": name, "reached": int(name == "p-frame"), "fired": 0} for name in names]
    text = report_of(
        sample(ProxyStarted, rules=names, presets=presets),
        sample(ProxyStopped, rules=tuple(reached)),
    )
    rows = [line.split()[0] for line in text.splitlines() if line.endswith(" 0")]
    assert rows[2:] == ["p-frame", "q", "own", "own-2"]
    assert row(text, "p-frame") == ["p-frame", "1", "0", "0"]


def plugin_report_of(*events: Event, **started: Any) -> str:
    """Return the report of a plugin's run, on one line."""
    summary = Summary()
    for event in (sample(PluginStarted, **started), *events):
        summary.listen(event)
    return " ".join(report(summary).split())


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "Fault sent no tunnel. Is it running, with both registrations and the targets"),
        ([sample(SessionStarted)], "do they carry HTTP?"),
        ([sample(HandshakeFailed, refused=False)], "TLS in them failed"),
        ([sample(HandshakeFailed)], "Make the client trust our CA: `faultinject ca"),
        ([sample(RelayEnded, host="")], "no tunnel was decrypted: not a target (1)"),
    ],
)
def test_what_to_check_after_a_plugins_run(events: list[Event], words: str) -> None:
    """A base URL is no way out there."""
    text = plugin_report_of(*events)
    assert CHECK in text
    assert words in text
    assert "base URL" not in text


def test_the_command_of_fault_is_repeated() -> None:
    """If there is one."""
    assert "(fault run --grpc-plugin" in plugin_report_of()
    assert "the targets?" in plugin_report_of(command="")


def test_a_tunnel_without_a_name() -> None:
    """It is counted under one that tells."""
    assert "relayed untouched: no name (1)" in plugin_report_of(sample(RelayEnded, host=""))


def test_a_terminal_that_is_too_narrow_for_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is cut, and no host vanishes."""
    monkeypatch.setenv("COLUMNS", "40")
    text = report_of(
        sample(ExchangeEnded),
        sample(ExchangeEnded, outcome="forwarded"),
        sample(ExchangeEnded, outcome="refused"),
    )
    assert (
        "\napi.anthropic.com\n  requests 3\n  rate asked 10 %\n  rate seen 50 %\n  failed 1\n"
        "  passed 1\n  other 1\n*.example.com\n  requests 0\n  rate asked 10 %\n\n"
    ) in text
    assert "…" not in text
