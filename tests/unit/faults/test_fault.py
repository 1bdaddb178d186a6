"""Which faults mean something for which API, and what a run does with those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from faultinject.config.rules import read_rules
from faultinject.faults.fault import Fault
from faultinject.http.message import RequestHead
from faultinject.providers.known import provider_for
from faultinject.rules import Counters, Rule, RuleSet, decide
from faultinject.rules.facts import Facts


def rules_of(*rules: dict[str, Any]) -> tuple[Rule, ...]:
    """Return rules that are written as in a file."""
    return tuple(read_rules(list(rules), "test").rules)


def fault_of(fault: Any) -> Fault:
    """Return a fault that is written as in a rule."""
    [rule] = rules_of({"fault": fault})
    return rule.faults[0].fault


MESSAGES = ("api.anthropic.com", "/v1/messages")
CHAT = ("api.openai.com", "/v1/chat/completions")
RESPONSES = ("api.openai.com", "/v1/responses")
GEMINI = ("generativelanguage.googleapis.com", "/v1/models/m:streamGenerateContent")
PLAIN = ("api.example.com", "/orders")
SPEND_CAP = {"respond": {"failure": "spend-cap"}}
ERROR = {"stream": {"at": "first-event", "error": {"failure": "slow-down"}}}
FORM = {"stream": {"at": "first-event", "error": {"status": 503, "form": "nested"}}}
PINGS = {"stream": {"after": {"count": 1}, "stall": {"for": "forever", "pings": "5s"}}}
CHECKSUM = {"stream": {"after": {"count": 1}, "wrong_checksum": True}}
PIECES = {"choices[0].delta.tool_calls[0].function.arguments": {"present": True}}
TWO_PIECES = {"stream": {"after": {"count": 2, "where": PIECES}, "end": True}}
ONE_PIECE = {"stream": {"after": {"count": 1, "where": PIECES}, "end": True}}
MISTRAL = ("api.mistral.ai", "/v1/chat/completions")
OF_PLAIN = sorted(provider_for(*PLAIN).failures)
OF_MESSAGES = sorted(provider_for(*MESSAGES).failures)
PAGES = "bad-gateway, gateway-unavailable, gateway-timeout, or give status and body"
WHOLE_CALLS = (
    "a tool call comes whole there, in one event; half_event in a rule of your own cuts"
    " within that event"
)
EARLY = {"stream": {"after": {"count": 1}, "end_early": "max_tokens"}}


@pytest.mark.parametrize(
    ("fault", "where", "why"),
    [
        ({"respond": 500}, PLAIN, None),
        (SPEND_CAP, MESSAGES, None),
        (SPEND_CAP, PLAIN, f"plain has no failure spend-cap; it has {', '.join(OF_PLAIN)}"),
        ({"respond": {"page": "too-large"}}, MESSAGES, None),
        (
            {"respond": {"page": "too-large"}},
            CHAT,
            f"openai has no page too-large; every API has {PAGES}",
        ),
        (ERROR, CHAT, None),
        (ERROR, MESSAGES, f"anthropic has no failure slow-down; it has {', '.join(OF_MESSAGES)}"),
        (FORM, RESPONSES, None),
        (FORM, CHAT, "an error in a stream of chat has no form nested; it has data"),
        (PINGS, MESSAGES, None),
        (PINGS, GEMINI, "streams of gemini have no pings; use stall without pings"),
        (EARLY, GEMINI, None),
        (CHECKSUM, ("x.amazonaws.com", "/model/m/converse-stream"), None),
        (CHECKSUM, PLAIN, None),
        (CHECKSUM, CHAT, "events of chat have no checksums; use garble"),
        (TWO_PIECES, CHAT, None),
        (TWO_PIECES, MISTRAL, WHOLE_CALLS),
        (EARLY, PLAIN, "how a message of plain ends early is not known; use end"),
    ],
)
def test_what_means_something(fault: dict[str, Any], where: tuple[str, str], why: str) -> None:
    """Else the reason says what would."""
    provider = provider_for(*where)
    found = fault_of(fault).why_unfit(provider, provider.shape_of(where[1]))
    assert found == why
    assert why is None or fault_of(fault).depends_on_api


@pytest.mark.parametrize(
    "fault",
    [{"respond": 500}, {"stream": {"after": {"count": 2}, "cut": True}}, ONE_PIECE, "pass"],
)
def test_most_faults_mean_something_everywhere(fault: Any) -> None:
    """They need not be looked at again for each request."""
    assert not fault_of(fault).depends_on_api


def decided(rules: tuple[Rule, ...], where: tuple[str, str]) -> tuple[str | None, list[str]]:
    """Return the rule that fires, and what was told of those that mean nothing."""
    told: list[str] = []
    host, path = where
    facts = Facts(host, 443, RequestHead(b"POST", path.encode(), ()), b"{}")
    plan = decide(
        RuleSet(rules, 1),
        Counters(),
        facts,
        on_unfit=lambda rule, _, why: told.append(rule.id + why),
    )
    return plan.rule_id, told


def test_a_rule_that_means_nothing_lets_the_next_one_fire() -> None:
    """It is told each time; who listens says it once."""
    rules = rules_of(
        {"name": "cap", "fault": SPEND_CAP}, {"name": "other", "fault": {"respond": 500}}
    )
    assert decided(rules, MESSAGES) == ("cap", [])
    fired, told = decided(rules, PLAIN)
    assert fired == "other"
    assert len(told) == 1
    assert told[0].startswith("capplain has no failure spend-cap")


def test_of_several_faults_those_are_chosen_that_mean_something() -> None:
    """Their weights count among themselves."""
    [rule] = rules_of(
        {"fault": {"one_of": [{"weight": 1000, **SPEND_CAP}, {"weight": 1, "respond": 503}]}}
    )
    facts = Facts("api.example.com", 443, RequestHead(b"POST", b"/orders", ()), b"{}")
    plan = decide(RuleSet((rule,), 1), Counters(), facts)
    assert plan.respond is not None
    assert plan.respond.status == 503


@pytest.mark.parametrize(("where", "streams"), [(CHAT, 0), (RESPONSES, 1)])
def test_what_means_something_depends_on_the_path_too(where: tuple[str, str], streams: int) -> None:
    """One API may speak in several ways."""
    rules = rules_of({"fault": {"one_of": [{"weight": 1e9, **FORM}, {"respond": 503}]}})
    head = RequestHead(b"POST", where[1].encode(), ())
    plan = decide(RuleSet(rules, 1), Counters(), Facts(where[0], 443, head, b"{}"))
    assert len(plan.stream) == streams
