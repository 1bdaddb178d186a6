"""What a start loads before it listens or answers: each module is time that somebody waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from faultinject.tls.certificate_authority import CertificateAuthority

AFTER_LISTENING = {
    # What accepts clients and serves them.
    "faultinject.proxy.clients",
    "faultinject.proxy.session",
    "faultinject.proxy.upstream.dial",
    "faultinject.net.socket_stream",
    "faultinject.tls.stream",
    "faultinject.proxy.http1",
    "faultinject.proxy.exchange",
    "faultinject.http.h1.machine",
    "h11",
    # What knows rules: the options alone are one with which nothing can be wrong.
    "faultinject.config.rule_set",
    "faultinject.rules",
    "faultinject.rules.facts",
    "faultinject.faults",
    "faultinject.providers",
    # What the summary at the end, or a run with rules, may load.
    "faultinject.config.rules",
    "faultinject.proxy.planned",
    "faultinject.config.presets",
    "yaml",
    "rich",
    "rich_click",
    # What signs certificates, and makes an authority.
    "cryptography",
    "filelock",
    # What the plugin, mistakes and Python's own conveniences load.
    "asyncio",
    "grpclib",
    "importlib.metadata",
    "email",
    "http.client",
    "difflib",
    "_strptime",
    "encodings.idna",
}

LOADED_BEFORE_LISTENING = """
import sys
import trio
def listens(socket):
    socket.close()
    print(*sys.modules)
    raise OSError(1, "not in this test")
trio.SocketListener = listens
from faultinject.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("options", [[], ["--fake-upstream"]])
def test_what_a_proxy_loads_before_it_listens(tmp_path: Path, options: list[str]) -> None:
    """What reads the settings, and what listens; clients are for later."""
    CertificateAuthority.open_or_create(tmp_path)
    command = ["proxy", "--data-dir", str(tmp_path), "--proxy-port", "0", *options]
    ended = run_python(LOADED_BEFORE_LISTENING, *command)
    assert ended.returncode == 1, ended.stderr
    assert "not in this test" in ended.stderr
    loaded = set(ended.stdout.split())
    assert {"trio", "faultinject.proxy.server"} <= loaded
    assert not loaded & AFTER_LISTENING


@pytest.mark.parametrize(
    "options",
    [
        ["--rule", "respond 529 frist=2"],
        ["--preset", "overlaoded"],
        ["--upstream-ca", "missing.pem"],
        ["--ca-cert", "missing.pem", "--ca-key", "missing.key"],
        ["--fake-upstream", "--status-code", "1"],
    ],
)
def test_mistakes_are_told_before_it_listens(tmp_path: Path, options: list[str]) -> None:
    """A port that is open for a moment is one that somebody may use."""
    command = ["proxy", "--data-dir", str(tmp_path), "--proxy-port", "0", *options]
    ended = run_python(LOADED_BEFORE_LISTENING, *command)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.startswith("faultinject: ")


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
