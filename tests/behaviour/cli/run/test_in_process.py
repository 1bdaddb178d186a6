"""Tests of `faultinject run` and `env` in this process: what they print, and their errors."""

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial

import pytest
import trio

from faultinject.cli.run import child_process, command_run, supervise
from faultinject.cli.run.child_process import CommandError, started
from faultinject.errors import StartError
from faultinject.proxy.server import RunningProxy, serve
from faultinject.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, sh")

SHOW = "import os, json; print(json.dumps(dict(os.environ)))"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Let nothing of this process be changed, and no variable of this machine in."""
    monkeypatch.setattr(command_run, "raise_open_files_limit", lambda: None)
    for name in [*os.environ]:
        if name.lower().endswith(("_proxy", "_base_url", "_api_key")):
            monkeypatch.delenv(name)


def test_a_command_ends_with_its_own_code(run):
    """What it prints is its own; what happened is told beside it."""
    code, out, err = run("run", "--fake-upstream", "--", "sh", "-c", "echo out; exit 3")
    assert (code, out) == (3, "out\n")
    assert "Summary" in err


@pytest.mark.parametrize(("first_line", "is_warned"), [("/usr/bin/env node", 1), ("/bin/sh", 0)])
def test_a_program_of_an_old_node_is_not_wholly_led_here(
    run, tmp_path, monkeypatch, first_line, is_warned
):
    """One line says what is not; for another program there is none."""
    for name, text in (("node", "/bin/sh\necho v20.1.0"), ("tool", first_line)):
        (tmp_path / name).write_text(f"#!{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _, _, err = run("run", "--fake-upstream", "--", "tool")
    assert err.count("Node v20.1.0: its fetch heeds no proxy") == is_warned
    assert err.count("not kept from the API") == is_warned


def test_a_command_that_a_signal_ends(run, tmp_path):
    """The exit code is a shell's; the event says which signal."""
    log = tmp_path / "log"
    options = ["--fake-upstream", "--log-format", "json", "--log-file", str(log)]
    assert run("run", *options, "--", "sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL
    events = map(json.loads, log.read_text().splitlines())
    [ended] = [event for event in events if event["event"] == "command-ended"]
    assert (ended["code"], ended["signal"]) == (None, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["sh", "-c", "exit 7"], 7, "Summary"),
        (["sh", "-c", "kill -9 $$"], 137, "Summary"),
        (["no-such-command"], 127, "faultinject: no-such-command: command not found"),
        (["/"], 126, "faultinject: /: cannot be run: Permission denied"),
    ],
)
def test_the_exit_code_is_that_of_a_shell(ended, command, code, words):
    """For a signal 128 and its number; for a command that cannot be started 126 or 127."""
    run = ended("--", *command)
    assert (run.returncode, run.stdout) == (code, "")
    assert words in run.stderr


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


def test_a_program_meets_the_failures(ended):
    """Nothing of it was changed; its output is its own, the report is beside it."""
    run = ended("--preset", "overload-storm", "--", sys.executable, "-c", REQUEST)
    assert run.stdout == "529\n529\n200\n"
    assert run.returncode == 0
    assert "api.anthropic.com         3" in run.stderr
    assert "listens on" not in run.stderr


def test_a_command_that_leaves_another_behind(ended):
    """The run ends with the command, as in a shell."""
    began = time.monotonic()
    run = ended("--", "sh", "-c", "sleep 20 >/dev/null 2>&1 & exit 3")
    assert run.returncode == 3
    assert time.monotonic() - began < 20


