"""How often a rule fires, and in which order."""

from __future__ import annotations

import math
from typing import Any

import pytest

from faultinject.rules import Counters, Draws, RuleSet, When, decide
from faultinject.rules.counters import Tally
from faultinject.rules.when import ALWAYS, Burst
from tests.unit.rules.support import fired, in_turn, plans, request, rule_set, rules

A = request(connection=1, User_Agent="a", x_user="1")
B = request(connection=2, User_Agent="b", x_user="2")


@pytest.mark.parametrize(
    ("when", "seen"),
    [
        ({}, "xxxxxxxxxxxx"),
        ({"first": 3}, "xxx........."),
        ({"after": 9}, ".........xxx"),
        ({"nth": 2}, ".x.........."),
        ({"nth": [1, 5]}, "x...x......."),
        ({"every": 4}, "...x...x...x"),
        ({"sequence": ["fault", "pass", "fault"]}, "x.x........."),
        ({"sequence": {"steps": ["pass", "fault", "fault"], "repeat": True}}, ".xx.xx.xx.xx"),
        ({"limit": 2}, "xx.........."),
        ({"limit": {"in_all": 2}, "every": 3}, "..x..x......"),
        ({"after": 5, "limit": 2}, ".....xx....."),
        ({"after": 2, "every": 5, "probability": 1}, "....x....x.."),
        ({"probability": 0}, "............"),
        ({"ramp": {"from": 0, "to": 1, "times": 1}}, ".xxxxxxxxxxx"),
        ({"burst": {"calm": 1, "storm": 1}}, "x.x.x.x.x.x."),
    ],
)
def test_the_order_in_which_a_rule_fires(when: dict[str, Any], seen: str) -> None:
    """All that is given must hold."""
    assert fired(when, [A] * 12) == seen


@pytest.mark.parametrize(
    ("per", "seen"),
    [
        ("connection", "xx.x."),
        ("client", "xx.x."),
        ("header x-user", "xx.x."),
        ({"header": "X-User"}, "xx.x."),
        ("header x-none", "x...."),
    ],
)
def test_groups_are_counted_apart(per: Any, seen: str) -> None:
    """What has no such header is one more group."""
    other = request(connection=3, User_Agent="c", x_user="3")
    assert fired({"first": 1, "per": per}, [A, B, A, other, B]) == seen


def test_an_empty_header_is_a_group_of_its_own() -> None:
    """Another than that of the requests without it."""
    empty = request(x_user="")
    when = {"first": 1, "per": "header x-user"}
    assert fired(when, [request(), empty, request(), empty]) == "xx.."


def test_what_a_group_has_of_its_own() -> None:
    """Its limit and its burst, too."""
    assert fired({"limit": 1, "per": "client"}, [A, A, B, B]) == "x.x."
    storms = {"burst": {"calm": 1, "storm": 1}, "per": "client"}
    assert fired(storms, [A, B, A, B, A, B]) == "xx..xx"
    assert (
        fired({"ramp": {"from": 0, "to": 1, "times": 1}, "per": "client"}, [A, A, B, B]) == ".x.x"
    )


# -- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "inside", "outside"),
    [
        ({"between": [10, "20s"]}, [10, 15, 19.9], [0, 9.9, 20, 1000]),
        (
            {"between": {"from": 10, "to": 20, "every": "1m"}},
            [10, 19, 70, 79, 3610],
            [0, 20, 69, 80],
        ),
        ({"for": "30s"}, [0, 29.9], [30, 100]),
        ({"for": {"lasting": 1, "every": 5}}, [0, 0.9, 5, 10.5], [1, 4.9, 6]),
    ],
)
def test_windows(when: dict[str, Any], inside: list[float], outside: list[float]) -> None:
    """Since the start; the end is outside."""
    rule_set_ = rule_set({"when": when})
    counters = Counters()
    for now in inside:
        assert decide(rule_set_, counters, A, now_seconds=now).rule_id
    for now in outside:
        assert decide(rule_set_, counters, A, now_seconds=now).rule_id is None


def test_outside_of_its_window_a_rule_counts_nothing() -> None:
    """It is as if it were not there."""
    rule_set_ = rule_set({"when": {"between": [10, 20], "first": 2}})
    counters = Counters()
    times = (0, 1, 2, 10, 11, 12)
    seen = [bool(decide(rule_set_, counters, A, now_seconds=now).rule_id) for now in times]
    assert seen == [False, False, False, True, True, False]


