"""What is done with what was found: reports in files, exit codes, GitHub's summary."""

import json
import stat
import sys
from xml.etree import ElementTree

import pytest

from faultinject.cli import runner
from faultinject.cli.judging import Judging
from faultinject.cli.proxy import PROXY
from faultinject.errors import SettingsError, StartError
from faultinject.settings import REPORT_ENDINGS, Settings
from tests.unit.report.findings.clients import pauses, retrying
from tests.unit.report.findings.simulator import Ask, World, log_of, overloaded, script


def hasty():
    """Return the events of a program that tries again without a pause."""
    world = World(script(overloaded()))
    return world.start(retrying(Ask(), pauses(0, 0, 0))).run().wait(90).stop().events


def judged(environment=None, **settings):
    """Return what has listened to them."""
    judging = Judging(Settings(**settings), environment or {})
    for event in hasty():
        judging.listen(event)
    return judging


def files(folder):
    """Return the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


# -- files --------------------------------------------------------------------------------------


def test_each_ending_has_its_form(tmp_path):
    """Capitals are no matter."""
    names = ("a.json", "b.xml", "c.md", "d.html", "E.JSON")
    assert judged(report=[tmp_path / name for name in names]).end() == 0
    texts = {name: (tmp_path / name).read_text("utf-8") for name in names}
    assert json.loads(texts["a.json"])["findings"][0]["id"] == "no-backoff"
    assert ElementTree.fromstring(texts["b.xml"]).tag == "testsuites"
    assert texts["c.md"].startswith("## ")
    assert texts["d.html"].startswith("<!DOCTYPE html>")
    assert texts["E.JSON"] == texts["a.json"]
    assert files(tmp_path) == sorted(names)


def test_junit_fails_as_the_run_does(tmp_path):
    """With what --fail-on says."""
    for fail_on, tag in (("none", "system-out"), ("error", "failure")):
        judged(report=[tmp_path / "r.xml"], fail_on=fail_on).end()
        cases = ElementTree.parse(tmp_path / "r.xml").getroot().iter("testcase")
        assert next(each for each in cases if each.get("name") == "no-backoff")[0].tag == tag


def test_a_report_without_a_place_is_told_at_the_start(tmp_path):
    """At the end it would be too late."""
    with pytest.raises(
        StartError, match=r"cannot write the report .*: No such file.*; name a file"
    ):
        Judging(Settings(report=[tmp_path / "none" / "r.json"]))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_gone_at_the_end(tmp_path):
    """It is told, too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    judging = judged(report=[folder / "r.json"])
    folder.rmdir()
    with pytest.raises(StartError, match="cannot write the report"):
        judging.end()


# -- exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, 0), ({"fail_on": "none"}, 0), ({"fail_on": "error"}, 3),
        ({"fail_on": "no-backoff,hung"}, 3), ({"fail_on": "hung"}, 0),
        ({"fail_on": "error", "ignore": ["no-backoff"]}, 0),
        ({"fail_on": "error", "judge_only": ["hung", "no-backoff"]}, 3),
        ({"fail_on": "error", "judge_only": ["hung"]}, 0),
        ({"fail_on": "error", "threshold": {"no_pause_gaps": "4"}}, 0),
        ({"fail_on": "error", "threshold": {"no_pause_seconds": "0"}}, 0),
    ],
)  # fmt: skip
def test_exit_codes(settings, code):
    """3 if what was found is to fail."""
    assert judged(**settings).end() == code


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"fail_on": "eror"},
            "'eror'; it takes error, warning, note, none, or findings; did you mean error[?]",
        ),
        ({"fail_on": "no-backof"}, ".*or findings; did you mean no-backoff[?]"),
        ({"fail_on": "zzz"}, ".*or findings; the findings are client-left, .*, work-repeated"),
        ({"fail_on": "none,hung"}, "--fail-on: none stands alone, without other words or findings"),
        ({"ignore": ["hang"]}, "--ignore: there is no finding 'hang'; did you mean hung[?]"),
        ({"ignore": ["error"]}, "--ignore: there is no finding 'error'; the findings are"),
        ({"judge_only": ["hang"]}, "--judge-only: there is no finding 'hang'; did you mean hung"),
        (
            {"threshold": {"hung": "1"}},
            "threshold 'hung'; did you mean hung_head_seconds or hung_stream_seconds[?]",
        ),
        ({"threshold": {"Storm-Call": "1"}}, "'Storm-Call'; did you mean storm_calls[?]"),
        ({"threshold": {"zzz": "1"}}, "--threshold: there is no threshold 'zzz'; they are"),
        ({"threshold": {"effects": "1"}}, "--threshold: there is no threshold 'effects'"),
        (
            {"threshold": {"storm_calls": "1.5"}},
            "--threshold: storm_calls: '1.5' is not a whole number from 0 on",
        ),
        (
            {"threshold": {"storm_retries_per_call": "nan"}},
            "--threshold: storm_retries_per_call: 'nan' is not a number from 0 on",
        ),
        ({"threshold": {"hung_head_seconds": "-1"}}, "hung_head_seconds: '-1' is not a number"),
    ],
)
def test_what_is_unknown_is_told_at_the_start(settings, message):
    """With what there is."""
    with pytest.raises(SettingsError, match=r"\A.*" + message):
        Judging(Settings(**settings))


