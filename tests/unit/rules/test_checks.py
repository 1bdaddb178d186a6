"""Rules looked at together."""

from __future__ import annotations

import pytest

from faultinject.config.rules import read_rules
from faultinject.errors import SettingsError
from faultinject.faults.place import Ability
from faultinject.rules.checks import Capabilities, check_capabilities
from tests.unit.rules.support import rule_set, rules

NARROW = {"match": {"path": "/a", "model": "m"}}
WIDE = {"match": {"path": "/a"}}


@pytest.mark.parametrize(
    ("values", "hidden"),
    [
        ([{}, {}], [1]),
        ([{}, WIDE, NARROW], [1, 2]),
        ([WIDE, NARROW], [1]),
        ([WIDE, {"match": {"path": "/b"}}], []),
        ([NARROW, WIDE], []),
        ([{"when": {"first": 3}}, {}], []),
        ([{"when": {"probability": 1}}, {"when": {"first": 3}}], [1]),
        ([{}, {"fault": {"break": "tls-alert"}}], []),
        ([{"fault": "pass"}, {}], [1]),
        ([{"match": {"json": {"a": 1}}}, {"match": {"json": {"a": True}}}], []),
        ([{"match": {"json": {"a": {"equal": [1]}}}}] * 2, [1]),
        ([{}, {"match": {"model_call": True}}], [1]),
        ([{"match": {"housekeeping": False}}, {}], []),
        ([{}, {"match": {"method": "OPTIONS"}}], []),  # preflights come to it
        ([{"match": {"method": "OPTIONS"}}] * 2, [1]),
    ],
)
def test_a_rule_behind_one_that_always_fires(values, hidden) -> None:
    """For the same requests, or for more, gets a warning; at another stage it is reached."""
    named = [{"fault": {"respond": 500}, "name": str(n), **each} for n, each in enumerate(values)]
    warnings = read_rules(named, "file.yaml").warnings
    assert [warning.split(":")[1] for warning in warnings] == [f" rules[{n}]" for n in hidden]
    for warning in warnings:
        assert "is never reached: file.yaml: rules[0] comes before it" in warning


def test_which_rule_hides_another() -> None:
    """The first that stands before it, of however many; and each rule is asked but once."""
    narrow = [{"match": {"path": f"/{n}", "model": "m"}, "fault": "pass"} for n in range(3_000)]
    wide = [{"match": {"path": "/7"}, "fault": "pass"}, {"match": {"model": "m"}, "fault": "pass"}]
    warnings = read_rules([*narrow[:9], *wide, *narrow[7:]], "f").warnings
    assert len(warnings) == len(narrow) - 7
    assert warnings[0].startswith("f: rules[11]: it is never reached: f: rules[7] comes")
    assert warnings[2].startswith("f: rules[13]: it is never reached: f: rules[10] comes")


LACKING = Capabilities("the plugin", {Ability.RESET: "it sees no sockets", Ability.HANG: "no"})


@pytest.mark.parametrize(
    "fault",
    [
        {"break": "reset"},
        {"stream": {"reset": True}},
        {"break": {"how": "reset", "at": "connect"}},
        {
            "one_of": [
                {"respond": 500},
                {"stream": [{"pace": {"bytes_per_second": 1}}, {"reset": True}]},
            ]
        },
    ],
)
def test_what_a_front_door_cannot_do(fault) -> None:
    """Is refused, with the rule's place and the reason."""
    refused = rule_set({"name": "fine"}, {"name": "r", "fault": fault})
    with pytest.raises(SettingsError) as caught:
        check_capabilities(refused, LACKING)
    assert str(caught.value) == (
        "t: rules[1]: the plugin cannot reset a connection: it sees no sockets"
    )


def test_what_it_can_do_is_not() -> None:
    """And one that can do all refuses nothing."""
    check_capabilities(rule_set({}, {"fault": {"break": "close"}}), LACKING)
    check_capabilities(rule_set({"fault": {"break": "reset"}}), Capabilities("the proxy"))


@pytest.mark.parametrize(
    ("fault", "abilities"),
    [
        ("pass", set()),
        ({"respond": 500}, set()),
        ({"respond": {"status": 502, "at": "connect", "connection": "close"}},
         {Ability.CONNECT, Ability.CLOSE_AFTER}),
        ({"respond": {"status": 504, "upstream": "answered"}}, {Ability.ANSWERED}),
        ({"delay": 1}, {Ability.DELAY}),
        ({"delay": [{"fixed": 1, "before": "head"}, {"fixed": 1, "before": "body"}]},
         {Ability.DELAY_HEAD, Ability.DELAY_BODY}),
        ({"break": "hang"}, {Ability.HANG}),
        ({"break": "tls-alert"}, {Ability.ALERT, Ability.HANDSHAKE}),
        ({"break": {"how": "garbage", "at": "request"}}, {Ability.GARBAGE, Ability.REQUEST}),
        ({"break": {"how": "close", "after": {"time": 1}}}, {Ability.CLOSE, Ability.ANSWER}),
        ({"stream": {"cut": True}}, {Ability.ANSWER, Ability.CLOSE}),
        ({"stream": {"drop": 1, "upstream": "skipped"}}, {Ability.ANSWER, Ability.MADE_STREAM}),
    ],
)  # fmt: skip
def test_what_a_fault_asks_of_a_front_door(fault, abilities) -> None:
    """By its parts."""
    assert rules({"fault": fault})[0].abilities == abilities