def test_a_ramp_over_time() -> None:
    """From its start to its end, and then it stays; downwards, too."""
    when = rules({"when": {"ramp": {"from": "10%", "to": 0.5, "over": "10s"}}})[0].when
    chances = [round(when.chance(1, now), 9) for now in (0, 5, 10, 99)]
    assert chances == [0.1, 0.3, 0.5, 0.5]
    down = rules({"when": {"ramp": {"from": 1, "to": 0, "times": 4}}})[0].when
    assert [down.chance(number, 0) for number in (1, 2, 3, 4, 5, 9)] == [1, 0.75, 0.5, 0.25, 0, 0]


# -- at a time ----------------------------------------------------------------------------------


def test_so_many_exchanges_at_a_time() -> None:
    """Until it is said that one is over, however often."""
    rule_set_ = rule_set({"when": {"limit": {"at_a_time": 2}}})
    counters = Counters()
    first, second, third = plans(rule_set_, [A] * 3, counters)
    assert [bool(plan.rule_id) for plan in (first, second, third)] == [True, True, False]
    first.end()
    first.end()
    third.end()
    fourth, fifth = plans(rule_set_, [A] * 2, counters)
    assert [bool(plan.rule_id) for plan in (fourth, fifth)] == [True, False]


# -- attempts -----------------------------------------------------------------------------------


def test_the_first_attempts_of_each_call_fail() -> None:
    """In one line; calls that differ are told apart, and the same again is another."""
    when = {"first": 2, "per": "attempt-group"}
    one, two = request(body={"n": 1}), request(body={"n": 2})
    assert fired(when, [one, one, two, one, two, two]) == "xxx.x."
    assert fired(when, [one] * 7) == "xx.xx.x"


def test_attempts_that_the_client_numbers() -> None:
    """Are believed; a 0 begins a call once the same client has sent more."""
    when = {"first": 2, "per": "attempt-group"}
    numbered = [
        request(body=b"x", X_Stainless_Retry_Count=str(count)) for count in (0, 1, 2, 0, 0, 1)
    ]
    assert fired(when, numbered) == "xx.xxx"


def test_without_a_body_the_attempt_is_not_known() -> None:
    """It was too long, perhaps: no such rule matches."""
    assert fired({"first": 2, "per": "attempt-group"}, [request()]) == "."
    told = request(X_Stainless_Retry_Count="0")
    assert fired({"limit": 1, "per": "attempt-group"}, [told]) == "."


def test_a_call_has_its_own_limit() -> None:
    """Each fails once, at an attempt that chance finds."""
    when = {"limit": 1, "per": "attempt-group", "nth": [2, 3]}
    calls = [request(body=b"x", X_Stainless_Retry_Count=str(count)) for count in (0, 1, 2)] * 2
    assert fired(when, calls) == ".x..x."


def test_an_attempt_is_counted_though_no_rule_asks_at_first() -> None:
    """A rule that stands in front may fire for some attempts and not for others."""
    rules_ = rule_set(
        {"name": "first", "when": {"nth": 1}},
        {"name": "second", "match": {"attempt": 2}},
    )
    done = in_turn(rules_, [request(body=b"x")] * 3)
    assert [plan.rule_id for plan in done] == ["first", "second", None]


# -- rates --------------------------------------------------------------------------------------

TIMES = 10_000
Z = 3.2905  # 99.9 % of the normal distribution, both ways


def binomial(probability: float, times: int = TIMES) -> tuple[float, float]:
    """Return the mean and the half width of the interval."""
    return times * probability, Z * math.sqrt(times * probability * (1 - probability))


def chain(calm: float, storm: float) -> tuple[float, float]:
    """The same of a chain of two states, by the variance of its sum in the long run."""
    share = storm / (calm + storm)
    link = 1 - 1 / calm - 1 / storm
    return TIMES * share, Z * math.sqrt(TIMES * share * (1 - share) * (1 + link) / (1 - link))


