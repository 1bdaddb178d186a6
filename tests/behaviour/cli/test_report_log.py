"""`faultinject report`: a log is judged as the run was."""

import io
import json
from pathlib import Path

import pytest

from faultinject.events import ProxyStarted, ProxyStopped
from tests.support.sample_events import sample


@pytest.fixture
def log(tmp_path):
    """Return the path of a log of a run without requests."""
    path = tmp_path / "events.jsonl"
    events = [sample(ProxyStarted), sample(ProxyStopped)]
    path.write_text("".join(json.dumps(event.as_dict()) + "\n" for event in events))
    return str(path)


def test_a_run_that_tested_nothing(run, log):
    """It says so, and fails only if it shall."""
    code, out, err = run("report", log)
    assert (code, err) == (0, "")
    assert "nothing-tested" in out
    assert run("report", log, "--fail-on", "error")[0] == 3
    assert run("report", log, "--fail-on", "no-backoff")[0] == 0


@pytest.mark.parametrize("ending", ["json", "xml", "md", "html"])
def test_a_choice_of_findings_does_not_hide_that_nothing_was_tested(run, log, tmp_path, ending):
    """It fails the run, and stands in the files; but not if it was left out by its name."""
    file = tmp_path / f"r.{ending}"
    words = "the program was not tested"
    chosen = ("report", log, "--judge-only", "hung", "--report", str(file), "--fail-on", "error")
    code, out, _ = run(*chosen)
    assert (code, words in out, words in file.read_text("utf-8")) == (3, True, True)
    code, out, _ = run(*chosen, "--ignore", "nothing-tested")
    assert (code, words in out, words in file.read_text("utf-8")) == (0, False, False)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (".json", "this is a report, which `--report` wrote; give the events that"),
        (".xml", "give the events that `--log-format json` wrote"),
        (".md", "give the events that `--log-format json` wrote"),
        (".html", "give the events that `--log-format json` wrote"),
    ],
)
def test_a_report_in_place_of_the_log(run, log, tmp_path, ending, words):
    """The names invite it: `--report x.json`, then `report x.json`."""
    file = str(tmp_path / f"x{ending}")
    assert run("report", log, "--report", file)[0] == 0
    code, out, err = run("report", file)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_standard_input(run, log, environment):
    """It is read as a file is."""
    environment.setattr("sys.stdin", io.StringIO(Path(log).read_text("utf-8")))
    assert "nothing-tested" in run("report", "-")[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"text\n", "line 1 is no JSON object"), (b"\xff\n", "codec can't decode"), (None, "No such")],
)
def test_what_is_no_log(run, tmp_path, content, message):
    """It is one line, and exit code 2."""
    path = tmp_path / "odd"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run("report", str(path))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", ["", '{"event": "proxy-sta', '{"event": "other", "v": 1}\n'])
def test_a_log_without_events_is_no_run_that_went_well(run, tmp_path, content):
    """Nothing was tested then: that is not told as if nothing had been found."""
    path = tmp_path / "events.jsonl"
    path.write_text(content)
    code, out, err = run("report", str(path))
    assert (code, out) == (2, "")
    assert "it has no event of a run, so nothing was tested; give what" in err
    assert err.count("\n") == 1
