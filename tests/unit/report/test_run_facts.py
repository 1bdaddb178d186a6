"""What a report says of what was run: names and counts."""

from __future__ import annotations

import json
from importlib import resources
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from faultinject.events import CommandEnded, Event, ProxyStarted, ProxyStopped
from faultinject.report.as_html import html_report
from faultinject.report.as_json import json_report
from faultinject.report.as_junit import junit_report
from faultinject.report.as_markdown import markdown_report
from faultinject.report.fail_on import FailOn
from faultinject.report.judge import Judge, Report
from faultinject.report.run_facts import MOST_NAMED, run_in_words
from tests.support.sample_events import sample

SCHEMA = json.loads((resources.files("faultinject.report") / "schema.json").read_text("utf-8"))
STARTED = sample(
    ProxyStarted,
    rules=("overloaded", "storm-1", "mine"),
    presets={"overloaded": "overloaded", "storm-1": "storm"},
)
COUNTS = tuple(
    {"rule": name, "reached": 4, "fired": fired}
    for name, fired in (("overloaded", 3), ("storm-1", 0), ("mine", 1))
)
STOPPED = sample(ProxyStopped, rules=COUNTS)
COMMAND = sample(CommandEnded, program="app.py")
WORDS = [
    "program app.py",
    "preset overloaded fired 3 of 4 times",
    "preset storm (rule storm-1) fired 0 of 4 times",
    "rule mine fired 1 of 4 times",
]


def report_of(*events: Event) -> Report:
    """Return the report on a run of these events."""
    judge = Judge()
    for event in events:
        judge.listen(event)
    return judge.report()


def test_each_form_names_what_was_run() -> None:
    """So that the files of several runs can be told apart."""
    report = report_of(STARTED, COMMAND, STOPPED)
    assert run_in_words(report.facts) == WORDS
    told = json.loads(json_report(report))
    Draft202012Validator(SCHEMA).validate(told)
    assert told["program"] == "app.py"
    assert told["rules"][:2] == [
        {"rule": "overloaded", "preset": "overloaded", "reached": 4, "fired": 3},
        {"rule": "storm-1", "preset": "storm", "reached": 4, "fired": 0},
    ]
    text = markdown_report(report)
    assert "Run: program app.py; preset overloaded fired 3 of 4 times; " in text
    properties = ElementTree.fromstring(junit_report(report, FailOn())).iter("property")
    assert [each.get("value") for each in properties] == WORDS
    page = html_report(report)
    assert all(each in page for each in WORDS)


def test_the_rules_of_a_preset_that_no_request_reached() -> None:
    """They are for other APIs, say: one that was reached stands for the preset, else its name."""
    of = {"cut-frame": "cut", "cut": "cut", "slow-a": "slow", "slow-b": "slow"}
    counts = tuple(
        {"rule": name, "reached": reached, "fired": reached}
        for name, reached in (("cut-frame", 0), ("cut", 3), ("slow-a", 0), ("slow-b", 0), ("r", 0))
    )
    started = sample(ProxyStarted, rules=(*of, "r"), presets=of)
    report = report_of(started, sample(ProxyStopped, rules=counts))
    assert run_in_words(report.facts) == [
        "preset cut fired 3 of 3 times",
        "preset slow fired 0 of 0 times",
        "rule r fired 0 of 0 times",
    ]
    told = json.loads(json_report(report))["rules"]
    assert [each["rule"] for each in told] == [*of, "r"]


def test_without_an_end_there_are_no_counts() -> None:
    """The program was killed while it wrote, say."""
    report = report_of(STARTED)
    assert run_in_words(report.facts)[0] == "preset overloaded"
    told = json.loads(json_report(report))
    Draft202012Validator(SCHEMA).validate(told)
    assert told["program"] is None
    assert told["rules"][2] == {"rule": "mine", "preset": None, "reached": None, "fired": None}


def test_without_a_beginning_nothing_is_said() -> None:
    """Its rules are not known."""
    report = report_of()
    assert json.loads(json_report(report))["rules"] == []
    assert "Run:" not in markdown_report(report)
    assert "<property" not in junit_report(report, FailOn())
    assert html_report(report).count('class="run"') == 1


def test_of_many_rules_a_line_names_the_first() -> None:
    """The others are counted."""
    many = tuple(f"r{number}" for number in range(MOST_NAMED + 2))
    words = run_in_words(report_of(sample(ProxyStarted, rules=many, presets={})).facts)
    assert words[-2:] == [f"rule r{MOST_NAMED - 1}", "2 more rules"]


@pytest.mark.parametrize("name", ["<b>", "a\x1b[31m", "a\nb"])
def test_names_do_no_harm(name: str) -> None:
    """They are of whoever wrote the log."""
    report = report_of(sample(ProxyStarted, rules=(name,), presets={}))
    ElementTree.fromstring(junit_report(report, FailOn()))
    assert name not in html_report(report)
    assert name not in markdown_report(report)
