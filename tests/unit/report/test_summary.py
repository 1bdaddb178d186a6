"""The summary's numbers are what happened, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from faultinject.events import (
    Event,
    ExchangeEnded,
    HandshakeFailed,
    ProxyStarted,
    ProxyStopped,
    RelayEnded,
    RuleUnfit,
    SessionFailed,
    SessionStarted,
    Warned,
)
from faultinject.report import Summary
from faultinject.report import summary as summary_module
from tests.support.sample_events import TIME, sample


def summary_of(*events: Event) -> Summary:
    """Return the summary of some events."""
    summary = Summary()
    for event in events:
        summary.listen(event)
    return summary


def exchanges(number: int, **changes: Any) -> list[Event]:
    """Return some exchanges."""
    return [sample(ExchangeEnded, **changes)] * number


def totals(rule: str = "options", **counts: int) -> tuple[dict[str, str | int], ...]:
    """Return what the end of a run tells of one rule."""
    return ({"rule": rule, **counts},)


def test_rules() -> None:
    """Each rule has its numbers, and how often its point never came."""
    summary = summary_of(
        sample(ProxyStarted, rules=("a", "b")),
        *exchanges(2, outcome="not-reached", rule="a"),
        *exchanges(1, outcome="not-reached", rule="gone"),
        sample(
            ProxyStopped, rules=(*totals("a", reached=9, fired=3), *totals("c", reached=1, fired=0))
        ),
    )
    assert summary.as_dict()["rules"] == [
        {"rule": "a", "reached": 9, "fired": 3, "not_reached": 2},
        {"rule": "b", "reached": 0, "fired": 0, "not_reached": 0},
        {"rule": "c", "reached": 1, "fired": 0, "not_reached": 0},
    ]


def test_run() -> None:
    """Every field of a run with all outcomes; no rule could meet what was refused."""
    summary = summary_of(
        sample(ProxyStarted),
        sample(SessionStarted),
        *exchanges(2),
        *exchanges(3, outcome="forwarded"),
        *exchanges(1, outcome="upgraded"),
        *exchanges(4, outcome="upstream-error"),
        *exchanges(5, outcome="client-gone"),
        *exchanges(6, outcome="refused"),
        *exchanges(7, outcome="harmed"),
        *exchanges(8, outcome="not-reached"),
        sample(RelayEnded),
        sample(RelayEnded),
        sample(RelayEnded, host="closed.example", opened=False, error="refused"),
        sample(HandshakeFailed),
        sample(HandshakeFailed, refused=False),
        sample(SessionFailed),
        sample(Warned),
        sample(ProxyStopped, time=TIME + 1.5, rules=totals(reached=40, fired=2)),
    )
    assert summary.as_dict() == {
        "v": 1,
        "started": "2027-01-15T08:00:00.250Z",
        "seconds": 1.5,
        "seed": 42,
        "targets": [
            {
                "target": "api.anthropic.com",
                "requests": 36,
                "injected": 2,
                "rate_asked": 0.1,
                "rate_seen": 0.3,
                "forwarded": 3,
                "upgraded": 1,
                "upstream_errors": 4,
                "client_gone": 5,
                "refused": 6,
                "harmed": 7,
                "not_reached": 8,
            },
            {
                "target": "*.example.com",
                "requests": 0,
                "injected": 0,
                "rate_asked": 0.1,
                "rate_seen": None,
                "forwarded": 0,
                "upgraded": 0,
                "upstream_errors": 0,
                "client_gone": 0,
                "refused": 0,
                "harmed": 0,
                "not_reached": 0,
            },
        ],
        "rules": [{"rule": "options", "reached": 40, "fired": 2, "not_reached": 0}],
        "left_out": {},
        "left_out_hit": {},
        "preflights": 0,
        "websockets": 0,
        "sessions": 1,
        "relayed": {"pypi.org": 2},
        "unopened_tunnels": {"closed.example": 1},
        "refused_handshakes": {"api.anthropic.com": 1},
        "handshake_failures": 1,
        "session_failures": 1,
        "unfit": [],
        "events_dropped": 0,
    }
    assert summary.tested == 30
    json.dumps(summary.as_dict())


def test_rules_that_mean_nothing() -> None:
    """They are listed, so many."""
    values = summary_of(*[sample(RuleUnfit)] * 200).as_dict()
    assert len(values["unfit"]) == 100
    assert set(values["unfit"][0]) == {"rule", "host", "reason"}


def test_nothing_happened() -> None:
    """A summary without a start is empty, not an error."""
    values = summary_of().as_dict()
    assert (values["started"], values["seconds"], values["seed"]) == (None, 0.0, None)
    assert values["targets"] == []


OF_EACH_KIND = [
    sample(ExchangeEnded, outcome="forwarded", rule=None, kind=kind, path=f"/{kind}")
    for kind in ("model", "api", "housekeeping", "preflight", "websocket", None)
]


@pytest.mark.parametrize(
    ("only", "tested", "left_out"),
    [
        ("model", 2, {"POST /api": 1, "POST /housekeeping": 1}),
        ("api", 3, {"POST /housekeeping": 1}),
        ("all", 5, {}),
    ],
)
def test_what_is_left_out(only: str, tested: int, left_out: dict[str, int]) -> None:
    """It is named and is no request; a preflight that passed never is one."""
    summary = summary_of(sample(ProxyStarted, only=only), *OF_EACH_KIND)
    values = summary.as_dict()
    assert (summary.tested, values["left_out"], values["preflights"]) == (tested, left_out, 1)
    assert values["left_out_hit"] == {}
    assert values["websockets"] == (only != "all")


def test_what_is_left_out_and_met_a_rule() -> None:
    """Of the user's own, which may be for preflights too."""
    hit = [
        sample(ExchangeEnded, rule="r", kind="housekeeping", path="/a", outcome="not-reached"),
        sample(ExchangeEnded, rule="r", kind="preflight", path="/b", method="OPTIONS"),
    ]
    summary = summary_of(sample(ProxyStarted, rules=("r",)), *hit)
    values = summary.as_dict()
    assert values["left_out_hit"] == {"POST /a": 1, "OPTIONS /b": 1}
    assert (summary.tested, values["left_out"], values["preflights"]) == (0, {}, 0)
    assert values["rules"][0]["not_reached"] == 1