def ramped(start: float, end: float) -> tuple[float, float]:
    """The same of a chance that changes with each time."""
    chances = [start + (end - start) * (number / TIMES) for number in range(TIMES)]
    return sum(chances), Z * math.sqrt(sum(chance * (1 - chance) for chance in chances))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"probability": 0.02}, binomial(0.02)),
        ({"probability": "70%"}, binomial(0.7)),
        ({"first": 4000, "probability": 0.5}, binomial(0.5, 4000)),
        ({"after": 4000, "probability": 0.5}, binomial(0.5, 6000)),
        ({"every": 3, "probability": 0.25}, binomial(0.25, 3333)),
        ({"nth": list(range(1, 1001)), "probability": 0.25}, binomial(0.25, 1000)),
        (
            {"sequence": {"steps": ["fault", "pass"], "repeat": True}, "probability": 0.5},
            binomial(0.5, 5000),
        ),
        ({"burst": {"calm": 20, "storm": 5}}, chain(20, 5)),
        ({"burst": {"calm": 3, "storm": 1.5}}, chain(3, 1.5)),
        ({"ramp": {"from": 0, "to": 0.6, "times": TIMES}}, ramped(0, 0.6)),
        ({"ramp": {"from": 0.9, "to": 0.2, "over": TIMES}}, ramped(0.9, 0.2)),
        ({"between": [1000, 4000], "probability": 0.3}, binomial(0.3, 3000)),
        ({"for": {"lasting": 10, "every": 100}, "probability": 0.3}, binomial(0.3, 1000)),
        ({"first": 5, "per": "connection", "probability": 0.3}, binomial(0.3, 5 * 100)),
        ({"limit": 100_000, "probability": 0.3}, binomial(0.3)),
        ({"limit": 50, "probability": 0.3}, (50, 0)),
        ({"limit": {"at_a_time": 1}}, (1, 0)),
    ],
)
def test_the_seen_rate_is_within_its_interval(
    when: dict[str, Any], expected: tuple[float, float]
) -> None:
    """Of 10,000 requests, one a second, from a hundred connections; the interval is of 99.9 %."""
    rule_set_ = rule_set({"name": "rate", "when": when}, seed=2**40)
    counters = Counters()
    connections = [request(connection=number) for number in range(100)]
    count = sum(
        decide(rule_set_, counters, connections[now % 100], now_seconds=now).rule_id is not None
        for now in range(TIMES)
    )
    mean, width = expected
    assert abs(count - mean) <= width


def test_storms_and_calms_are_as_long_as_asked_for() -> None:
    """On average; each length is geometric, so its deviation is known."""
    burst, tally = Burst(calm=12, storm=4), Tally()
    states = [burst.storms(tally, Draws(3, "r", number)) for number in range(1, 50_001)]
    for state, mean in ((True, 4), (False, 12)):
        lengths = runs(states, state)
        deviation = math.sqrt(mean * (mean - 1))
        assert abs(sum(lengths) / len(lengths) - mean) <= Z * deviation / math.sqrt(len(lengths))


def runs(states: list[bool], state: bool) -> list[int]:
    """Return the lengths of the whole runs of a state; those at both ends are cut."""
    lengths, length = [], 0
    for each in states:
        if each is state:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    return lengths[1:]


# -- repeatable ---------------------------------------------------------------------------------

FAULT = {
    "one_of": [
        {"weight": 2, "respond": 529},
        {"delay": {"exponential": {"mean": 1}}},
        {"stream": {"cut": True}, "delay": {"range": [1, 2], "before": "body"}},
    ]
}


@pytest.mark.parametrize(
    "when",
    [{"probability": 0.5}, {"burst": {"calm": 3, "storm": 3}}, {"probability": 0.4, "every": 2}],
)
def test_the_kth_request_gets_the_same_plan_whatever_came_between(when: dict[str, Any]) -> None:
    """Choice, delays and the numbers for ids included."""
    rule = {"name": "r", "match": {"host": "a"}, "when": when, "fault": FAULT}
    other = {"name": "o", "match": {"host": "b"}, "when": {"probability": 0.5}, "fault": FAULT}
    mine, theirs = request(host="a"), request(host="b")
    alone = plans(rule_set(rule), [mine] * 200)
    mixed = plans(rule_set(other, rule), [facts for _ in range(200) for facts in (theirs, mine)])
    assert mixed[1::2] == alone
    assert len({plan.waits for plan in alone}) > 20
    for one, two in zip(alone, mixed[1::2], strict=True):
        assert one.numbers("ids")() == two.numbers("ids")()


def test_always_is_always() -> None:
    """Groups do not change that; anything else does."""
    assert ALWAYS.always
    assert rules({"when": {"probability": 1}})[0].when.always
    for when in ({"probability": 0.9}, {"first": 9}, {"limit": 9}, {"for": 9}):
        assert not rules({"when": when})[0].when.always
    assert When(0.3).probability == 0.3
    assert RuleSet((), 1) == RuleSet((), 1)
