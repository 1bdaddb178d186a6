"""What a start loads before it listens or answers: each module is time that somebody waits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from faultinject.tls.certificate_authority import CertificateAuthority

MODULES_BUDGET = 435
"""So many modules, Python's own included, may be loaded when a proxy listens. Python and Trio take
270, and ours with what they need some 160; what is large and not yet needed (cryptography, rich,
gRPC, all that serves) has 45 or more each."""

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
def test_listening_keeps_to_the_budget(tmp_path: Path, options: list[str]) -> None:
    """What serves clients is loaded when it listens."""
    CertificateAuthority.open_or_create(tmp_path)
    command = ["proxy", "--data-dir", str(tmp_path), "--proxy-port", "0", *options]
    ended = run_python(LOADED_BEFORE_LISTENING, *command)
    assert ended.returncode == 1, ended.stderr
    assert "not in this test" in ended.stderr
    loaded = ended.stdout.split()
    assert {"trio", "faultinject.proxy.server"} <= set(loaded)
    assert len(loaded) <= MODULES_BUDGET


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
@pytest.mark.usefixtures("quiet")
def test_mistakes_are_told_before_it_listens(
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    """A port that is open for a moment is one that somebody may use."""

    async def listen(*_: object, **__: object) -> None:
        raise AssertionError("it listens")

    monkeypatch.setattr(trio, "open_tcp_listeners", listen)
    code, out, err = run("proxy", "--data-dir", str(tmp_path), "--proxy-port", "0", *options)
    assert (code, out) == (2, "")
    assert err.startswith("faultinject: ")


@pytest.mark.usefixtures("quiet")
def test_without_a_mistake_it_would_listen(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above can fail."""

    async def listen(*_: object, **__: object) -> None:
        raise OSError(1, "not in this test")

    monkeypatch.setattr(trio, "open_tcp_listeners", listen)
    code, _, err = run("proxy", "--data-dir", str(tmp_path), "--proxy-port", "0")
    assert code == 1
    assert err.startswith("faultinject: cannot listen on 127.0.0.1:0: not in this test; ")


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
