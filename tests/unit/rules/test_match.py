"""Which requests a match accepts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.rules.support import request, rules

BODY = {
    "model": "claude-opus-4",
    "stream": True,
    "max_tokens": 2000,
    "messages": [{"role": "user"}],
    "tools": [{"name": "get_weather"}],
    "flag": None,
}


@pytest.mark.parametrize(
    ("match", "accepted"),
    [
        ({}, True),
        ({"host": "api.example"}, True),
        ({"host": ["other", "*.example:443"]}, True),
        ({"host": "api.example:80"}, False),
        ({"method": ["get", "post"]}, True),
        ({"method": "GET"}, False),
        ({"path": "/v1/messages"}, True),
        ({"path": "/v1/*"}, True),
        ({"path": ["/x", "*/messages"]}, True),
        ({"path": "/v1"}, False),
        ({"provider": "anthropic"}, True),
        ({"provider": ["openai", "plain"]}, False),
        ({"model_call": True}, True),
        ({"model_call": False}, False),
        ({"housekeeping": False}, True),
        ({"housekeeping": True}, False),
        ({"query": {"alt": "sse"}}, True),
        ({"query": {"alt": ["json", "s*"], "none": {"present": False}}}, True),
        ({"query": {"alt": "json"}}, False),
        ({"query": {"none": {"present": True}}}, False),
        ({"header": {"X-Test": "run-1"}}, True),
        ({"header": {"x-test": "run-*"}}, True),
        ({"header": {"x-test": {"equal": "run-*"}}}, False),
        ({"header": {"x-test": {"glob": "run-?"}, "x-none": {"present": False}}}, True),
        ({"header": {"x-number": 7}}, True),
        ({"header": {"x-number": {"equal": 7}}}, True),
        ({"header": {"x-test": {"present": False}}}, False),
        ({"client": "anthropic/python*"}, True),
        ({"client": ["curl*", "*PYTHON*"]}, True),
        ({"client": "curl*"}, False),
        ({"json": {"max_tokens": {"above": 1000, "at_most": 2000}}}, True),
        ({"json": {"max_tokens": [1, 2000.0]}}, True),
        ({"json": {"max_tokens": {"above": 2000}}}, False),
        ({"json": {"messages[0].role": "user", "none": {"present": False}}}, True),
        ({"json": {"messages": {"equal": [{"role": "user"}]}}}, True),
        ({"json": {"flag": None}}, True),
        ({"json": {"none": None}}, False),
        ({"json": {"stream": True}}, True),
        ({"json": {"model": "claude*"}}, True),
        ({"model": "claude-*"}, True),
        ({"model": ["gpt", "claude-opus-4"]}, True),
        ({"model": "claude"}, False),
        ({"stream": True}, True),
        ({"stream": False}, False),
        ({"tools": True}, True),
        ({"tools": False}, False),
        ({"tools": "get_*"}, True),
        ({"tools": ["a", "b"]}, False),
        ({"model": "claude-*", "stream": False}, False),
        ({"path": "/x", "model": "claude-*"}, False),
    ],
)
def test_what_a_match_accepts(match: dict[str, Any], accepted: bool) -> None:
    """All that is given must hold; any of a list."""
    asked = request(
        "/v1/messages?alt=sse", BODY,
        x_test="run-1", x_number="7", User_Agent="Anthropic/Python 2.12.0",
    )  # fmt: skip
    [rule] = rules({"match": match})
    assert rule.match.accepts(asked) is accepted


@pytest.mark.parametrize("body", [None, b"", b"no JSON"])
@pytest.mark.parametrize(
    "match",
    [
        {"stream": False}, {"tools": False}, {"model": "*"}, {"tools": "*"},
        {"json": {"a": {"present": False}}}, {"attempt": 1},
    ],
)  # fmt: skip
def test_nothing_is_said_of_a_body_that_is_not_known(match: dict[str, Any], body: Any) -> None:
    """Neither that something is in it nor that it is not."""
    [rule] = rules({"match": match})
    assert not rule.match.accepts(request(body=body))


def test_the_attempt_is_counted_by_somebody_else() -> None:
    """It is compared here only."""
    [rule] = rules({"match": {"attempt": [1, {"at_least": 3}]}})
    accepted = [rule.match.accepts(request().counted(n, "c")) for n in (1, 2, 3, 4)]
    assert accepted == [True, False, True, True]


def test_which_apis_a_match_names() -> None:
    """Any that it does not exclude, by the API or by what is spoken."""
    [any_, one, spoken] = rules({}, {"match": {"provider": "openai"}}, {"match": {"shape": "chat"}})
    asked = [("openai", "chat"), ("openai", "responses"), ("mistral", "chat")]
    named = [[rule.match.names_api(*each) for each in asked] for rule in (any_, one, spoken)]
    assert named == [[True] * 3, [True, True, False], [True, False, True]]


def test_what_is_given() -> None:
    """Is what makes the match differ from an empty one; false is given, too."""
    [rule] = rules({"match": {"stream": False, "path": "/x"}})
    assert list(rule.match.given) == ["path", "stream"]
