"""Which requests a rule is for, how often it fires, and which plan comes of it."""

from __future__ import annotations

import itertools
import math

import attrs
import pytest

from faultinject.authority import TargetPattern
from faultinject.faults.delay import Before
from faultinject.faults.place import Stage
from faultinject.faults.respond import Respond
from faultinject.http.message import RequestHead
from faultinject.rules import PASS, Counters, Match, Plan, Rule, RuleSet, Wait, When, decide
from faultinject.rules.facts import Facts
from tests.unit.rules.support import in_turn, plans, request, rule_set

HEAD = RequestHead(b"POST", b"/v1/messages", ((b"Host", b"a.example"),))
A = Facts("a.example", 443, HEAD)
B = Facts("b.example", 443, HEAD)
OTHER = Facts("other.test", 443, HEAD)


def rule(name: str, hosts: str, probability: float, *, status: int = 500) -> Rule:
    """Return a rule for some hosts (with commas between them)."""
    patterns = tuple(TargetPattern.parse(host) for host in hosts.split(","))
    return Rule.of(name, Match(patterns), When(probability), Respond(status), marker=True)


def fired(rules: RuleSet, requests: list[Facts], counters: Counters | None = None) -> list[str]:
    """Return the rule that fired for each request, in order; nothing where none did."""
    counters = counters or Counters()
    return [decide(rules, counters, facts).rule_id or "" for facts in requests]


@pytest.mark.parametrize(
    ("hosts", "facts", "accepted"),
    [
        ("a.example", A, True),
        ("a.example", B, False),
        ("a.example,b.example", B, True),
        ("*.example", B, True),
        ("*.example", OTHER, False),
        ("a.example:443", A, True),
        ("a.example:444", A, False),
    ],
)
def test_a_rule_is_for_its_hosts(hosts: str, facts: Facts, accepted: bool) -> None:
    """Any of its patterns will do."""
    assert rule("r", hosts, 1).match.accepts(facts) is accepted


def test_a_match_without_hosts_accepts_nothing() -> None:
    """There is no pattern that the host fits."""
    assert not Match(()).accepts(A)


def test_a_plan_has_the_answer_and_the_rule() -> None:
    """Made ready when the rule was, not for each request."""
    the_rule = rule("r", "a.example", 1, status=429)
    plan = decide(RuleSet((the_rule,), 1), Counters(), A)
    assert plan == Plan(the_rule.response, "r", upstream="skipped", marker="r")
    assert plan.source is the_rule.response
    assert plan.source.status == 429


def test_a_rule_marks_its_answers_with_its_name_if_it_shall() -> None:
    """`--no-marker` is for programs that must not know."""
    for marker, headers in [(True, [(b"X-Faultinject", b"r")]), (False, [])]:
        made = Rule.of("r", Match(()), When(1), Respond(500), marker=marker)
        assert [item for item in made.response.headers if item[0] == b"X-Faultinject"] == headers


def test_without_a_rule_that_fires_the_upstream_is_asked() -> None:
    """No rule, none that matches, none that is drawn."""
    for rules in [(), (rule("r", "other.test", 1),), (rule("r", "a.example", 0),)]:
        assert decide(RuleSet(rules, 1), Counters(), A) == Plan(None, None)


def test_the_first_rule_that_fires_wins() -> None:
    """Order matters."""
    rules = RuleSet(
        (rule("never", "a.example", 0), rule("always", "a.example", 1), rule("late", "*", 1)), 1
    )
    assert fired(rules, [A, B]) == ["always", "late"]


def test_a_rule_is_reached_if_it_matches_and_no_earlier_one_fired() -> None:
    """Only then is it counted."""
    rules = RuleSet((rule("first", "a.example", 1), rule("second", "*", 0)), 1)
    counters = Counters()
    fired(rules, [A, B, A, OTHER, B], counters)
    assert counters.count("first") == 3
    assert counters.count("second") == 4


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_10000_decisions_at_0_3_are_within_the_99_9_percent_interval(seed: int) -> None:
    """Of the binomial distribution, by the normal approximation (z = 3.2905)."""
    rules = RuleSet((rule("options", "*", 0.3),), seed)
    count = sum(bool(name) for name in fired(rules, [A] * 10_000))
    assert abs(count - 3_000) <= 3.2905 * math.sqrt(10_000 * 0.3 * 0.7)


def test_neighbouring_decisions_have_nothing_to_do_with_each_other() -> None:
    """How often one firing follows another is as chance would have it (99.9 %)."""
    names = fired(RuleSet((rule("options", "*", 0.3),), 9), [A] * 10_000)
    pairs = sum(bool(one and two) for one, two in itertools.pairwise(names))
    assert abs(pairs - 900) <= 3.2905 * math.sqrt(10_000 * (0.09 * 0.91 + 2 * (0.027 - 0.0081)))


