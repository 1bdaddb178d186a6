"""Short ways to rules and requests."""

from __future__ import annotations

import json
from typing import Any

from faultinject.config.rules import read_rules
from faultinject.http.message import RequestHead
from faultinject.rules import Counters, Plan, Rule, RuleSet, decide
from faultinject.rules.attempts import Ended
from faultinject.rules.facts import Facts


def request(
    target: str = "/v1/messages",
    body: Any = None,
    *,
    host: str = "api.example",
    port: int = 443,
    method: str = "POST",
    connection: int = 1,
    **headers: str,
) -> Facts:
    """Return the facts of a request; an underscore in a header's name is a dash.

    A body that is no bytes is made JSON.
    """
    fields = tuple(
        (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
    )
    head = RequestHead(method.encode(), target.encode(), fields)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return Facts(host, port, head, data, connection)


def rules(*values: dict[str, Any]) -> tuple[Rule, ...]:
    """Read rules; a fault need not be given."""
    return read_rules([{"fault": {"respond": 500}, **value} for value in values], "t").rules


def rule_set(*values: dict[str, Any], seed: int = 7) -> RuleSet:
    """Return a rule set of them."""
    return RuleSet(rules(*values), seed)


def plans(rule_set: RuleSet, requests: list[Facts], counters: Counters | None = None) -> list[Plan]:
    """Decide on requests in order."""
    counters = counters or Counters()
    return [decide(rule_set, counters, facts) for facts in requests]


def in_turn(
    rule_set: RuleSet, requests: list[Facts], counters: Counters | None = None
) -> list[Plan]:
    """Decide on requests in order, each over before the next; it fails if a rule fires."""
    counters, done = counters or Counters(), []
    for facts in requests:
        plan = decide(rule_set, counters, facts)
        plan.end(Ended(0.0, failed=plan.rule_id is not None))
        done.append(plan)
    return done


def fired(when: dict[str, Any], requests: list[Facts], counters: Counters | None = None) -> str:
    """Return for each request ``x`` if a rule with this when fired, else a dot."""
    done = in_turn(rule_set({"name": "r", "when": when}), requests, counters)
    return "".join("x" if plan.rule_id else "." for plan in done)
