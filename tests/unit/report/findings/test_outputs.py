"""What a report looks like: JSON, JUnit, Markdown, lines."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from faultinject.errors import SettingsError
from faultinject.report.as_html import html_report
from faultinject.report.as_json import json_report, report_value
from faultinject.report.as_junit import junit_report
from faultinject.report.as_lines import text_report
from faultinject.report.as_markdown import ANNOTATIONS, SHOWN, github_lines, markdown_report
from faultinject.report.fail_on import NEVER, FailOn, read_fail_on, read_ids
from faultinject.report.findings import KNOWN
from faultinject.report.judge import Judge, Report
from tests.support.examples import examples
from tests.unit.report.findings.clients import in_turn, once, pauses, retrying, steady
from tests.unit.report.findings.simulator import (
    Answer,
    Ask,
    World,
    assistant,
    broken_stream,
    dropped,
    ok,
    overloaded,
    results,
    script,
    stall,
    throttled,
    unseen,
    user,
)
from tests.unit.report.findings.test_judge import random_client, random_server

SCHEMA = json.loads((resources.files("faultinject.report") / "schema.json").read_text("utf-8"))


def hasty(calls: int = 1) -> Report:
    """A program that tries again without a pause, is told of a wait, and has its answer."""
    world = World(script(*[throttled(0.5, tokens=(7, 0))] * 2, ok(), *[overloaded()] * 10_000))
    world.start(retrying(Ask(more="a"), pauses(0.5, 0.9)))
    for place in range(calls):
        ask = Ask(turns=(user(str(place)),), model=f"m{place}")
        world.start(retrying(ask, pauses(0.0, 0.0, 0.0)), 100.0 + place)
    world.start(once(Ask(turns=(user("last"),))), 1e4)
    return world.run().wait(90).stop().report()


def quiet() -> Report:
    """A run in which nothing came."""
    return World(script(ok())).stop().report()


# -- JSON ---------------------------------------------------------------------------------------


def test_json() -> None:
    """All that is known, as the schema describes it."""
    told = json.loads(json_report(hasty()))
    Draft202012Validator(SCHEMA).validate(told)
    assert told["calls"] == {
        "succeeded": 1, "failed": 2, "abandoned": 0, "unfinished": 0, "attempts": 8,
        "added_seconds": 1.65, "lost_input_tokens": 14, "lost_output_tokens": 0,
    }  # fmt: skip
    first = told["findings"][0]
    assert first["id"] == "no-backoff"
    assert first["calls"] == [2]
    assert first["timeline"] == "▶ 529 · 0 s · 529 · 0 s · 529 · 0 s · 529"
    assert first["page"] == "findings.md#no-backoff"
    assert [each["id"] for each in told["verdicts"]] == [known.id for known in KNOWN]


def test_the_schema_is_one() -> None:
    """And describes each field."""
    Draft202012Validator.check_schema(SCHEMA)

    def described(value: Any) -> None:
        for each in value.get("properties", {}).values():
            assert (
                "items" in each
                or "properties" in each
                or {"description", "enum"} & set(each)
                or (each == {"type": "string"})
            )
            described(each)
            described(each.get("items", {}))

    described(SCHEMA)


def test_json_of_a_log_without_a_beginning() -> None:
    """What is not known is null."""
    told = report_value(Judge().report())
    Draft202012Validator(SCHEMA).validate(told)
    assert (told["started"], told["seed"], told["findings"]) == (None, None, [])


@examples(15)
@given(st.integers(0, 2**32))
def test_every_report_is_well_formed(seed: int) -> None:
    """Whatever happened."""
    world = World(random_server(seed))
    for prompt in "abcde":
        world.start(random_client(seed, prompt))
    told = world.run(until=5000.0).end_command().report()
    Draft202012Validator(SCHEMA).validate(report_value(told))
    ElementTree.fromstring(junit_report(told, FailOn()))
    assert markdown_report(told)
    assert text_report(told)


# -- JUnit --------------------------------------------------------------------------------------


def cases(report: Report, fail_on: FailOn) -> dict[str, ElementTree.Element]:
    """Return the test cases by name."""
    root = ElementTree.fromstring(junit_report(report, fail_on))
    suite = root[0]
    assert root.tag == "testsuites"
    for name in ("tests", "failures", "errors", "skipped"):
        assert root.get(name) == suite.get(name)
    assert suite.get("tests") == str(len(KNOWN)) == str(len(suite.findall("testcase")))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(name) == str(len(suite.findall(f"testcase/{tag}")))
    return {str(case.get("name")): case for case in suite.findall("testcase")}


def test_junit() -> None:
    """Passed, failed, told, skipped."""
    told = cases(hasty(), FailOn())
    failure = told["no-backoff"][0]
    assert (failure.tag, failure.get("type")) == ("failure", "error")
    assert failure.get("message") == (
        "3 of its attempts came less than 0.1 s after an error (the shortest 0 s)"
    )
    assert "▶ 529 · 0 s" in (failure.text or "")
    assert told["not-retried"][0].tag == "system-out"
    assert "warning: call 3: 529 (transient)" in (told["not-retried"][0].text or "")
    assert list(told["retry-after-ignored"]) == []  # passed
    skipped = told["truncation-missed"][0]
    assert skipped.tag == "skipped"
    assert skipped.get("message") == (
        "no stream ended without its last event, or nothing followed in its conversation"
    )
    assert list(told["nothing-tested"]) == []


def test_junit_of_a_run_that_tested_nothing() -> None:
    """That is an error of the test, and no failure of the program."""
    told = cases(quiet(), FailOn())
    assert told["nothing-tested"][0].tag == "error"
    assert {case[0].tag for name, case in told.items() if name != "nothing-tested"} == {"skipped"}


def test_junit_with_another_bound() -> None:
    """Warnings fail only if that is asked for."""
    assert cases(hasty(), read_fail_on("warning"))["not-retried"][0].tag == "failure"
    assert cases(hasty(), NEVER)["no-backoff"][0].tag == "system-out"
    assert cases(quiet(), NEVER)["nothing-tested"][0].tag == "error"  # never looks like a pass


def test_junit_of_many() -> None:
    """So many are told, and the others are counted."""
    text = cases(hasty(120), FailOn())["no-backoff"][0].text or ""
    assert text.count("error: ") == 100
    assert "and 20 more" in text


# -- Markdown -----------------------------------------------------------------------------------


def test_markdown() -> None:
    """A table of the findings, and what there is no verdict on."""
    text = markdown_report(hasty())
    assert text.startswith("## What the program did when its API failed\n\n3 calls (1 succeeded,")
    row = next(line for line in text.splitlines() if "no-backoff" in line)
    assert row.startswith("| ❌ error | `no-backoff`<br>tried again without a pause | call 2: 3 of")
    assert "▶ 529 · 0 s · 529" in row
    assert "- `truncation-missed`: no stream ended" in text
    assert "Nothing was found" not in text


def test_markdown_of_nothing() -> None:
    """It says so."""
    world = World(script(overloaded(), ok()))
    told = world.start(retrying(Ask(), pauses(0.5))).run().end_command().report()
    assert "Nothing was found." in markdown_report(told)
    judged = told.verdicts[:0]
    assert "<details>" not in markdown_report(Report(told.facts, told.totals, judged))


def test_markdown_of_many() -> None:
    """A row for each id; not all that was found is listed."""
    text = markdown_report(hasty(80))
    assert text.count("`no-backoff`<br>") == 1
    assert text.count("attempts came less than") == SHOWN
    assert f"<br>and {80 - SHOWN} more |" in text


def test_markdown_shows_a_call_once() -> None:
    """Its attempts stand at the first of its findings."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(*[0.01] * 29)))
    text = markdown_report(world.run().end_command().report())
    assert (text.count("call 1: "), text.count("▶")) == (3, 1)


