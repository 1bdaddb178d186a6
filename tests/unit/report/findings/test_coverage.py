"""Whether a run tested anything."""

from __future__ import annotations

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
)
from tests.support.sample_events import sample
from tests.unit.report.findings.simulator import report

TARGET = "api.anthropic.com"
UNTESTED = "the program was not tested: "


def evidence(*events: Event, told: dict[str, tuple[int, int]] | None = None, **started: Any) -> str:
    """Return what is found of a run, or in a word that nothing is.

    ``told`` is how often each rule was reached and fired.
    """
    start = sample(ProxyStarted, **started)
    rules = tuple(
        {"rule": rule, "reached": reached, "fired": fired}
        for rule, (reached, fired) in (told or {}).items()
    )
    stop = sample(ProxyStopped, rules=rules)
    (verdict,) = report([start, *events, stop], only=["nothing-tested"]).verdicts
    if not verdict.findings:
        return verdict.word
    (only,) = verdict.findings
    assert (only.id, only.severity, only.calls) == ("nothing-tested", "error", ())
    return only.evidence


def exchange(rule: str | None = None, **changes: Any) -> ExchangeEnded:
    """Return the event of a request to the target that a rule fired for."""
    outcome = "forwarded" if rule is None else "injected"
    event = sample(ExchangeEnded, **{"target": TARGET, "outcome": outcome, "rule": rule} | changes)
    assert isinstance(event, ExchangeEnded)
    return event


def test_something_was_tested() -> None:
    """The rule did something."""
    assert evidence(exchange(), exchange("options")) == "passed"
    assert evidence(exchange("a"), exchange("b"), rules=("a", "b")) == "passed"


def test_no_request_came() -> None:
    """With what is known of why."""
    elsewhere = sample(RelayEnded)
    refused = sample(HandshakeFailed, refused=True)
    left = sample(HandshakeFailed, refused=False, left=True)
    other = sample(HandshakeFailed, refused=False, left=False)
    quiet = exchange(kind="housekeeping")
    stranger = exchange(target="pypi.org")
    nothing = "no request and no connection to a target came: is the proxy set in the program?"
    assert evidence() == evidence(other) == evidence(stranger) == f"{UNTESTED}{nothing}"
    assert evidence(elsewhere) == (
        f"{UNTESTED}no request to a target came; 1 tunnel was not decrypted: to other hosts"
        " (`--target-host`), or without TLS or HTTP in them"
    )
    assert evidence(refused, left, elsewhere) == (
        f"{UNTESTED}no request to a target came: clients refused the certificate 2 times"
        " (`faultinject ca instructions`)"
    )
    assert evidence(refused).endswith("the certificate 1 time (`faultinject ca instructions`)")
    assert evidence(quiet, refused) == (f"{UNTESTED}no call of the API came, only housekeeping (1)")
    asked = exchange(kind="websocket")
    told = f"{UNTESTED}clients asked for a WebSocket 2 times, and for nothing that rules reach"
    assert evidence(asked, asked, quiet).startswith(told)


def test_no_request_came_of_a_command() -> None:
    """`run` has set the proxy itself: it is no question then."""
    assert evidence(sample(CommandEnded, code=0, signal=None)) == (
        f"{UNTESTED}no request and no connection to a target came: does it ask one of the targets"
        " (`--target-host`), and heed its environment (docs/run.md)?"
    )


@pytest.mark.parametrize(
    "started",
    [
        {"error_probability": 0.0},
        {"rules": ()},
        {"rules": ("r",), "chances": {"r": 0.0}},
        {"rules": ("r", "options"), "chances": {"r": 0.0}, "error_probability": 0.0},
    ],
)
def test_nothing_was_asked_for(started: dict[str, Any]) -> None:
    """With or without requests: a chance of 0 is how one looks on."""
    assert evidence(**started) == evidence(exchange(), **started) == "no verdict"


def test_a_rule_that_cannot_fire_beside_another() -> None:
    """The other one was asked for."""
    both: dict[str, Any] = {"rules": ("a", "b"), "chances": {"a": 0.0}}
    assert evidence(exchange("b"), **both) == "passed"
    assert evidence(exchange(), **both) == "nothing came of rule b"


