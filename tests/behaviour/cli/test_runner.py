"""Tests of what surrounds the proxy's run, without one."""

import json
import os
import sys
from functools import partial

import pytest

from faultinject.cli import runner
from faultinject.cli.proxy import PROXY
from faultinject.cli.runner import (
    check_summary,
    is_loopback,
    raise_open_files_limit,
    run,
    write_summary,
)
from faultinject.errors import StartError
from faultinject.events import Warned
from faultinject.report import EventOutput
from faultinject.settings import Settings
from faultinject.tls.certificate_authority import CertificateAuthority
from tests.support.text_streams import GatedStream


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost"])
def test_this_machine_alone(host):
    """No warning is due."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", "localhost.org"])
def test_more_than_this_machine(host):
    """Names count as reachable, whatever they stand for."""
    assert not is_loopback(host)


def test_a_summary_that_cannot_be_written_is_a_line(tmp_path):
    """The run itself was fine; exit code 1."""
    with pytest.raises(StartError, match=r"cannot write the summary .*none.*: No such file"):
        write_summary(tmp_path / "none" / "s.json", {})


@pytest.mark.parametrize(
    ("name", "reason"), [("none/s.json", "No such file"), ("", "Is a directory")]
)
def test_a_summary_without_a_place_is_told_before_the_run(quick, capsys, tmp_path, name, reason):
    """Its figures would be lost at the end."""
    with pytest.raises(StartError, match=f"cannot write the summary .*: {reason}.*; name a file"):
        run_proxy(Settings(seed=1, summary=tmp_path / name))
    assert capsys.readouterr() == ("", "")


def test_the_check_of_the_summary_leaves_no_trace(tmp_path):
    """Who waits for the file must not see it too early; what is in it stays."""
    file = tmp_path / "s.json"
    check_summary(file)
    assert list(tmp_path.iterdir()) == []
    file.write_text("earlier")
    check_summary(file)
    assert file.read_text() == "earlier"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_the_check_of_the_summary_does_not_open_a_pipe(tmp_path):
    """It would wait for a reader."""
    os.mkfifo(tmp_path / "pipe")
    check_summary(tmp_path / "pipe")


class Limits:
    """Stands for the module `resource`."""

    RLIMIT_NOFILE = 7
    RLIM_INFINITY = -1

    def __init__(self, soft, hard, error=None):
        self.limits = (soft, hard)
        self.error = error

    def getrlimit(self, which):
        assert which == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which, limits):
        assert which == self.RLIMIT_NOFILE
        if self.error:
            raise self.error
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        (256, 4096, (4096, 4096)),
        (4096, 4096, (4096, 4096)),
        (256, -1, (65536, -1)),
        (100_000, -1, (100_000, -1)),
        (-1, -1, (-1, -1)),
    ],
)
def test_as_many_files_as_the_system_allows(monkeypatch, soft, hard, after):
    """The soft limit becomes the hard one; "unlimited" is not taken by every system."""
    limits = Limits(soft, hard)
    monkeypatch.setattr(runner, "resource", limits)
    raise_open_files_limit()
    assert limits.limits == after


@pytest.mark.parametrize("error", [ValueError(), OSError()])
def test_a_limit_that_cannot_be_raised_stays(monkeypatch, error):
    """That is no reason not to run."""
    limits = Limits(256, 4096, error)
    monkeypatch.setattr(runner, "resource", limits)
    raise_open_files_limit()
    assert limits.limits == (256, 4096)


def test_a_system_without_limits(monkeypatch):
    """As Windows is."""
    monkeypatch.setattr(runner, "resource", None)
    raise_open_files_limit()


async def a_run(settings, listener, serve, contents):
    """Stand for a run: say one thing."""
    assert settings.gives_memory_back  # the process is the program's own
    listener(Warned(time=0.0, message="something is up"))


@pytest.fixture
def quick(monkeypatch):
    """Let a run end at once."""
    monkeypatch.setattr(runner, "until_stopped", a_run)
    monkeypatch.setattr(runner, "raise_open_files_limit", lambda: None)


def run_proxy(settings):
    """Run a proxy as its command does."""
    return run(settings, PROXY)


def test_room_is_made_for_what_is_loaded_next(monkeypatch, tmp_path):
    """What makes an authority, if there is none, and what serves: once it listens."""
    told = []
    monkeypatch.setattr(runner, "make_room", lambda: told.append("room"))

    async def serves(settings, listener, serve, contents):
        told.append("start")
        CertificateAuthority.open_or_create(settings.data_dir)
        for _ in range(2):
            listener(Warned(time=0.0, message=""))
        told.append("end")

    monkeypatch.setattr(runner, "until_stopped", serves)
    for before in (["room"], []):
        run_proxy(Settings(seed=1, data_dir=tmp_path))
        assert told == [*before, "start", "room", "end"]
        told.clear()


def test_events_and_summary_go_to_stdout(quick, capsys):
    """As text for people."""
    assert run_proxy(Settings(seed=1)) == 0
    out, err = capsys.readouterr()
    assert "something is up" in out
    assert "Summary" in out
    assert err == ""


def test_json_lines_stay_json_lines(quick, capsys):
    """The summary for people is on stderr then."""
    assert run_proxy(Settings(seed=1, log_format="json")) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["warning"]
    assert "Summary" in err


def test_the_summary_is_written_as_json(quick, tmp_path):
    """Where the user wants it."""
    file = tmp_path / "s.json"
    assert run_proxy(Settings(seed=1, summary=file)) == 0
    assert json.loads(file.read_text())["sessions"] == 0


def test_an_address_that_others_reach_gets_a_warning(quick, capsys):
    """On stderr, with what it means."""
    assert run_proxy(Settings(seed=1, host="0.0.0.0")) == 0
    err = capsys.readouterr().err
    assert err.startswith("faultinject: warning: listening on 0.0.0.0: whoever can reach")
    assert err.count("\n") == 1


def test_without_a_stdout_it_runs_all_the_same(quick, monkeypatch):
    """A program may be started without one."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run_proxy(Settings(seed=1)) == 0
    assert run_proxy(Settings(seed=1, log_format="json")) == 0


def test_a_stdout_that_is_gone_does_not_lose_the_summary_file(quick, monkeypatch, tmp_path):
    """`faultinject proxy | head` ends the pipe, not the run."""

    reader, writer = os.pipe()
    os.close(reader)
    file = tmp_path / "s.json"
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert run_proxy(Settings(seed=1, summary=file)) == 0
    assert file.exists()


def test_a_stderr_that_nobody_reads_does_not_hold_up_the_end(quick, monkeypatch, tmp_path):
    """The summary for people has a time, too, and that for programs is written all the same."""
    stuck, file = GatedStream(), tmp_path / "s.json"
    monkeypatch.setattr(sys, "stderr", stuck)
    monkeypatch.setattr(
        "faultinject.cli.runner.EventOutput", partial(EventOutput, exit_seconds=0.01)
    )
    try:
        assert run_proxy(Settings(seed=1, log_format="json", summary=file)) == 0
        assert file.exists()
    finally:
        stuck.gate.set()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_summary_into_a_pipe_that_nobody_reads(quick, tmp_path):
    """It is a line at the end, and no wait."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StartError, match=r"cannot write the summary .*pipe: nobody reads it"):
        run_proxy(Settings(seed=1, summary=tmp_path / "pipe"))
