"""Tests of what `faultinject run` says of the program, and of its exit code for that.

It runs in this process, and only its command in one of its own.
"""

import json
import sys

import pytest

from tests.behaviour.cli.run.test_in_process import REQUEST

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, sh")
GIVES_UP = REQUEST.replace("range(4)", "range(1)")


def found(file):
    """Return the ids of a report's findings."""
    return [each["id"] for each in json.loads(file.read_text("utf-8"))["findings"]]


def test_a_run_that_tested_nothing_fails(ended, tmp_path):
    """A green run that tested nothing is the worst."""
    run = ended("--report", str(tmp_path / "r.json"), "--", "sh", "-c", "exit 0")
    assert run.returncode == 3
    assert "error    nothing-tested: the program did not meet every failure" in run.stderr
    assert "the program was not tested: no request" in run.stderr
    assert "is the proxy set" not in run.stderr
    assert found(tmp_path / "r.json") == ["nothing-tested"]


def test_a_command_that_is_only_looked_at_passes(ended):
    """With a chance of 0 no failure was asked for."""
    run = ended("--error-probability", "0", "--", sys.executable, "-c", GIVES_UP)
    assert run.stdout == "200\n"
    assert "nothing-tested" not in run.stderr
    assert run.returncode == 0


def test_the_commands_lines_do_not_say_how_to_set_it_up(ended):
    """`run` has done that."""
    run = ended("-v", "--error-probability", "0", "--", sys.executable, "-c", GIVES_UP)
    assert "faultinject" in run.stderr
    assert "  targets  " in run.stderr
    assert "Point a client" not in run.stderr
    assert "base URL" not in run.stderr


NO_TRUST = """
import contextlib, httpx, ssl
with contextlib.suppress(httpx.ConnectError):
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    httpx.get("https://api.anthropic.com/v1/models", verify=nobody)
"""


def test_warnings_are_shown_without_v(ended):
    """They say why nothing is injected."""
    run = ended("--", sys.executable, "-c", NO_TRUST)
    assert "not-trusted    api.anthropic.com: 127.0.0.1" in run.stderr


@pytest.mark.parametrize("shows_all", [False, True])
def test_a_rule_that_means_nothing(ended, shows_all):
    """It is told of while the command runs if all lines are, and in any case at the end."""
    rule = "respond failure=slow-down name=slow"
    shown = ["-v"] if shows_all else []
    run = ended(*shown, "--rule", rule, "--", sys.executable, "-c", GIVES_UP)
    assert run.stdout == "200\n"
    line = "unfit          the rule slow does nothing at api.anthropic.com, and its requests pass:"
    assert (line in run.stderr) is shows_all
    assert ("forwarded" in run.stderr) is shows_all
    assert "warning  rule-unfit: the program was spared by a rule that means nothing" in run.stderr
    assert run.returncode == 3


@pytest.mark.parametrize(
    ("fail_on", "code"), [("error", 0), ("warning", 3), ("not-retried", 3), ("none", 0)]
)
def test_a_warning_fails_if_it_shall(ended, fail_on, code):
    """The command has ended by itself: what it did not try by then it will not try."""
    options = ["--preset", "overload-storm", "--fail-on", fail_on]
    run = ended(*options, "--", sys.executable, "-c", GIVES_UP)
    assert run.stdout == "529\n"
    assert "warning  not-retried: the program gave up at the first failure" in run.stderr
    assert "           ▶ 529\n" in run.stderr
    assert run.returncode == code


STREAMS = """
import httpx
ask = {"model": "claude-x", "stream": True, "max_tokens": 9}
ask["messages"] = [{"role": "user", "content": "Hi"}]
for _ in range(2):
    try:
        with httpx.stream("POST", "https://api.anthropic.com/v1/messages", json=ask) as answer:
            print(len([*answer.iter_bytes()]) > 0)
            break
    except httpx.RemoteProtocolError:
        print("cut")
"""


def test_work_that_is_repeated(ended, tmp_path):
    """What a cut answer had cost is told once it was asked for again; the API told the tokens."""
    file = tmp_path / "r.json"
    options = ("--via", "proxy", "--preset", "stream-cut@first=1", "--report", str(file))
    run = ended(*options, "--", sys.executable, "-c", STREAMS)
    assert run.stdout == "cut\nTrue\n"
    assert found(file) == ["work-repeated"]
    told = json.loads(file.read_text("utf-8"))
    assert told["calls"]["lost_input_tokens"] > 0
    assert told["findings"][0]["severity"] == "note"
    assert "note     work-repeated" in run.stderr


def test_the_commands_own_code_goes_before(ended, tmp_path):
    """The reports are written all the same."""
    run = ended("--report", str(tmp_path / "r.xml"), "--", "sh", "-c", "exit 7")
    assert run.returncode == 7
    assert "<error" in (tmp_path / "r.xml").read_text("utf-8")


def test_a_command_that_a_signal_ended_gave_nothing_up(ended):
    """Nobody knows what it would have tried."""
    ends = GIVES_UP + "\nimport signal; os.kill(os.getpid(), signal.SIGKILL)"
    run = ended("--preset", "overload-storm", "--", sys.executable, "-c", ends)
    assert run.returncode == 137
    assert "not-retried:" not in run.stderr
    assert "1 call (1 unfinished)" in run.stderr


@pytest.mark.parametrize(
    ("script", "code", "signal"), [("exit 7", 7, None), ("kill -9 $$", None, 9)]
)
def test_how_the_command_ended_is_an_event(run, ended, tmp_path, script, code, signal):
    """Before the proxy drains; by a signal or by itself."""
    log = tmp_path / "events.jsonl"
    ended("--log-file", str(log), "--log-format", "json", "--", "sh", "-c", script)
    events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    (end,) = [each for each in events if each["event"] == "command-ended"]
    assert (end["code"], end["signal"]) == (code, signal)
    assert events.index(end) < len(events) - 1
    judged = run("report", str(log))[1]
    assert "error    nothing-tested" in judged