def hostile(name: str) -> Report:
    """A program whose tool has a name that means harm."""
    turns = (user("Pay"), assistant(a=(name, "x")))
    asks = [
        Ask(turns=turns[:1]), Ask(turns=(*turns, results(a="1"))),
        Ask(turns=(*turns, results(a="2"))),
    ]  # fmt: skip
    world = World(script(ok(), overloaded(), ok()))
    return world.start(in_turn(*map(once, asks))).run().report(only=["repeated-effects"])


@given(st.text(min_size=1))
def test_names_that_mean_harm(name: str) -> None:
    """A tool's name cannot break the forms, or the terminal."""
    told = hostile(name)
    (only,) = told.findings
    assert only.evidence.isprintable()
    assert json.loads(json_report(told))["findings"][0]["evidence"] == only.evidence
    ElementTree.fromstring(junit_report(told, FailOn()))
    row = next(line for line in markdown_report(told).splitlines() if "repeated" in line)
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 5
    assert len(github_lines(told).splitlines()) == 1


def test_a_rule_whose_name_means_harm() -> None:
    """A log can be anybody's."""
    told = (
        World(script(ok()), rules=("\x1b[31m\u202e<b>",)).start(once(Ask())).run().stop().report()
    )
    (only,) = told.findings
    assert only.id == "nothing-tested"
    assert only.evidence.isprintable()
    assert "rule \\x1b[31m\\u202e<b>" in only.evidence