@pytest.mark.parametrize("probability", [0, 1])
def test_never_and_always_are_meant(probability: int) -> None:
    """In 5,000 decisions."""
    names = fired(RuleSet((rule("r", "*", probability),), 3), [A] * 5_000)
    assert set(names) == ({"r"} if probability else {""})


def test_the_same_seed_decides_the_same() -> None:
    """Request by request; and another seed does not."""
    requests = [A] * 200
    first = fired(RuleSet((rule("r", "*", 0.5),), 1), requests)
    assert fired(RuleSet((rule("r", "*", 0.5),), 1), requests) == first
    assert fired(RuleSet((rule("r", "*", 0.5),), 2), requests) != first


def test_rules_draw_by_their_names() -> None:
    """Else all rules with the same chance would fire together."""
    drawn = [fired(RuleSet((rule(name, "*", 0.5),), 1), [A] * 200) for name in "ab"]
    assert [bool(name) for name in drawn[0]] != [bool(name) for name in drawn[1]]


def test_the_kth_request_to_reach_a_rule_gets_its_kth_draw_whatever_came_between() -> None:
    """Requests of others and rules of others change nothing (docs/design.md, property 4)."""
    alone = fired(RuleSet((rule("r", "a.example", 0.5),), 1), [A] * 100)
    mixed = [facts for _ in range(100) for facts in (B, A, OTHER)]
    crowd = RuleSet((rule("b", "b.example", 0.5), rule("r", "a.example", 0.5)), 1)
    assert fired(crowd, mixed)[1::3] == alone


def test_counters_outlive_a_rule_set() -> None:
    """Rules that are loaded anew go on where those of the same name stopped."""
    rules = RuleSet((rule("r", "*", 0.5),), 1)
    at_once = fired(rules, [A] * 60)
    counters = Counters()
    again = RuleSet((rule("r", "*", 0.5),), 1)
    assert fired(rules, [A] * 25, counters) + fired(again, [A] * 35, counters) == at_once


# -- plans of all kinds of fault ----------------------------------------------------------------


def one_plan(fault):
    """Return the plan of a rule that always fires."""
    [plan] = plans(rule_set({"name": "r", "fault": fault}), [request()])
    return plan


def test_a_described_answer_is_worded_later() -> None:
    """By who knows the API; here it is only said what it shall be."""
    plan = one_plan({"respond": {"status": 429, "retry_after": 2}})
    assert plan.source is None
    assert plan.respond is not None
    assert (plan.respond.status, plan.respond.filled, plan.upstream) == (429, True, "skipped")
    assert plan.marker == "r"


@pytest.mark.parametrize(
    ("fault", "upstream"),
    [
        ("pass", "asked"),
        ({"delay": 1}, "asked"),
        ({"respond": 500}, "skipped"),
        ({"respond": {"status": 500, "upstream": "answered"}}, "answered"),
        ({"break": "close"}, "skipped"),
        ({"break": {"how": "close", "after": {"bytes": 1}}}, "asked"),
        ({"stream": {"cut": True}}, "asked"),
        ({"stream": {"cut": True, "upstream": "skipped"}}, "skipped"),
    ],
)
def test_whether_the_upstream_is_asked(fault, upstream) -> None:
    """Each fault says so, or cannot be otherwise."""
    assert one_plan(fault).upstream == upstream


def test_waits_are_drawn() -> None:
    """One for each delay, in the order in which they stand."""
    delay = [{"fixed": 1, "before": "head"}, {"range": [2, 3]}]
    head, upstream = one_plan({"delay": delay, "respond": 500}).waits
    assert head == Wait(Before.HEAD, 1)
    assert upstream.before is Before.UPSTREAM
    assert 2 <= upstream.seconds < 3


def test_a_choice_is_made_by_weight() -> None:
    """Within the 99.9 % interval of each, of 6,000."""
    choices = [{"weight": weight, "respond": 500 + weight} for weight in (1, 2, 3)]
    done = plans(rule_set({"fault": {"one_of": choices}}), [request()] * 6000)
    for weight in (1, 2, 3):
        count = sum(plan.respond.status == 500 + weight for plan in done)
        share = weight / 6
        assert abs(count - 6000 * share) <= 3.2905 * math.sqrt(6000 * share * (1 - share))


def test_a_rule_that_passes_ends_the_search() -> None:
    """Its plan harms nothing, and names the rule."""
    done = plans(
        rule_set({"name": "spare", "match": {"path": "/a"}, "fault": "pass"}, {"name": "rest"}),
        [request("/a"), request("/b")],
    )
    assert [plan.rule_id for plan in done] == ["spare", "rest"]
    assert done[0] == Plan(None, "spare", marker="spare")


