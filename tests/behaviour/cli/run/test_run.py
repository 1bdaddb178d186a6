"""Tests of `faultinject run` as a user runs it: a program of its own."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.proxy import clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, sh")

SECONDS = 60
ROOT = Path(__file__).parents[4]


def command_line(data_dir, *arguments):
    """Return the command line of a run with a fake API."""
    options = ["--fake-upstream", "--seed", "1", "--data-dir", str(data_dir)]
    return [sys.executable, "-m", "faultinject", "run", *options, *arguments]


@pytest.fixture
def started(data_dir):
    """Return a function that starts a run whose command says "ready" on standard output."""
    with ExitStack() as processes:

        def start(*arguments):
            process = processes.enter_context(
                subprocess.Popen(
                    command_line(data_dir, *arguments),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=clean_environment(),
                )
            )
            processes.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield start


def test_the_readmes_first_command(data_dir):
    """The example's impatience is found, and is told in words and by the exit code."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [line] = re.findall(r"faultinject run (.* docs/examples/impatient.py)$", readme, re.MULTILINE)
    options, _, command = line.partition(" -- ")
    words = ["--data-dir", str(data_dir), "--", sys.executable, *command.split()[1:]]
    run = subprocess.run(
        [sys.executable, "-m", "faultinject", "run", *options.split(), *words],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=SECONDS,
        check=False,
        cwd=ROOT,
    )
    assert run.stdout.splitlines()[:3] == [f"attempt {n} failed: 429" for n in (1, 2, 3)]
    assert "retry-after-ignored" in run.stderr
    assert run.returncode == 3


def test_the_command_has_what_a_shell_would_give_it(data_dir):
    """Its input is its own, and nothing of it is read before.

    Its limit of open files is as it was: we raise our own only, for programs that close all they
    might have would take long. It stays in our process group: job control and a Ctrl-C of the
    terminal reach both.
    """
    program = """
import os, resource, sys
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getpgrp(), os.getsid(0), sys.stdin.read())
"""
    line = shlex.join(command_line(data_dir, "--", sys.executable, "-c", program))
    run = subprocess.run(
        ["sh", "-c", f"ulimit -Sn 300; exec {line}"],
        input="word",
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )
    assert run.stdout, run.stderr
    files, group, session, word = run.stdout.split()
    assert word == "word"
    assert files == "300"
    assert group == session
    assert int(group) != os.getpgrp()


def test_a_command_whose_reader_has_left_is_ended_by_the_pipe(data_dir):
    """SIGPIPE is as it was: Python ignores it, and would have its children ignore it too."""
    process = subprocess.Popen(
        command_line(data_dir, "--", "yes"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(SECONDS) == 128 + signal.SIGPIPE


def test_signals_to_end_are_handed_on_and_ctrl_c_is_not(started):
    """The command may take its time and choose its exit code.

    Ctrl-C it has from the terminal; we neither end by it nor send it once more.
    """
    program = """
import signal, sys
all = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, all)
print("ready", flush=True)
for _ in range(2):
    print(signal.sigwait(all).name, flush=True)
sys.stdin.readline()
sys.exit(5 if signal.sigpending() else 9)
"""
    process = started("--", sys.executable, "-c", program)
    process.send_signal(signal.SIGINT)  # would come before the others, or between them
    for number in (signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name}\n"
    _, err = process.communicate("go on\n", timeout=SECONDS)
    assert process.returncode == 9, err
    assert "Summary" in err


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal")
def test_the_command_is_killed_with_us(started):
    """Nobody could end it otherwise."""
    program = "import os, time; print('ready', flush=True); print(os.getpid(), flush=True)\n"
    process = started("--", sys.executable, "-c", program + "time.sleep(60)")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    process.kill()
    process.communicate(timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while _runs(pid):
        assert time.monotonic() < deadline, "the command outlived us"
        time.sleep(0.01)


def _runs(pid):
    """Return whether a process runs; one that ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