def test_markdown_shows_names_as_they_are() -> None:
    """Nothing in them is a link, a tag, or code."""
    text = markdown_report(hostile("<img src=x>[a](b)`|"))
    assert "\\<img src=x\\>\\[a\\](b)\\`\\|" in text


def test_lines_for_github() -> None:
    """A command for each finding."""
    told = github_lines(hasty())
    first, second = told.splitlines()[:2]
    assert first.startswith("::error title=faultinject%3A no-backoff::call 2: 3 of its attempts")
    assert second.startswith("::warning title=faultinject%3A not-retried::call 3: 529")
    assert "100%25" in github_lines(hostile("100%"))
    assert github_lines(hasty(80)).count("no-backoff::") == ANNOTATIONS
    world = World(script(broken_stream("Hel"))).start(once(Ask())).run().wait(90).stop()
    assert github_lines(world.report(only=["not-tried-again"])).startswith("::notice ")


# -- lines --------------------------------------------------------------------------------------


def test_lines() -> None:
    """The calls, then what was found, each with its evidence in one line."""
    assert text_report(hasty(), columns=120).splitlines()[:7] == [
        (
            "What the program did: 3 calls (1 succeeded, 2 failed), 8 attempts, 1.65 s added by"
            " retries, 14 tokens lost."
        ),
        "",
        "error    no-backoff: the program tried again without a pause",
        "         call 2: 3 of its attempts came less than 0.1 s after an error (the shortest 0 s)",
        "           ▶ 529 · 0 s · 529 · 0 s · 529 · 0 s · 529",
        (
            "         A good client waits before each further attempt, and longer each time"
            " (0.5 s, 1 s, 2 s, …)."
        ),
        "         (docs/findings.md#no-backoff)",
    ]


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("columns", [20, 50, 80, 100, 200])
def test_lines_are_as_wide_as_the_terminal(columns: int, *, color: bool) -> None:
    """But for words that are wider, and not below 50 columns. Colours take no room."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(*[0.01] * 29)))
    told = world.run().end_command().report()
    lines = text_report(told, color=color, columns=columns).splitlines()
    bare = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]
    assert max(map(len, bare)) <= max(columns, 50)
    assert not any(line.strip().startswith(("·", "s ", "min ")) for line in bare)
    assert "\N{NO-BREAK SPACE}" not in "".join(lines)
    plain = " ".join(" ".join(bare).split())
    assert plain == " ".join(text_report(told, columns=1000).split())


def test_lines_of_a_clean_run() -> None:
    """Two of them."""
    world = World(script(overloaded(), ok())).start(retrying(Ask(), pauses(0.5)))
    assert text_report(world.run().end_command().report()).splitlines() == [
        "What the program did: 1 call (1 succeeded), 2 attempts, 0.55 s added by retries.",
        "Nothing found: 7 checks passed, 15 without a verdict.",
    ]


def alternating(answer: Answer) -> World:
    """Return a world with a loop that takes two connections in turn."""
    world = World(script(*[answer] * 6, ok()))
    asks = [part for place in range(7) for part in (once(Ask(session=3 + place % 2)), 0.1)]
    return world.start(in_turn(*asks)).run().end_command()


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        (overloaded(), "no-backoff"),
        (throttled(2.0), "retry-after-ignored, no-backoff"),
        (throttled(61.0), "no-backoff"),
    ],
)
def test_attempts_over_connections_in_turn(answer: Answer, ids: str) -> None:
    """Every report says that the pace was not judged, and why; nothing else is said of it."""
    told = alternating(answer).report()
    line = (
        f"Not judged: {ids} (of 1 call): the attempts came over several connections in turn,"
        " as Node's fetch sends them, threads, or async tasks."
    )
    assert {each.id for each in told.findings}.isdisjoint({"no-backoff", "retry-after-ignored"})
    assert text_report(told, columns=300).splitlines()[-1] == line
    assert line in markdown_report(told)
    assert line.replace("'", "&#x27;") in html_report(told) or line in html_report(told)
    reasons = {each.known.id: each.why_not for each in told.verdicts}
    assert all(reasons[each].startswith("the attempts came") for each in ids.split(", "))


def test_other_attempts_are_judged() -> None:
    """Of threads whose requests overlap, and of one connection, nothing is said that is untrue."""
    world = World(script(*[overloaded()] * 6, ok()))
    for begins in (0.0, 0.01):
        world.start(retrying(Ask(), pauses(0.5, 0.5)), begins)
    assert "Not judged" not in text_report(world.run().end_command().report())
    assert "Not judged" not in text_report(hasty())


def silences(*seconds: float) -> World:
    """Return a world with answers that fall silent and that the API ends after these times."""
    world = World(script(*[stall(1.0, 1.0 + each) for each in seconds]))
    for place in range(len(seconds)):
        world.start(once(Ask(more=str(place))), place * 500.0)
    return world.run()


TILL_THE_END = (
    "hung (of 1 call): 5 s of silence within an answer, till the program ended: it may have no time"
    " limit."
)
SHORT_GAPS = (
    "no-backoff (of 1 call): no gap was as long as 0.5 s, which a new connection may take; to have"
    " it judged, let one client make all attempts over one connection, or five of them fail"
    " (--preset overloaded@first=5)."
)
A_QUOTA = (
    "retried-in-vain (of 1 call): 429 (quota), and the same request again after 1 s, 5 times, as"
    " SDKs do that take it for throttling; to have it judged, have a 402 say the same"
    " (--rule 'respond 402 failure=spend-cap')."
)
UNCLEAR = {
    "a silence": (
        silences(4.4),
        ["hung (of 1 call): 4.4 s of silence within an answer, too short to tell."],
    ),
    "silences": (
        silences(4.4, 5.5),
        ["hung (of 2 calls): 4.4 s of silence within an answer, too short to tell."],
    ),
    "the program's end": (
        World(script(stall(1.0))).start(once(Ask(patience=6.0))).run().end_command(),
        [
            TILL_THE_END,
            "client-left (of 1 call): left within the answer, after 6 s, as the program ended.",
        ],
    ),
    "short gaps": (
        World(script(overloaded(), overloaded(), ok()))
        .start(retrying(Ask(), pauses(0.1, 0.3), reconnects=True))
        .run(),
        [SHORT_GAPS],
    ),
    "a quota": (
        World(script(throttled(kind="quota")))
        .start(retrying(Ask(), steady(1.0, attempts=6)))
        .run()
        .end_command(),
        [A_QUOTA],
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_why_there_is_no_verdict_where_something_happened(name: str) -> None:
    """Every report for a person says it, a line for each reason; what did not happen is left out.

    It does so too if the calls were judged and forgotten, and nothing of the kind came after them.
    """
    world, expected = UNCLEAR[name]
    told = world.report()
    lines = [f"Not judged: {each}" for each in expected]
    assert text_report(told, columns=300).splitlines()[-len(lines) :] == lines
    assert [each for each in markdown_report(told).splitlines() if "Not judged" in each] == lines
    assert all(f">{each}</p>" in html_report(told).replace("&#x27;", "'") for each in lines)
    by_id = {each.known.id: each for each in told.verdicts}
    first = by_id[expected[0].split()[0]]
    assert (first.word, expected[0].split(": ", 1)[1]) == ("no verdict", f"{first.why_not}.")


def test_why_there_is_no_verdict_on_calls_that_are_forgotten() -> None:
    """Later calls in which nothing of the kind happened do not hide it."""
    world = World(script(stall(1.0, 5.4), *[ok()] * 60))
    for place in range(60):
        world.start(once(Ask(more=str(place))), place * 500.0)
    judge = Judge(calls=8)
    for event in world.run().events:
        judge.listen(event)
    told = judge.report()
    assert "Not judged: hung (of 1 call): 4.4 s of silence within an answer" in text_report(told)
    (verdict,) = (each for each in told.verdicts if each.known.id == "hung")
    assert verdict.why_not == "4.4 s of silence within an answer, too short to tell"


@pytest.mark.parametrize(
    ("number", "calls", "line"),
    [
        (1, "1 request", "1 request, which was not followed as a call: its body was"),
        (5, "5 requests", "5 requests, which were not followed as calls: their bodies were"),
    ],
)
def test_requests_that_were_not_followed(number: int, calls: str, line: str) -> None:
    """They are told with the reason, and not that there was no call."""
    requests = [unseen(float(place)) for place in range(number)]
    line = f"Not judged: {line} not read to the end, or too long to keep."
    for world in (World(script(ok())), World(script(ok())).start(once(Ask())).run()):
        world.events += requests
        told = world.report()
        text = text_report(told, columns=300).splitlines()
        assert text[-1] == line
        assert line in markdown_report(told)
        assert html_report(told).count("Not judged") == html_report(told).count(f">{line}</p>") == 1
        suite = ElementTree.fromstring(junit_report(told, FailOn()))[0]
        assert [each.text for each in suite.findall("system-out")] == [line]
        said = f"it made {calls}, of which none could be followed as a call."
        assert text[0].removeprefix("What the program did: ") == (
            "1 call (1 succeeded), 1 attempt." if told.totals.calls else said
        )
        assert (said in markdown_report(told)) == (not told.totals.calls)


def test_lines_of_nothing() -> None:
    """No call, and why."""
    lines = text_report(quiet()).splitlines()
    assert lines[0] == ("What the program did: it made no call of an API that could be followed.")
    assert (
        lines[2]
        == "error    nothing-tested: the program did not meet every failure that was asked for"
    )
    assert lines[-1] == f"1 check found something, 0 passed, {len(KNOWN) - 1} without a verdict."


def test_lines_of_one_call() -> None:
    """One of each; in colour if that is asked for."""
    world = World(script(dropped(), ok())).start(once(Ask())).run().end_command()
    lines = text_report(world.report(only=["not-retried"]), color=True).splitlines()
    assert lines[0] == "\x1b[1mWhat the program did:\x1b[0m 1 call (1 failed), 1 attempt."
    assert lines[2].startswith("\x1b[1;33mwarning \x1b[0m \x1b[1mnot-retried\x1b[0m: the program")
    assert lines[4] == "           \x1b[31m▶ no answer\x1b[0m"


def test_a_timeline_in_colour() -> None:
    """Failures, gaps, and what came in the end."""
    world = World(script(*[overloaded()] * 9, ok()))
    told = world.start(retrying(Ask(), pauses(*[0.01] * 9))).run().end_command().report()
    (line,) = [
        line for line in text_report(told, color=True, columns=200).splitlines() if "▶" in line
    ]
    assert "\x1b[31m529\x1b[0m · \x1b[2m0.01 s\x1b[0m · " in line
    assert " · \x1b[2m… 2 more …\x1b[0m · " in line
    assert line.endswith(" · \x1b[32m200\x1b[0m")


def test_a_call_is_shown_once() -> None:
    """Its attempts stand at the first of its findings."""
    world = World(script(overloaded())).start(retrying(Ask(), pauses(*[0.01] * 29)))
    text = text_report(world.run().end_command().report())
    assert text.count("call 1: ") == 3
    assert text.count("▶") == 1


def test_lines_of_many() -> None:
    """Three of an id, and how many more."""
    text = text_report(hasty(8))
    assert text.count("attempts came less") == 3
    assert "         and 5 more\n" in text


# -- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("error", 3), ("warning", 3), ("note", 3), ("none", 0), ("not-retried", 3),
        ("hung, not-retried", 3), ("hung", 0),
    ],
)  # fmt: skip
def test_exit_code(text: str, code: int) -> None:
    """3 if one of the findings is what it is said to be."""
    assert read_fail_on(text).exit_code(hasty()) == code


def test_errors_alone_fail_by_default() -> None:
    """Warnings do not."""
    world = World(script(overloaded())).start(once(Ask())).run().end_command()
    assert FailOn().exit_code(world.report()) == 0
    assert read_fail_on("warning").exit_code(world.report()) == 3


def test_ids_that_are_none() -> None:
    """The error names what is probably meant, or those that there are."""
    with pytest.raises(SettingsError, match=r"finding 'hang'; .*; did you mean hung\?"):
        read_fail_on("hang")
    with pytest.raises(SettingsError, match=r"finding 'zzz'; .*; the findings are .*hung"):
        read_fail_on("zzz")
    with pytest.raises(SettingsError, match="warning stands alone"):
        read_fail_on("hung,warning")
    assert read_ids(["hung", " fallback"], "--ignore") == {"hung", "fallback"}
