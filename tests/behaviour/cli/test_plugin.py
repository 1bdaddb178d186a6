"""Tests of `faultinject plugin` as a user runs it: a program of its own, called by grpcio."""

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.proxy import PluginRun, clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops it by signals")
needs_trio_asyncio = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="trio-asyncio has no version for this Python"
)

SECONDS = 60
OPTIONS = ["--error-probability", "1", "--status-code", "529", "--target-host", "a.example:8443"]


def test_the_settings_reach_the_run(run, monkeypatch, tmp_path):
    """The plugin's own, the proxy's, and a file that serves both; and its exit code back."""
    taken = []
    monkeypatch.setattr("faultinject.cli.plugin.run", lambda *given: taken.append(given[0]) or 3)
    file = tmp_path / "c.json"
    file.write_text(
        json.dumps({"proxy_port": 1, "port": 2, "carrier_header": {"X-A": "b"}, "seed": 7})
    )
    options = ["--carrier", "GET /health?x=1", "--http-forward", "--tunnel", "reply"]
    assert run("plugin", "--config", str(file), *options, "--seed", "8")[0] == 3
    (settings,) = taken
    assert (settings.port, settings.upstream_port, settings.seed) == (2, 50052, 8)
    assert (settings.tunnel, settings.http_forward) == ("reply", True)
    carrier = settings.whole_carrier
    assert (carrier.method, carrier.target) == (b"GET", b"/health?x=1")
    assert carrier.headers == ((b"X-A", b"b"),)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--carrier", "HEAD"], "--carrier: 'HEAD' is not a method and a path"),
        (["--carrier", "GET http://a/"], "is not a method and a path, as in 'HEAD /'"),
        (["--carrier", "CONNECT /"], "--carrier: 'CONNECT /' is not"),
        (["--carrier-header", "Content-Length: 5"], "--carrier-header: the header Content-Length"),
        (["--tunnel", "half"], "--tunnel: 'half' is not one of duplex, reply"),
        (["--port", "70000"], "--port: '70000' is not a whole number from 0 to 65535"),
        (["--proxy-port", "1"], "No such option"),
    ],
)
def test_mistakes_are_one_line(run, arguments, words):
    """Exit code 2."""
    code, out, err = run("plugin", *arguments)
    assert (code, out) == (2, "")
    assert words.lower() in err.lower()
    assert err.count("\n") == 1


def test_the_certificate_is_exported_from_here_too(run, tmp_path):
    """As `faultinject ca export` does it."""
    assert run("plugin", "--export-ca", str(tmp_path / "ca.pem"))[0] == 0
    assert (tmp_path / "ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")


@needs_trio_asyncio
def test_what_has_no_effect_is_said(run, monkeypatch):
    """It is Fault that connects."""
    monkeypatch.setattr("faultinject.cli.plugin.run", lambda settings, service: 0)
    code, _, err = run("plugin", "--connect-to", "a:443:b:443")
    assert code == 0
    assert "--connect-to has no effect" in err
    assert run("plugin", "--connect-to", "a:443:b:443", "--tunnel", "reply")[2] == ""


@needs_trio_asyncio
def test_a_run_from_start_to_sigterm(tmp_path, data_dir):
    """It says how Fault is started, and stops at once although a host stays connected."""
    with PluginRun(tmp_path, *OPTIONS) as plugin:
        first, second = plugin.urls
        assert plugin.command == (
            f"fault run --grpc-plugin {first} --grpc-plugin {second}"
            " --upstream https://a.example:8443"
        )
        assert plugin.ready() == {
            "client_url": first,
            "upstream_url": second,
            "command": plugin.command,
            "ca_cert": str(data_dir / "fault-ca.crt"),
            "pid": plugin.process.pid,
        }
        with socket.create_connection(("127.0.0.1", int(first.rpartition(":")[2])), SECONDS):
            started = time.monotonic()
            assert plugin.stop() == 0
            assert time.monotonic() - started < 4
    summary = json.loads(plugin.summary_file.read_text())
    assert (summary["targets"][0]["target"], summary["targets"][0]["requests"]) == (
        "a.example:8443",
        0,
    )


@needs_trio_asyncio
@pytest.mark.parametrize("option", ["--port", "--upstream-port"])
def test_a_port_in_use_is_one_line(run, quiet, data_dir, option):
    """Exit code 1, with the option that mends it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--upstream-port": "0", option: port}
        options = [word for pair in ports.items() for word in pair]
        code, out, err = run("plugin", *options)
    assert code == 1
    assert err.startswith(f"faultinject: cannot listen on 127.0.0.1:{port}: ")
    assert f"choose another with {option} " in err
    assert (err.count("\n"), out) == (1, "")


def test_a_python_without_trio_asyncio_is_one_line(data_dir, tmp_path):
    """Exit code 1; the rest of the program works there, and even the plugin's help."""
    (tmp_path / "trio_asyncio.py").write_text("raise ImportError('no loop policies any more')")
    command = ["plugin", "--data-dir", str(data_dir), "--port", "0", "--upstream-port", "0"]
    program = f"""
from faultinject.cli import main
print(main({command}))
print(main(["plugin", "--help"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment(PYTHONPATH=str(tmp_path)),
        check=True,
    )
    assert done.stderr.startswith("faultinject: the plugin needs trio-asyncio, which cannot be ")
    assert done.stderr.count("\n") == 1
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == ("1", "0")


@needs_trio_asyncio
def test_ctrl_c_prints_a_summary(served, data_dir):
    """For people; with what to check if Fault brought nothing."""
    code, output = served(
        *("plugin", "--port", "0", "--upstream-port", "0"),
        during=lambda output: output.until("python app.py"),
        stop=signal.SIGINT,
    )
    assert code == 0
    assert "--upstream https://api.anthropic.com\n" in output
    assert "Fault sent no tunnel" in output
