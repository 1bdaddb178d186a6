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

SECONDS = 30
ROOT = Path(__file__).parents[4]
REQUEST = """
import os, urllib.request
for _ in range(4):
    try:
        with urllib.request.urlopen("https://api.anthropic.com/v1/messages", b"{}") as answer:
            print(answer.status)
        break
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def command_line(data_dir, *arguments):
    """Return the command line of a run with a fake API."""
    options = ["--fake-upstream", "--seed", "1", "--data-dir", str(data_dir)]
    return [sys.executable, "-m", "faultinject", "run", *options, *arguments]


@pytest.fixture
def ended(data_dir):
    """Return a function that runs a command to its end."""

    def run_to_its_end(*arguments, **more):
        more = {"env": clean_environment(), "timeout": SECONDS, "check": False} | more
        return subprocess.run(
            command_line(data_dir, *arguments), capture_output=True, text=True, **more
        )

    return run_to_its_end


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


def test_a_program_meets_the_failures(ended):
    """Nothing of it was changed; its output is its own, the report is beside it."""
    run = ended("--preset", "overload-storm", "--", sys.executable, "-c", REQUEST)
    assert run.stdout == "529\n529\n200\n"
    assert run.returncode == 0
    assert "api.anthropic.com         3" in run.stderr
    assert "listens on" not in run.stderr


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


def test_the_commands_input_is_its_own(ended):
    """Nothing of it is read before."""
    run = ended("--", "cat", input="word\n")
    assert run.stdout == "word\n"


def test_a_command_whose_reader_has_left_is_ended_by_the_pipe(data_dir):
    """SIGPIPE is as it was: Python ignores it, and would have its children ignore it too."""
    process = subprocess.Popen(
        command_line(data_dir, "--", "yes"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(SECONDS) == 128 + signal.SIGPIPE


WAIT = "import sys, time; print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_handed_on(started, number):
    """The command may take its time and choose its exit code."""
    program = f"""
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])
print("ready", flush=True)
signal.sigwait([{int(number)}])
sys.exit(9)
"""
    process = started("--", sys.executable, "-c", program)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 9, err
    assert "Summary" in err


def test_ctrl_c_is_the_commands(started):
    """It has it from the terminal; we neither end by it nor send it once more."""
    program = """
import sys
print("ready", flush=True)
sys.stdin.readline()
sys.exit(5)
"""
    process = started("--", sys.executable, "-c", program)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # a KeyboardInterrupt in either would be seen by then
    _, err = process.communicate("go on\n", timeout=SECONDS)
    assert process.returncode == 5, err


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


def test_the_commands_limit_of_open_files_is_as_it_was(data_dir):
    """We raise our own only: programs that close all they might have would take long."""
    command = ["sh", "-c", "ulimit -Sn"]
    script = "ulimit -Sn 300; exec " + shlex.join(command_line(data_dir, "--", *command))
    run = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env=clean_environment(), check=False
    )
    assert run.stdout == "300\n", run.stderr


def test_it_stays_in_our_process_group(ended):
    """Job control and a Ctrl-C of the terminal reach both."""
    program = "import os; print(os.getpgrp(), os.getsid(0))"
    run = ended("--", sys.executable, "-c", program, start_new_session=True)
    group, session = map(int, run.stdout.split())
    assert group == session
    assert group != os.getpgrp()