def test_tools_with_effects():
    """They are handed to what judges."""
    assert judged(effects=["pay"], fail_on="error").end() == 3


# -- a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_run_ends_as_its_findings_want(monkeypatch, capsys, tmp_path, log_format):
    """And tells of them behind the summary; on stderr if stdout has JSON lines."""

    async def replay(settings, listener, serve, contents):
        for event in hasty():
            listener(event)

    monkeypatch.setattr(runner, "until_stopped", replay)
    monkeypatch.setattr(runner, "raise_open_files_limit", lambda: None)
    file = tmp_path / "r.html"
    settings = Settings(fail_on="error", report=[file], log_format=log_format)
    assert runner.run(settings, PROXY) == 3
    out, err = capsys.readouterr()
    told = out if log_format == "text" else err
    assert "\n\nWhat the program did: 1 call (1 failed), 4 attempts" in told
    assert "\n\n\n" not in told
    assert file.exists()


def test_a_run_that_cannot_be_right_does_not_begin(run):
    """Options are read first."""
    assert run("proxy", "--proxy-port", "0", "--fail-on", "hang")[:2] == (2, "")
    assert run("plugin", "--threshold", "hang=1")[:2] == (2, "")
    assert run("run", "--ignore", "hang", "--", "true")[:2] == (2, "")


@pytest.mark.parametrize("line", ["fail_on: hang", "ignore: hang", "threshold: {hang: 1}"])
def test_a_file_with_what_is_unknown(run, tmp_path, line):
    """`faultinject rules check` finds it as a start does."""
    file = tmp_path / "f.yaml"
    file.write_text(line, encoding="utf-8")
    code, _, err = run("rules", "check", str(file))
    assert code == 2
    assert "there is no" in err
    file.write_text("fail_on: error", encoding="utf-8")
    assert run("rules", "check", str(file))[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_reports_are_written_after_sigterm(served, tmp_path, data_dir):
    """Whole, at the end."""
    files = [tmp_path / f"r{ending}" for ending in REPORT_ENDINGS]
    options = [word for file in files for word in ("--report", str(file))]

    def look(output):
        output.until("listens on")
        assert not any(file.exists() for file in files)

    assert served("proxy", "--proxy-port", "0", "--fake-upstream", *options, during=look)[0] == 0
    assert all("nothing-tested" in file.read_text("utf-8") for file in files)


# -- GitHub -------------------------------------------------------------------------------------


def test_under_github_actions(tmp_path):
    """Commands for its page, and the Markdown behind what is in the step's summary."""
    summary = tmp_path / "summary"
    summary.write_text("earlier\n")
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    judging = judged(there, report=[tmp_path / "r.md"])
    assert "\n::error title=faultinject%3A no-backoff::call 1: 3 of" in judging.text(color=False)
    judging.end()
    assert summary.read_text("utf-8") == "earlier\n" + (tmp_path / "r.md").read_text("utf-8")


def test_under_github_actions_without_a_report_in_markdown(tmp_path):
    """Nothing of it was asked for."""
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    judging = judged(there, report=[tmp_path / "r.html"])
    assert "::error" not in judging.text(color=False)
    judging.end()
    assert files(tmp_path) == ["r.html"]


def test_a_report_in_markdown_elsewhere(tmp_path):
    """There is no summary to add it to."""
    for there in ({}, {"GITHUB_ACTIONS": "true"}, {"GITHUB_STEP_SUMMARY": str(tmp_path / "s")}):
        judging = judged(there, report=[tmp_path / "r.md"])
        assert ("::error" in judging.text(color=False)) is ("GITHUB_ACTIONS" in there)
        judging.end()
    assert files(tmp_path) == ["r.md"]


def test_a_summary_that_cannot_be_written(tmp_path):
    """It is told."""
    there = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "s")}
    with pytest.raises(StartError, match=r"cannot write the report .*none"):
        judged(there, report=[tmp_path / "r.md"]).end()


