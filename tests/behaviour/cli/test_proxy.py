"""Tests of `faultinject proxy` as a user runs it: a program of its own."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.proxy import ProxyRun, clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops it by signals")

SECONDS = 60


def test_the_settings_reach_the_run(run, monkeypatch):
    """Its exit code is the command's."""
    taken = []
    monkeypatch.setattr("faultinject.cli.proxy.run", lambda *given: taken.append(given[0]) or 3)
    assert (
        run("proxy", "--seed", "7", "--marker", "--target-host", "a", "--target-host", "b")[0] == 3
    )
    assert (taken[0].seed, taken[0].marker) == (7, True)
    assert [str(target) for target in taken[0].target_host] == ["a", "b"]


def test_a_run_from_start_to_sigterm(tmp_path, data_dir):
    """It listens where it says, answers with the error, and its summary counts that."""
    options = ["--error-probability", "1", "--status-code", "529", "--header", "X-A: b"]
    with ProxyRun(tmp_path, *options, env={"FAULTINJECT_STATUS_CODE": "429"}) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as client:
            client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 529 ")
        assert b"\r\nX-A: b\r\n" in answer
        exchange = proxy.exchanges(1)[0]
        assert (exchange["outcome"], exchange["status"]) == ("injected", 529)
    summary = json.loads(proxy.summary_file.read_text())
    assert summary["targets"][0]["injected"] == 1


def test_the_first_ctrl_c_stops_it_with_exit_code_0(served, data_dir):
    """And says so in its last event."""
    code, output = served(
        *("proxy", "--proxy-port", "0", "--log-format", "json"),
        during=lambda output: output.until("proxy-started"),
        stop=signal.SIGINT,
    )
    assert code == 0
    stopped = json.loads(output.splitlines()[-1])
    assert (stopped["event"], stopped["reason"]) == ("proxy-stopped", "told to stop")


def test_a_port_in_use_is_one_line(run, quiet, tmp_path, data_dir):
    """Exit code 1, and no ready file."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ready = tmp_path / "ready.json"
        code, out, err = run("proxy", "--proxy-port", port, "--ready-file", str(ready))
    assert (code, out) == (1, "")
    assert err.startswith("faultinject: ")
    assert port in err
    assert err.count("\n") == 1
    assert not ready.exists()


def test_wrong_settings_are_one_line(run, quiet, tmp_path):
    """Exit code 2, before anything is made."""
    file = tmp_path / "c.json"
    file.write_text('{"status_cod": 1}')
    message = f"faultinject: {file}: unknown key 'status_cod'; did you mean status_code?\n"
    assert run("proxy", "--config", str(file)) == (2, "", message)
    assert [*tmp_path.iterdir()] == [file]


def test_an_authority_that_is_missing_is_one_line(run, quiet, tmp_path):
    """Named files are not made; exit code 2."""
    named = ["--ca-cert", str(tmp_path / "a.crt"), "--ca-key", str(tmp_path / "a.key")]
    code, out, err = run("proxy", "--proxy-port", "0", *named)
    assert (code, out) == (2, "")
    assert "a.crt" in err
    assert err.count("\n") == 1


def test_a_reader_that_leaves_does_not_stop_it(tmp_path, data_dir):
    """`faultinject proxy | head -1`: exit code 0, and nothing on stderr."""
    arguments = ["proxy", "--proxy-port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(
        [sys.executable, "-m", "faultinject", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        try:
            assert process.stdout.readline().startswith(b"faultinject ")
            process.stdout.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
            assert process.stderr.read() == b""
        finally:
            process.kill()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_colours_are_for_terminals_without_no_color(
    served, environment, data_dir, no_color, colored
):
    """https://no-color.org."""
    for name, value in {"NO_COLOR": no_color, "TERM": "xterm", "FORCE_COLOR": ""}.items():
        environment.setenv(name, value)
    begun = []
    code, output = served(
        *("proxy", "--proxy-port", "0"),
        during=lambda output: begun.append(output.until("ANTHROPIC_BASE_URL")),
        opened=os.openpty,
    )
    assert code == 0
    summary = output[output.index("Summary") :]
    assert ["\x1b[" in text for text in (*begun, summary)] == [colored, colored]
