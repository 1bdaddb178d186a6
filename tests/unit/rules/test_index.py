"""Hundreds of rules are asked as one after the other would be."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from faultinject.faults.place import Stage
from faultinject.rules import PASS, Counters, Plan, RuleSet, decide, index
from faultinject.rules.attempts import Ended
from faultinject.rules.decide import _try_rule
from faultinject.rules.facts import Facts
from faultinject.rules.identity import identity_of
from faultinject.rules.index import Index
from tests.unit.rules.support import request, rules

MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["a.example", "*.example", "b.test"]),
        "path": st.sampled_from(["/", "/v*", "/v1"]),
        "header": st.sampled_from([{"x-a": "1"}, {"x-a": "*"}, {"x-b": {"present": False}}]),
        "client": st.sampled_from(["curl*", "other"]),
        "query": st.just({"q": "1"}),
        "model": st.sampled_from(["m", "n*"]),
        "stream": st.booleans(),
        "tools": st.one_of(st.booleans(), st.just("t*")),
        "attempt": st.sampled_from([1, {"at_least": 2}]),
        "json": st.sampled_from(
            [{"n": 1}, {"n": {"above": 1}}, {"n": True}, {"n": {"equal": [1]}},
             {"l[*]": "x"}, {"n": {"present": False}}, {"[0]": 1}]
        ),
    },
)  # fmt: skip
WHENS = st.sampled_from(
    [
        {},
        {"probability": 0.5},
        {"every": 2},
        {"between": [5, 15]},
        {"first": 2, "per": "client"},
        {"first": 1, "per": "attempt-group"},
        {"after": 1, "per": "attempt-group"},
        {"limit": 1, "per": "attempt-group"},
        {"limit": {"at_a_time": 1}},
    ]
)
RULES = st.lists(st.fixed_dictionaries({"match": MATCHES, "when": WHENS}), max_size=8)
BODIES = st.one_of(
    st.sampled_from([b"", b"x", [1], "m"]),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(["m", "nn", 1, ["m"]]),
            "stream": st.booleans(),
            "tools": st.sampled_from([[], [{"name": "t1"}]]),
            "n": st.sampled_from([1, 1.0, True, 2, [1], {"a": 1}, "1", "y" * 600]),
            "l": st.lists(st.sampled_from(["x", "y"]), max_size=2),
        },
    ),
)
OPTIONAL_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x_a": st.sampled_from(["1", "2"]),
        "X_A": st.just("1"),
        "User_Agent": st.just("curl/8"),
        "X_Stainless_Retry_Count": st.sampled_from(["0", "1", "no"]),
    },
)
REQUESTS = st.builds(
    lambda host, target, body, headers: request(target, body, host=host, **headers),
    st.sampled_from(["a.example", "b.test"]),
    st.sampled_from(["/", "/v1", "/v1?q=1", "/v1?q=2&q=1", "/v" + "x" * 600]),
    BODIES,
    OPTIONAL_HEADERS,
)


@given(st.lists(MATCHES, max_size=8), st.lists(REQUESTS, min_size=1, max_size=12))
def test_an_index_finds_what_asking_each_finds(matches: list[Any], requests: list[Facts]) -> None:
    """In order, also at the second time, when it remembers."""
    all_rules = rules(
        *(
            {"name": str(n), "match": match, "when": {"probability": 0.5}}
            for n, match in enumerate(matches)
        )
    )
    found = Index(all_rules)
    for number, asked in enumerate(requests * 2):
        counted = asked.counted(number % 3 + 1, "call")
        expected = [rule for rule in all_rules if rule.match.accepts(counted)]
        assert list(found.candidates(asked).matching(counted)) == expected


def plainly(rule_set: RuleSet, counters: Counters, facts: Facts, now_seconds: float) -> Plan | None:
    """Decide as the documentation has it: the body is known, and each rule is asked in turn."""
    counted, attempt = facts, None
    if counts_attempt(rule_set, facts):
        attempts = counters.attempts
        attempt = attempts.begin(identity_of(facts, attempts.key), now_seconds)
        assert attempt is not None
        counted = facts.counted(attempt.number, attempt.call)
    for rule in rule_set.rules:
        if rule.match.accepts(counted):
            plan = _try_rule(rule_set, counters, rule, counted, now_seconds)
            if plan is not None:
                return evolve(plan, attempt=attempt)
    return None if attempt is None else Plan(source=None, attempt=attempt)


def counts_attempt(rule_set: RuleSet, facts: Facts) -> bool:
    """Return whether a rule could match by the head, and be reached, that asks for a count."""
    for rule in rule_set.rules:
        if rule.match.accepts_route(facts) and rule.match.accepts_head(facts):
            if rule.counts_attempts:
                return True
            if rule.when.always and not rule.match.reads_body:
                return False
    return False


@given(RULES, st.lists(st.tuples(REQUESTS, st.booleans()), min_size=1, max_size=8))
def test_a_decision_is_as_if_every_rule_were_asked_and_every_body_read(
    values: list[Any], requests: list[tuple[Facts, bool]]
) -> None:
    """The same plan with the same numbers, and the same is counted; and the body only if needed."""
    rule_set = RuleSet(rules(*({"name": str(n), **value} for n, value in enumerate(values))), 7)
    lazy, plain = Counters(), Counters()
    for number, (whole, ends) in enumerate(requests * 3):
        asked = Facts(whole.host, whole.port, whole.head, connection=whole.connection)
        candidates = rule_set.candidates(Stage.ANSWER, asked)
        if candidates.need_body:
            asked.body = whole.body
        plan = decide(rule_set, lazy, asked, now_seconds=number, candidates=candidates)
        expected = plainly(rule_set, plain, whole, number) or PASS
        assert plan == expected
        assert plan.numbers("")() == expected.numbers("")()
        assert lazy.totals(rule_set.ids) == plain.totals(rule_set.ids)
        if ends:
            ended = Ended(number, failed=plan.rule_id is not None)
            plan.end(ended)
            expected.end(ended)


@pytest.mark.parametrize(
    ("value", "accepted", "other"),
    [
        ({"match": {"json": {"n": 1}}}, request(body={"n": 1.0}), request(body={"n": True})),
        (
            {"match": {"json": {"l[*]": True}}},
            request(body={"l": [True]}),
            request(body={"l": [1]}),
        ),
        ({"match": {"stream": True}}, request(body={"stream": True}), request(body={"stream": 1})),
        ({"match": {"stream": False}}, request(body={}), request(body=b"no JSON")),
        ({"match": {"json": {"[0]": 1}}}, request(body=[1]), request(body=[2])),
        ({"match": {"query": {"a": "1"}}}, request("/?a=1"), request("/?a=2")),
        ({"match": {"header": {"x-a": "1"}}}, request(x_a="2", X_A="1"), request(x_a="2")),
        (
            {"match": {"attempt": 2}},
            request(body=b"", X_Stainless_Retry_Count="1"),
            request(body=b"x"),
        ),
        (
            {"when": {"nth": 2, "per": "attempt-group"}},
            request(body=b"", X_Stainless_Retry_Count="1"),
            request(body=b"x"),
        ),
    ],
)
@pytest.mark.parametrize("first", ["accepted", "other"])
def test_what_is_remembered_is_told_from_what_looks_the_same(
    value: dict[str, Any], accepted: Facts, other: Facts, first: str
) -> None:
    """Whichever comes first."""
    rule_set, counters = RuleSet(rules(value), 7), Counters()
    asked = [accepted, other] if first == "accepted" else [other, accepted]
    fired = [decide(rule_set, counters, facts).rule_id is not None for facts in asked]
    assert fired == [facts is accepted for facts in asked]


@pytest.mark.parametrize(
    ("value", "asks", "harms"),
    [
        ({}, False, False),
        ({"match": {"stream": True}}, True, False),
        ({"match": {"stream": False}}, False, False),
        ({"fault": {"stream": {"cut": True}}}, False, True),
    ],
)
def test_what_rules_have_to_do_with_streams(value: dict[str, Any], asks: bool, harms: bool) -> None:
    """Any one of them."""
    rule_set = RuleSet(rules({"name": "first"}, value), 7)
    assert (rule_set.asks_for_streams, rule_set.harms_streams) == (asks, harms)


def test_a_rule_that_means_nothing_is_told_in_the_place_of_its_rule() -> None:
    """Not before an earlier rule was asked."""
    first, last = rules({"name": "first", "match": {"path": "/a"}}, {"name": "last"})
    [here] = rules({"name": "last", "match": {"path": "/*"}})
    rule_set = RuleSet((first, last), 7, elsewhere=(evolve(here, unfit="no such API"),))
    told: list[str] = []
    for path, fires in (("/a", "first"), ("/b", "last")):
        plan = decide(
            rule_set,
            Counters(),
            request(path),
            on_unfit=lambda rule, facts, why: told.append(f"{facts.path} {rule.id}: {why}"),
        )
        assert plan.rule_id == fires
    assert told == ["/b last: no such API"]


def test_a_rule_that_asks_for_the_body_hides_none_behind_it() -> None:
    """It does not match every request that its head fits."""
    rule_set = RuleSet(rules({"match": {"model": "m"}}, {"name": "behind"}), 7)
    assert decide(rule_set, Counters(), request(body={"model": "n"})).rule_id == "behind"


def test_json_that_is_no_object() -> None:
    """Is asked itself, each time."""
    rule_set = RuleSet(rules({"match": {"json": {"[0]": 1}}}), 7)
    for body, fires in (([1], True), ([2], False), ("1", False), ([1], True)):
        plan = decide(rule_set, Counters(), request(body=body))
        assert (plan.rule_id is not None) is fires


def test_a_list_where_a_value_is_asked_for() -> None:
    """Cannot be remembered, and is asked each time, too."""
    rule_set = RuleSet(rules({"match": {"json": {"n": {"equal": [1]}}}}), 7)
    for value, fires in (([1], True), ([2], False), (1, False), ([1], True)):
        plan = decide(rule_set, Counters(), request(body={"n": value}))
        assert (plan.rule_id is not None) is fires


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is too much it is forgotten, and nothing else changes."""
    monkeypatch.setattr(index, "_COMBINATIONS", 4)
    values = [{"path": f"/{n}", "header": {"x-a": "1"}, "model": "m"} for n in range(9)]
    found = Index(rules(*({"name": str(n), "match": match} for n, match in enumerate(values))))
    for turn in range(80):
        asked = request(f"/{turn % 9}", {"model": "mn"[turn % 2]}, x_a=str(turn % 5))
        matches = turn % 2 == 0 and turn % 5 == 1
        assert len(found.candidates(asked).matching(asked)) == matches
        for known in remembered(found):
            assert len(known) <= 4
    assert all(map(len, remembered(found)))


def test_what_is_long_is_not_remembered() -> None:
    """A client may write anything, and as much as a head or a body holds."""
    found = Index(rules({"match": {"header": {"x-a": "1*"}, "json": {"n": "1*"}}}))
    asked = request("/" + "x" * 600, {"n": "1" * 600}, x_a="1" * 600)
    for _ in range(2):
        assert len(found.candidates(asked).matching(asked)) == 1
    assert [len(known) for known in remembered(found)] == [0, 0, 0, 1, 1]


def remembered(found: Index) -> list[dict[Any, Any]]:
    """Return all that an index remembers."""
    return [found._by_route, found._by_head, found._by_body, found._routed, found._candidates]
