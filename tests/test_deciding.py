"""The decisions on requests that come over HTTP, from one client and from many at once."""

from __future__ import annotations

from typing import Any

import trio
from attrs import define, field

from faultinject.facts import Facts
from faultinject.rules import Plan
from faultinject.session import Services
from tests.support.bench import open_bench, post
from tests.support.peer import Message

COUNT = 320
BODY = b'{"model": "m", "max_tokens": 9}'
RULES: list[dict[str, Any]] = [
    {
        "name": "failures",
        "match": {"path": "/v1/messages*", "model": "m"},
        "when": {"probability": 0.3},
        "fault": {
            "one_of": [
                {"weight": 2, "respond": 529},
                {"respond": {"status": 429, "retry_after": 2}, "delay": {"range": [1, 3]}},
                {"stream": {"after": {"count": 2}, "error": True, "upstream": "skipped"}},
            ]
        },
    },
    {"name": "storms", "when": {"burst": {"calm": 8, "storm": 4}}, "fault": {"respond": 503}},
    {
        "name": "slow",
        "when": {"every": 3},
        "fault": {"delay": {"exponential": {"mean": 1}, "at_most": 5}},
    },
]


@define
class Noted:
    """What was decided, and what clients saw of it."""

    paths: list[str] = field(factory=list)
    """In the order in which the requests were decided on."""
    plans: list[tuple[Plan, float]] = field(factory=list)
    """Each with a number of those that it is carried out by."""
    answers: dict[str, Message] = field(factory=dict)

    @property
    def seen(self) -> list[tuple[int, bytes]]:
        """The k-th request's answer, for each k: there are drawn ids in it."""
        answers = [self.answers[path] for path in self.paths]
        return [(answer.status, answer.body) for answer in answers]


async def decisions(monkeypatch, clients: int, rules: list[dict[str, Any]] | None) -> Noted:
    """Return what is decided on `COUNT` requests of so many clients at once."""
    noted, decide = Noted(), Services.decide

    def decide_and_note(services: Services, rule_set, facts: Facts, *more) -> Plan:
        plan = decide(services, rule_set, facts, *more)
        noted.paths.append(facts.head.target.decode())
        noted.plans.append((plan, plan.numbers("any")()))
        return plan

    async def ask(number: int) -> None:
        client = bench.connect()
        for turn in range(COUNT // clients):
            path = f"/v1/messages?{number}-{turn}"
            noted.answers[path] = await client.ask(post(path, BODY))

    with monkeypatch.context() as patched:
        patched.setattr(Services, "decide", decide_and_note)
        async with open_bench(probability=0.3, seed=11, upstream=always_alike) as bench:
            if rules is not None:
                bench.rules(*rules, seed=11)
            async with trio.open_nursery() as nursery:
                for number in range(clients):
                    nursery.start_soon(ask, number)
    assert len(noted.paths) == COUNT
    return noted


async def always_alike(upstream) -> None:
    """Answer each request by the same."""
    while await upstream.read_message():
        await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_the_kth_request_gets_the_kth_decision(autojump_clock, monkeypatch):
    """The same for one client and for 64 at once; only who is the k-th differs."""
    alone, together = [await decisions(monkeypatch, clients, None) for clients in (1, 64)]
    assert alone.plans == together.plans
    assert alone.seen == together.seen
    assert {status for status, _ in alone.seen} == {200, 429}


async def test_the_kth_request_to_reach_a_rule_gets_its_kth_plan(autojump_clock, monkeypatch):
    """With several rules, choices and made answers: all is the same for 64 clients."""
    alone, together = [await decisions(monkeypatch, clients, RULES) for clients in (1, 64)]
    assert alone.plans == together.plans
    assert alone.seen == together.seen
    fired = [plan.rule_id for plan, _ in alone.plans]
    assert set(fired) == {"failures", "storms", "slow", None}
    assert {status for status, _ in alone.seen} == {200, 429, 503, 529}
