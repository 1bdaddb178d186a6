"""Hundreds of rules are asked as one after the other would be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from faultinject.rules import index
from faultinject.rules.index import Index
from tests.rules.support import request, rules

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
             {"l[*]": "x"}, {"n": {"present": False}}]
        ),
    },
)  # fmt: skip
BODIES = st.one_of(
    st.sampled_from([None, b"", b"x"]),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(["m", "nn", 1]),
            "stream": st.booleans(),
            "tools": st.sampled_from([[], [{"name": "t1"}]]),
            "n": st.sampled_from([1, 1.0, True, 2, [1], {"a": 1}, "1", "y" * 600]),
            "l": st.lists(st.sampled_from(["x", "y"]), max_size=2),
        },
    ),
)
REQUESTS = st.builds(
    lambda host, target, body, header, client, attempt: request(
        target, body, host=host, **({"x_a": header} if header else {}), User_Agent=client
    ).counted(attempt, "c"),
    st.sampled_from(["a.example", "b.test"]),
    st.sampled_from(["/", "/v1", "/v1?q=1", "/v" + "x" * 600]),
    BODIES,
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "curl/8"]),
    st.integers(1, 3),
)


@given(st.lists(MATCHES, max_size=8), st.lists(REQUESTS, min_size=1, max_size=12))
def test_an_index_finds_what_asking_each_finds(matches: list[Any], requests: list[Any]) -> None:
    """In order, also at the second time, when it remembers."""
    all_rules = rules(*({"match": match, "name": str(n)} for n, match in enumerate(matches)))
    whole, heads = Index(all_rules), Index(all_rules, head_only=True)
    for asked in requests * 2:
        expected = [rule for rule in all_rules if rule.match.accepts(asked)]
        assert list(whole.matching(asked)) == expected
        by_head = [
            rule
            for rule in all_rules
            if rule.match.accepts_route(asked) and rule.match.accepts_head(asked)
        ]
        assert list(heads.matching(asked)) == by_head


def test_what_is_remembered_is_bounded(monkeypatch) -> None:
    """When it is too much it is forgotten, and nothing else changes."""
    monkeypatch.setattr(index, "_COMBINATIONS", 4)
    all_rules = rules(
        *({"name": str(n), "match": {"path": f"/{n}", "model": "m"}} for n in range(9))
    )
    found = Index(all_rules)
    for turn in range(40):
        asked = request(f"/{turn % 9}", {"model": "mn"[turn % 2]})
        assert len(found.matching(asked)) == (turn % 2 == 0)
        assert len(found._by_route) <= 4
        assert len(found._by_positions) <= 4
    routed = found._by_route.popitem()[1]
    assert len(routed._known) <= 4