def test_the_environment_of_the_command(run, monkeypatch):
    """The rest of it is as it was."""
    monkeypatch.setenv("ALL_PROXY", "")
    monkeypatch.setenv("MINE", "stays")
    monkeypatch.setenv("NO_PROXY", "anthropic.com")
    code, out, err = run("run", "--fake-upstream", "--via", "proxy", sys.executable, "-c", SHOW)
    seen = json.loads(out)
    assert code == 3  # nothing was tested
    assert seen["MINE"] == "stays"
    assert seen["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert seen["ANTHROPIC_API_KEY"] == "sk-ant-faultinject-no-key"
    assert "ALL_PROXY" not in seen
    assert "anthropic.com is left out for the command" in err


def test_a_key_of_the_users_is_left_alone(run, monkeypatch):
    """And without the fake API no key is set."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    out = run("run", "--fake-upstream", sys.executable, "-c", SHOW)[1]
    assert json.loads(out)["ANTHROPIC_API_KEY"] == "mine"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    out = run("run", sys.executable, "-c", SHOW)[1]
    assert "ANTHROPIC_API_KEY" not in json.loads(out)


def test_by_base_url(run, monkeypatch):
    """Each target has a port of its own; no proxy and no certificate is named."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    options = ["--fake-upstream", "--via", "base-url"]
    seen = json.loads(run("run", *options, "--", sys.executable, "-c", SHOW)[1])
    anthropic, openai = seen["ANTHROPIC_BASE_URL"], seen["OPENAI_BASE_URL"]
    assert openai.endswith("/v1")
    assert anthropic != openai.removesuffix("/v1")
    assert "HTTPS_PROXY" not in seen


def test_for_java(run, monkeypatch):
    """If it is asked for; what the user has goes first."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dmine=1")
    options = run("run", "--fake-upstream", "--java", sys.executable, "-c", SHOW)[1]
    words = json.loads(options)["JAVA_TOOL_OPTIONS"].split()
    assert words[0] == "-Dmine=1"
    assert any(word.startswith("-Djavax.net.ssl.trustStore=") for word in words)


def test_a_fixed_port_and_the_proxys_lines(run, tmp_path):
    """For programs that cannot be given a variable; the lines go where they are asked for."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--fake-upstream", "--proxy-port", port]
    _, out, err = run("run", *options, "-v", sys.executable, "-c", SHOW)
    assert json.loads(out)["HTTPS_PROXY"] == f"http://127.0.0.1:{port}"
    assert f"listens on http://127.0.0.1:{port}\n" in err
    log, summary = tmp_path / "log", tmp_path / "summary.json"
    options = ["--log-file", str(log), "--log-format", "json", "--summary", str(summary)]
    _, _, err = run("run", "--fake-upstream", *options, "true")
    assert "listens on" not in err
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (events[0], events[-1]) == ("proxy-started", "proxy-stopped")
    assert json.loads(summary.read_text())["targets"][0]["requests"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, "which command? As in: faultinject run"),
        (["run", "--print-env", "zsh"], 2, "'zsh' is not one of sh, fish"),
        (["run", "--print-env", "sh", "--proxy-port", "0"], 2, "--proxy-port: it must be"),
        (["run", "no-such-command"], 127, "no-such-command: command not found"),
        (["run", "--log-file", "/no/such/file", "true"], 1, "cannot write the log file"),
        (["run", "--summary", "/no/such/file", "true"], 1, "cannot write the summary"),
        (["env", "--proxy-port", "1"], 1, "nothing listens at http://127.0.0.1:1:"),
        (["env", "--ready-file", "/no/such/file"], 2, "/no/such/file: No such file"),
        (["env", "--ready-file", "/dev/null"], 2, "/dev/null: it is not the ready file"),
    ],
)
def test_what_cannot_be_is_one_line(run, arguments, code, words):
    """With what to do."""
    ended = run(*arguments)
    assert (ended[0], ended[1]) == (code, "")
    assert ended[2].startswith("faultinject: ")
    assert words in ended[2]
    assert ended[2].count("\n") == 1