def test_a_rule_that_fires_at_the_handshake_is_enough() -> None:
    """No request comes then."""
    broken = exchange("tls", kind=None, method="CONNECT", path="", outcome="injected")
    assert evidence(broken, rules=("tls",)) == "passed"


@pytest.mark.parametrize(
    ("told", "started", "words"),
    [
        (None, {}, "nothing came of the rule of the options"),
        (
            {"options": (3, 0)},
            {},
            (
                "nothing came of the rule of the options: it did not fire for 3 requests, which was"
                " 73% likely; use a higher `--error-probability`"
            ),
        ),
        (
            {"r": (0, 0)},
            {"rules": ("r",)},
            (
                "nothing came of rule r: no request matched it; `faultinject rules check FILE --for"
                " HOST/PATH` says which rules a request meets"
            ),
        ),
        (
            {"a": (0, 0)},
            {"rules": ("a",), "presets": {"a": "stream-cut"}},
            (
                "nothing came of preset stream-cut: no request matched it; it is for requests that"
                " ask for a stream; `faultinject presets show stream-cut` says which do"
            ),
        ),
        (
            {"options": (0, 0)},
            {},
            (
                "nothing came of the rule of the options: no request matched it;"
                " `--only all` makes it one for every request"
            ),
        ),
        (
            {"r": (4, 0)},
            {"rules": ("r",), "chances": {"r": 0.5}},
            (
                "nothing came of rule r: it did not fire for 4 requests, which was 6% likely;"
                " use first=1 in place of its chance, or a higher one"
            ),
        ),
        (
            {"r": (4, 0)},
            {"rules": ("r",)},
            (
                "nothing came of rule r: it did not fire for 4 requests;"
                " its `when` held for none of them"
            ),
        ),
        (
            {"r": (4, 2)},
            {"rules": ("r",)},
            "nothing came of rule r: it fired 2 times, and its point never came",
        ),
        (
            {"a": (2, 0), "b": (1, 0)},
            {"rules": ("a", "b"), "presets": {"a": "p", "b": "p"}, "chances": {"a": 0.5}},
            (
                "nothing came of preset p: it did not fire for 3 requests, which was 25% likely;"
                " use a higher rate"
            ),
        ),
        (
            {"flaky": (1, 0)},
            {"rules": ("flaky",), "presets": {"flaky": "flaky"}, "chances": {"flaky": 0.06}},
            (
                "nothing came of preset flaky: it did not fire for 1 request, which was 94% likely;"
                " use `flaky@16`, which makes its chance 96%"
            ),
        ),
    ],
)
def test_a_rule_of_which_nothing_came(
    told: dict[str, tuple[int, int]] | None, started: dict[str, Any], words: str
) -> None:
    """It says how likely that was, and what to do."""
    assert evidence(exchange(), told=told, **started) == words


OF_TUNNELS: dict[str, Any] = {"rules": ("t",), "presets": {"t": "tls-reset"}, "of_tunnels": ("t",)}
NO_TUNNEL = (
    "nothing came of preset tls-reset: it acts as a tunnel is opened, and no tunnel matched it;"
    " requests by base URL open none: "
)


def test_a_rule_that_is_asked_as_a_tunnel_is_opened() -> None:
    """If it met none, requests may have come by base URL; `run` can lead them otherwise."""
    ended = sample(CommandEnded, code=0, signal=None)
    proxied = "give clients the proxy's address as their proxy"
    assert evidence(exchange(), told={"t": (0, 0)}, **OF_TUNNELS) == NO_TUNNEL + proxied
    assert evidence(exchange(), ended, told={"t": (0, 0)}, **OF_TUNNELS) == (
        f"{NO_TUNNEL}`--via proxy` leads them through one"
    )


def test_a_rule_that_is_asked_of_a_tunnel_beside_another() -> None:
    """A preset that acts at requests too is no matter of tunnels, nor is a rule that met some."""
    both = OF_TUNNELS | {"rules": ("t", "u"), "presets": {"t": "p", "u": "p"}}
    assert "no request matched it" in evidence(exchange(), told={"t": (0, 0), "u": (0, 0)}, **both)
    assert "it did not fire for 3 requests" in evidence(
        exchange(), told={"t": (3, 0)}, **OF_TUNNELS
    )