def test_each_stage_has_its_own_rules() -> None:
    """Wherever they stand in the list."""
    rules_ = rule_set(
        {"name": "answer"},
        {"name": "request", "fault": {"break": {"how": "reset", "at": "request"}}},
        {"name": "handshake", "fault": {"break": "tls-alert"}},
        {"name": "connect", "fault": {"respond": {"status": 407, "at": "connect"}}},
    )
    counters = Counters()
    for stage in Stage:
        assert rules_.has(stage)
        assert decide(rules_, counters, request(), stage=stage).rule_id == stage.value
    assert not rule_set({}).has(Stage.CONNECT)
    assert decide(rule_set({}), counters, request(), stage=Stage.CONNECT) is PASS


def test_the_marker_can_be_left_out() -> None:
    """For programs that must not know."""
    silent = attrs.evolve(rule_set({"name": "r"}), marker=False)
    assert plans(silent, [request()])[0].marker is None


def test_a_preflight_meets_the_rules_that_ask_for_its_method_alone() -> None:
    """Others would use up ``first=1`` on what the program did not ask for."""
    asks = request(method="OPTIONS", Origin="http://a.test", Access_Control_Request_Method="POST")
    named = {"name": "named", "match": {"method": "OPTIONS"}}
    rules_ = rule_set({"name": "any", "when": {"first": 1}}, named)
    done = plans(rules_, [asks, request(), request(method="OPTIONS")])
    assert [plan.rule_id for plan in done] == ["named", "any", "named"]


def test_numbers_of_a_plan_belong_to_their_purpose() -> None:
    """They are the same for who asks again, and differ by purpose and decision."""
    one, two = plans(rule_set({}), [request()] * 2)
    ids = one.numbers("ids")
    first = [ids(), ids()]
    again = one.numbers("ids")
    assert [again(), again()] == first
    assert len({*first, one.numbers("other")(), two.numbers("ids")()}) == 4
    assert 0 <= PASS.numbers("ids")() < 1
    PASS.end()


# -- the body -----------------------------------------------------------------------------------


def needs_body(rules: RuleSet, facts: Facts) -> bool:
    """Return whether the body must be known, too."""
    return rules.candidates(Stage.ANSWER, facts).need_body


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ([], False),
        ([{}], False),
        ([{"match": {"model": "m"}}], True),
        ([{"match": {"model": "m", "path": "/other"}}], False),
        ([{"match": {"stream": True, "header": {"x-a": "1"}}}], False),
        ([{"match": {"json": {"a": 1}, "client": "me*"}}], True),
        ([{"match": {"path": "/other"}}, {"when": {"first": 1}}, {"match": {"tools": True}}], True),
        ([{}, {"match": {"model": "m"}}], False),
        ([{"match": {"path": "/v1/*"}}, {"match": {"model": "m"}}], False),
        ([{"match": {"attempt": 2}}], True),
        ([{"when": {"first": 2, "per": "attempt-group"}}], True),
        ([{"match": {"model": "m"}, "fault": {"delay": 1}}, {}], True),
    ],
)
def test_whether_the_body_is_needed(values, needed) -> None:
    """Only if a rule that could fire asks for it, and no rule before it surely fires."""
    for more in ([], [{"name": str(n), "match": {"path": f"/none/{n}"}} for n in range(9)]):
        assert needs_body(rule_set(*more, *values), request(User_Agent="me/1")) is needed


def test_attempts_are_counted_only_if_a_rule_asks() -> None:
    """Whether one fires or not."""
    asks, not_ = {"match": {"attempt": 2}}, {"match": {"path": "/other"}}
    for values, counted in (((not_,), False), (({},), False), ((asks,), True), ((asks, {}), True)):
        [plan] = plans(rule_set(*values), [request(body=b"x")])
        assert (plan.attempt is not None) is counted


def test_attempts_are_forgiven_once_one_passes() -> None:
    """So a program that asks the same again later meets the rule anew."""
    rules_ = rule_set({"match": {"attempt": {"at_most": 2}}})
    done = in_turn(rules_, [request(body=b"x")] * 6)
    assert [plan.rule_id is not None for plan in done] == [True, True, False] * 2


def test_a_rule_that_counts_groups_has_its_total_too() -> None:
    """It is what the end of a run tells."""
    counters = Counters()
    rules = rule_set({"name": "r", "when": {"first": 1, "per": "connection"}})
    plans(rules, [request(connection=number) for number in (1, 1, 2, 3)], counters)
    assert counters.totals(["r"]) == ({"rule": "r", "reached": 4, "fired": 3},)