def test_a_proxy_of_the_users_own(run, monkeypatch):
    """Nothing is started."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    code, out, err = run("run", "--", "echo", "started")
    assert (code, out) == (2, "")
    assert "HTTPS_PROXY names a proxy of yours" in err


def test_the_variables_are_printed(run):
    """For the options that a proxy is to be started with; nothing listens."""
    code, out, err = run("run", "--print-env", "--proxy-port", "1234", "--via", "proxy")
    assert (code, err) == (0, "")
    assert "export HTTPS_PROXY=http://127.0.0.1:1234\n" in out
    assert "unset ALL_PROXY\n" in out


def test_the_variables_for_base_urls_are_printed(run):
    """At the one port of such a proxy; no authority is made for them."""
    out = run("run", "--print-env", "fish", "--via", "base-url")[1]
    assert "set -gx ANTHROPIC_BASE_URL 'http://127.0.0.1:8080'\n" in out
    assert "CURL" not in out


def test_the_variables_for_a_proxy_that_runs(run, tmp_path, data_dir):
    """By its ready file, and by its port."""
    ready = tmp_path / "ready.json"
    printed = []

    async def print_them():
        settings = Settings(proxy_port=0, data_dir=data_dir, fake_upstream=True)
        async with trio.open_nursery() as nursery:
            proxy = await nursery.start(partial(serve, settings))
            document = {
                "proxy": proxy.url,
                "ca_cert": str(proxy.ca_cert),
                "targets": ["api.openai.com"],
                "fake_upstream": True,
            }
            ready.write_text(json.dumps(document))
            options = ["env", "--ready-file", str(ready)]
            printed.append(await trio.to_thread.run_sync(partial(run, *options)))
            ready.write_text(json.dumps(document | {"ca_cert": None}))
            printed.append(await trio.to_thread.run_sync(partial(run, *options, "--via", "proxy")))
            options = ["env", "--proxy-port", str(proxy.port), "--shell", "dotenv"]
            printed.append(await trio.to_thread.run_sync(partial(run, *options)))
            options += ["--target-host", "api.openai.com", "--via", "base-url"]
            printed.append(await trio.to_thread.run_sync(partial(run, *options)))
            printed.append(proxy.url)
            nursery.cancel_scope.cancel()

    trio.run(print_them)
    by_file, without_ca, by_port, with_target, url = printed
    assert by_file[0] == 0, by_file
    assert f"export HTTPS_PROXY={url}\n" in by_file[1]
    assert "export OPENAI_API_KEY=sk-faultinject-no-key\n" in by_file[1]
    assert without_ca[0] == 1
    assert "no certificate authority that clients could trust" in without_ca[2]
    assert f"HTTPS_PROXY={url}\n" in by_port[1]
    assert "faultinject: for a proxy whose target is api.anthropic.com; if it has " in by_port[2]
    assert "--target-host" in by_port[2]
    assert f"OPENAI_BASE_URL={url}/v1\n" in with_target[1]
    assert (by_file[2], with_target[2]) == ("", "")


# Signals and failures


def test_a_signal_before_the_command_runs(run, monkeypatch):
    """It is not started; the exit code is that of the signal."""

    async def serve_later(*_args, **_more):
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    monkeypatch.setattr(supervise, "serve", serve_later)
    code, out, _ = run("run", "--fake-upstream", "--", "echo", "started")
    assert (code, out) == (128 + signal.SIGTERM, "")


def test_signals_while_the_command_runs(run):
    """SIGTERM is handed on; Ctrl-C the command has from the terminal."""
    script = "trap 'echo term; exit 4' TERM; kill -INT $PPID; kill -TERM $PPID; sleep 30 & wait"
    code, out, _ = run("run", "--fake-upstream", "--", "sh", "-c", script)
    assert (code, out) == (4, "term\n")


def test_ctrl_c_while_the_proxy_drains(run, monkeypatch):
    """The command has ended: nobody else would take it."""

    def drain_for_ever(_running):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunningProxy, "drain", drain_for_ever)
    assert run("run", "--fake-upstream", "--", "sh", "-c", "exit 5")[0] == 5


def test_signals_that_are_ignored_are_so_by_the_command_too(run):
    """As in the background of a script, or under nohup."""
    show = "import signal; print(*(signal.getsignal(n).name for n in (2, 1, 15)))"
    before = {number: signal.signal(number, signal.SIG_IGN) for number in supervise.STOP_SIGNALS}
    try:
        out = run("run", "--fake-upstream", "--", sys.executable, "-c", show)[1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert out == "SIG_IGN SIG_IGN SIG_IGN\n"


def test_a_proxy_that_fails_ends_the_command(run, monkeypatch):
    """And is an error of ours, as ever."""

    async def serve_and_fail(settings, *, listener, task_status):
        async def fail(running):
            task_status.started(running)
            await trio.sleep(0.2)
            raise StartError("the proxy has failed")

        async with trio.open_nursery() as nursery:
            await fail(await nursery.start(partial(serve, settings, listener=listener)))

    monkeypatch.setattr(supervise, "serve", serve_and_fail)
    code, _, err = run("run", "--fake-upstream", "--", "sleep", "30")
    assert code == 1
    assert "the proxy has failed" in err


def test_a_defect_is_one(run, monkeypatch):
    """It is not taken for an error of the command's."""

    async def fail(*_args, **_more):
        raise ZeroDivisionError

    monkeypatch.setattr(supervise, "serve", fail)
    with pytest.raises(BaseExceptionGroup):
        run("run", "--fake-upstream", "--", "true")