def test_rules_of_tunnels_in_a_run_of_the_plugin() -> None:
    """Fault's clients have no base URL of ours."""
    start = sample(PluginStarted, **OF_TUNNELS)
    stop = sample(ProxyStopped, rules=({"rule": "t", "reached": 0, "fired": 0},))
    (verdict,) = report([start, exchange(), stop], only=["nothing-tested"]).verdicts
    assert "`faultinject presets show tls-reset` says which do" in verdict.findings[0].evidence


def test_a_point_that_never_came() -> None:
    """A rule that fired may have done nothing."""
    fired = exchange("r", outcome="not-reached")
    assert evidence(fired, rules=("r",), told={"r": (1, 1)}) == (
        "nothing came of rule r: it fired 1 time, and its point never came"
    )


def test_a_preset_of_which_one_rule_did_something() -> None:
    """It is judged as a whole; the rules of a user each by itself."""
    presets = {"a": "p", "b": "p"}
    assert evidence(exchange("b"), rules=("a", "b"), presets=presets) == "passed"
    assert evidence(exchange("b"), rules=("a", "b")) == "nothing came of rule a"


UNFIT = {"rule": "cap", "reason": "plain has no failure spend-cap"}


@pytest.mark.parametrize(
    ("presets", "name"), [({}, "rule cap"), ({"cap": "spend-cap"}, "preset spend-cap")]
)
def test_a_rule_that_means_nothing_for_its_api(presets: dict[str, str], name: str) -> None:
    """It is found, and so is that nothing came of it, with the reason."""
    start = sample(ProxyStarted, rules=("cap", "b"), presets=presets)
    told = report([start, exchange("b"), sample(RuleUnfit, **UNFIT), sample(ProxyStopped)])
    assert [(each.id, each.severity, each.evidence) for each in told.findings] == [
        (
            "nothing-tested",
            "error",
            f"nothing came of {name}: it means nothing there (plain has no failure spend-cap)",
        ),
        ("rule-unfit", "warning", f"{name} at api.example.com: plain has no failure spend-cap"),
    ]


@pytest.mark.parametrize(
    ("happened", "presets", "severity"),
    [
        ("cap", {}, "note"),
        ("other", {"cap": "p", "other": "p"}, "note"),
        ("other", {"cap": "p", "other": "q"}, "warning"),
        ("other", {}, "warning"),
    ],
)
def test_a_rule_that_means_nothing_at_one_of_two_apis(
    happened: str, presets: dict[str, str], severity: str
) -> None:
    """If it, or its preset, did its work at the other, something was tested: it is only told."""
    start = sample(ProxyStarted, rules=("cap", "other"), presets=presets)
    events = [start, exchange(happened), sample(RuleUnfit, **UNFIT), sample(ProxyStopped)]
    (finding,) = report(events, only=["rule-unfit"]).findings
    assert finding.severity == severity


def test_rules_that_mean_something() -> None:
    """That can be said once one did something."""

    def word(*events: Event) -> str:
        (verdict,) = report([sample(ProxyStarted), *events], only=["rule-unfit"]).verdicts
        return verdict.word

    assert [word(), word(exchange()), word(exchange("options"))] == [
        "no verdict",
        "no verdict",
        "passed",
    ]


def test_unfit_rules_are_bounded() -> None:
    """And named by their ids, if the log does not say how the run began."""
    told = report([sample(RuleUnfit, **UNFIT)] * 2000, only=["rule-unfit"])
    (verdict,) = told.verdicts
    assert verdict.found == 1000
    assert verdict.findings[0].evidence.startswith("rule cap at api.example.com: ")


def test_behind_fault() -> None:
    """The plugin's start says the same."""
    (finding,) = report([sample(PluginStarted)], only=["nothing-tested"]).findings
    assert finding.evidence.endswith("does Fault use the plugin, and the program Fault?")


def test_a_log_without_its_beginning() -> None:
    """What was meant to happen is not known."""
    (verdict,) = report([exchange()], only=["nothing-tested"]).verdicts
    assert (verdict.word, verdict.why_not) == (
        "no verdict",
        "the log does not say how the run began",
    )