def test_what_was_refused_did_not_pass() -> None:
    """Whatever it was for."""
    refused = sample(ExchangeEnded, rule=None, kind="api", outcome="refused")
    summary = summary_of(sample(ProxyStarted, only="model"), refused)
    assert (summary.left_out, summary.refused, summary.tested) == ({}, 1, 0)
    assert summary.as_dict()["targets"][0]["refused"] == 1


def test_requests_that_are_left_out_are_bounded() -> None:
    """In their number and their length."""
    summary = summary_of(
        sample(ProxyStarted),
        *(
            sample(ExchangeEnded, rule=None, kind="housekeeping", path=f"/{n}" + "x" * 1000)
            for n in range(summary_module.MAX_HOSTS + 5)
        ),
    )
    assert len(summary.left_out) == summary_module.MAX_HOSTS + 1
    assert summary.left_out["(other)"] == 5
    assert max(map(len, summary.left_out)) == summary_module.MAX_REQUEST_CHARACTERS


def test_clock_that_was_set_back() -> None:
    """No run takes less than no time."""
    assert summary_of(sample(ProxyStarted), sample(Warned, time=TIME - 9)).seconds == 0


def test_hosts_that_are_no_target() -> None:
    """They have a row without a rate that was asked for, and are no requests to targets."""
    summary = summary_of(sample(ProxyStarted), *exchanges(2, target="other.example"))
    assert summary.as_dict()["targets"][-1]["target"] == "other.example"
    assert summary.as_dict()["targets"][-1]["rate_asked"] is None
    assert summary.tested == 0


def test_names_from_the_network_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts beyond the bound share an entry."""
    monkeypatch.setattr(summary_module, "MAX_HOSTS", 3)
    summary = summary_of(sample(ProxyStarted))
    for number in range(9):
        for kind in (RelayEnded, HandshakeFailed):
            summary.listen(sample(kind, host=f"h{number}.example"))
        summary.listen(sample(ExchangeEnded, target=f"h{number}.example"))
    summary.listen(sample(RelayEnded, host="h0.example"))
    values = summary.as_dict()
    assert values["relayed"] == {"h0.example": 2, "h1.example": 1, "h2.example": 1, "(other)": 6}
    assert values["refused_handshakes"]["(other)"] == 6
    assert [row["target"] for row in values["targets"]] == [
        "api.anthropic.com",
        "*.example.com",
        "h0.example",
        "(other)",
    ]
    assert values["targets"][-1]["requests"] == 8


def test_dropped_events_are_asked_for() -> None:
    """The number is the output's at the time of asking."""
    dropped = 0
    summary = Summary(events_dropped=lambda: dropped)
    dropped = 7
    assert summary.as_dict()["events_dropped"] == 7


def test_rich_is_loaded_only_for_people() -> None:
    """Start-up does not pay for the table at the end."""
    program = "import sys, faultinject.report; print('rich' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"