def test_a_script_without_its_interpreter_in_process(run, tmp_path):
    """It is there, so that "not found" would mislead."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    code, _, err = run("run", "--fake-upstream", "--", str(script))
    assert code == 126
    assert "interpreter is not there" in err


def test_a_command_that_does_not_end_is_killed(monkeypatch):
    """If we have to go, and it has had its time."""
    monkeypatch.setattr(child_process, "_END_SECONDS", 0.2)
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    reader, writer = os.pipe()
    with os.fdopen(reader) as lines, os.fdopen(writer, "wb") as output:
        monkeypatch.setattr(
            child_process.subprocess,
            "Popen",
            partial(child_process.subprocess.Popen, stdout=output),
        )
        with suppress(KeyError), started(["sh", "-c", script], os.environ) as child:
            assert lines.readline() == "ready\n"
            raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    child.send(signal.SIGTERM)  # it has ended: nothing happens


def test_elsewhere_there_is_no_parent_death_signal(monkeypatch):
    """macOS has none; the command is started all the same."""
    monkeypatch.setattr(child_process.sys, "platform", "darwin")
    with started(["true"], os.environ) as child:
        assert trio.run(child.wait) == 0


def test_a_name_that_no_program_can_have(monkeypatch):
    """As a shell's, it cannot be run."""
    with pytest.raises(CommandError, match="cannot be run") as caught, started(["a\0b"], {}):
        pass
    assert caught.value.code == child_process.NOT_EXECUTABLE


def test_the_command_is_started_in_the_main_thread(run, monkeypatch):
    """The kernel binds the parent's death to the thread: a worker's end would kill the command."""
    threads = []
    popen = child_process.subprocess.Popen

    def note(*args, **more):
        threads.append(threading.current_thread())
        return popen(*args, **more)

    monkeypatch.setattr(child_process.subprocess, "Popen", note)
    run("run", "--fake-upstream", "--via", "proxy", "--", "true")
    assert threads == [threading.main_thread()]


def test_without_an_authority_base_urls_go_on(run, monkeypatch):
    """There is nothing to trust then."""

    def fail(*_args, **_more):
        raise RuntimeError("no home")

    monkeypatch.delenv("FAULTINJECT_DATA_DIR")
    monkeypatch.setattr("platformdirs.user_data_path", fail)
    options = ["--fake-upstream", "--fail-on", "none"]
    code, _, err = run("run", *options, "--via", "base-url", "--", "true")
    assert code == 0, err
    code, _, err = run("run", "--fake-upstream", "--via", "proxy", "--", "true")
    assert code == 1
    assert "use --via base-url, which needs none" in err