# -- faultinject report -------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """Return a log of what the hasty program did."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(log_of(hasty())), encoding="utf-8")
    return str(path)


def test_a_log_has_the_same_options(run, log, tmp_path):
    """And the same report as the run."""
    file = tmp_path / "r.json"
    code, out, err = run("report", log, "--report", str(file), "--fail-on", "error")
    assert (code, err) == (3, "")
    assert "error    no-backoff: the program tried again without a pause" in out
    assert json.loads(file.read_text("utf-8"))["findings"][0]["id"] == "no-backoff"
    assert run("report", log, "--fail-on", "error", "--ignore", "no-backoff")[0] == 0
    assert run("report", log, "--fail-on", "error", "--threshold", "no_pause_gaps=9")[0] == 0


def test_options_of_the_environment_and_of_a_file(run, log, tmp_path, environment):
    """As of every command."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "fail_on: error\nignore: [hung, no-jitter]\nthreshold: {no_pause_gaps: 9}\n"
        f"report: {tmp_path / 'of-file.html'}\neffects: [pay]\n",
        encoding="utf-8",
    )
    assert run("report", log, "--config", str(config))[0] == 0
    assert (tmp_path / "of-file.html").exists()
    assert run("report", log, "--config", str(config), "--threshold", "no_pause_gaps=3")[0] == 3
    environment.setenv("FAULTINJECT_FAIL_ON", "error")
    assert run("report", log)[0] == 3
    environment.setenv("FAULTINJECT_JUDGE_ONLY", "hung,fallback")
    assert run("report", log)[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "r.txt"], "--report: 'r.txt' is not a file whose ending says what to write:"),
        (["--report", ""], "--report: '' is not the name of a file"),
        (["--threshold", "storm_calls"], "'storm_calls' is not a name and a value, as in NAME=V"),
        (["--threshold", "=1"], "'=1' is not a name and a value"),
        (["--fail-on", "hang"], "--fail-on: there is no finding 'hang'"),
    ],
)
def test_options_that_cannot_be_right(run, log, options, message):
    """One line, before anything is done."""
    code, out, err = run("report", log, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_report_that_cannot_be_written(run, log, tmp_path):
    """That is not the user's choice but the machine's no: 1."""
    code, out, err = run("report", log, "--report", str(tmp_path / "none" / "r.md"))
    assert (code, out) == (1, "")
    assert "cannot write the report" in err


def test_lines_are_as_wide_as_the_terminal(run, log, environment):
    """As COLUMNS says, too."""
    environment.setenv("COLUMNS", "60")
    assert max(map(len, run("report", log)[1].splitlines())) <= 60


# -- the file -----------------------------------------------------------------------------------


def test_a_report_keeps_the_modes_of_what_was_there(tmp_path):
    """And is as open as the user's other files if there was none."""
    old, new, plain = (tmp_path / name for name in ("old.json", "new.json", "plain"))
    old.write_text("earlier", encoding="utf-8")
    old.chmod(0o640)
    plain.touch()
    judged(report=[old, new]).end()
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode
    assert json.loads(old.read_text("utf-8"))
