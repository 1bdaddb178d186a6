"""Medians, ratios and floors of the benchmark."""

from __future__ import annotations

import json

import pytest

from tests.bench.results import FLOORS, Outcome, Results, as_json, judge, median, ratio


def outcome(measure: str, *values: float) -> Outcome:
    """Samples of one measure."""
    return Outcome([{measure: value} for value in values])


def cpu(ours: float, theirs: float) -> Results:
    """W1 with one sample of us and of mitmproxy."""
    measure = "cpu_us_per_request"
    return {"W1": {"faultinject": outcome(measure, ours), "mitmproxy": outcome(measure, theirs)}}


def test_the_median_of_an_odd_round_is_not_moved_by_one_outlier() -> None:
    """One disturbed round does not count."""
    results = {"start": {"faultinject": outcome("listening_ms", 120, 5000, 130)}}
    assert median(results, "start", "listening_ms", "faultinject") == 130


def test_what_failed_or_was_not_run_has_no_median() -> None:
    """No figure is made up."""
    results = {"start": {"faultinject": Outcome(failure="did not listen")}}
    assert median(results, "start", "listening_ms", "faultinject") is None
    assert median(results, "start", "listening_ms", "mitmproxy") is None
    assert median(results, "W1", "cpu_us_per_request", "faultinject") is None


def test_a_ratio_says_how_many_times_better_we_are() -> None:
    """Less CPU time is better, more requests are better."""
    rates = {
        "W1": {
            "faultinject": outcome("requests_per_second", 900),
            "mitmproxy": outcome("requests_per_second", 300),
        }
    }
    assert ratio(cpu(100, 500), "W1", "cpu_us_per_request", "mitmproxy") == 5
    assert ratio(rates, "W1", "requests_per_second", "mitmproxy") == 3
    assert ratio(rates, "W1", "requests_per_second", "proxy.py") is None


@pytest.mark.parametrize(("ours", "passed"), [(125.0, True), (126.0, False)])
def test_a_floor_against_a_peer_is_a_ratio(ours: float, passed: bool) -> None:
    """W1 wants four times mitmproxy; the floor itself passes."""
    verdicts = {verdict.floor.peer: verdict for verdict in judge(cpu(ours, 500))}
    assert verdicts["mitmproxy"].passed is passed
    assert verdicts["proxy.py"].passed is None


@pytest.mark.parametrize(("added_us", "passed"), [(250.0, True), (250.1, False), (-3.0, True)])
def test_a_floor_without_a_peer_is_a_limit(added_us: float, passed: bool) -> None:
    """SSE may cost 250 µs."""
    (verdict,) = judge({"SSE": {"faultinject": outcome("added_us", added_us)}})
    assert verdict.passed is passed


@pytest.mark.parametrize(("percent", "passed"), [(10.0, True), (10.1, False), (-0.4, True)])
def test_rules_that_do_not_match_may_cost_a_tenth(percent: float, passed: bool) -> None:
    """Each file of rules and each kind of request has a floor of its own."""
    verdicts = judge({"rules": {"faultinject": outcome("injected_all_percent", percent)}})
    found = {verdict.floor.measure: verdict.passed for verdict in verdicts}
    assert found == {
        "passed_head_percent": None,
        "injected_head_percent": None,
        "passed_all_percent": None,
        "injected_all_percent": passed,
    }


@pytest.mark.parametrize(("added_us", "passed"), [(300.0, True), (300.1, False)])
def test_an_event_may_cost_300_us_with_a_fault_waiting(added_us: float, passed: bool) -> None:
    """The whole way counts, and not only what the fault adds to it."""
    (verdict,) = judge({"harm": {"faultinject": outcome("added_us", added_us)}})
    assert verdict.passed is passed


def test_listening_in_half_the_time_is_twice_as_good() -> None:
    """The floor's two wordings are one."""
    (floor,) = [floor for floor in FLOORS if floor.workload == "start"]
    assert floor.limit == pytest.approx(1 / 0.5)


def test_json_has_the_samples_the_medians_the_ratios_and_the_floors() -> None:
    """Nothing that the table shows is missing for programs."""
    written = json.loads(json.dumps(as_json(cpu(100, 500), {"rounds": 1})))
    assert written["run"] == {"rounds": 1}
    assert written["workloads"]["W1"]["faultinject"] == {
        "medians": {"cpu_us_per_request": 100},
        "samples": [{"cpu_us_per_request": 100}],
        "failure": None,
    }
    assert written["ratios"]["W1"]["cpu_us_per_request"] == {"mitmproxy": 5}
    assert written["floors"][0]["passed"] is True
