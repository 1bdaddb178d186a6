"""Tests of installing the certificate; no command of the system is run."""

import subprocess
import sys
from pathlib import Path

import pytest

from faultinject.cli import trust
from faultinject.cli.trust import install_certificate, shown, trust_commands

CERTIFICATE = Path("/a b/ca.crt")
SYSTEMS = ["macos", "debian", "fedora", "windows"]


class Commands:
    """Takes commands instead of the system, and answers with codes."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.taken = []

    def __call__(self, command):
        self.taken.append(tuple(command))
        code = self.codes.pop(0)
        if isinstance(code, Exception):
            raise code
        return code


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    """Pretend that every tool is there."""
    monkeypatch.setattr(trust.shutil, "which", lambda name: f"/bin/{name}")
    return monkeypatch


@pytest.mark.parametrize("platform", SYSTEMS)
def test_the_platforms_own_commands_are_run_and_shown_before(capsys, platform):
    """All of them, in order."""
    commands = trust_commands(platform, CERTIFICATE)
    system = Commands(*[0 for _ in commands])
    assert install_certificate(CERTIFICATE, platform, run=system, has_rights=lambda: True) == 0
    assert system.taken == list(commands)
    err = capsys.readouterr().err
    assert err.count("running: ") == len(commands)
    assert f"trusts {CERTIFICATE} now" in err


@pytest.mark.parametrize("platform", ["debian", "fedora"])
def test_without_root_the_command_to_run_is_printed(capsys, platform):
    """Nothing is run; exit code 1."""
    system = Commands()
    assert install_certificate(CERTIFICATE, platform, run=system, has_rights=lambda: False) == 1
    assert system.taken == []
    err = capsys.readouterr().err
    assert "needs the rights of root; run it yourself:\n  sudo " in err
    assert "'/a b/ca.crt'" in err


@pytest.mark.parametrize("platform", ["macos", "windows"])
def test_the_users_own_store_needs_no_root(platform):
    """It is the user's."""
    system = Commands(0)
    assert install_certificate(CERTIFICATE, platform, run=system, has_rights=lambda: False) == 0


def test_a_missing_tool_is_named(capsys, tools):
    """Some systems lack it."""
    tools.setattr(trust.shutil, "which", lambda name: None)
    assert install_certificate(CERTIFICATE, "fedora", run=Commands()) == 1
    assert "not installed: there is no trust here; run it yourself:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (3, "install ended with code 3"),
        (OSError("no exec"), "install did not run: no exec"),
        (subprocess.TimeoutExpired("install", 120), "install did not run: "),
    ],
)
def test_a_failing_command_ends_it(capsys, failure, reason):
    """The ones after it are not run."""
    system = Commands(failure)
    assert install_certificate(CERTIFICATE, "debian", run=system, has_rights=lambda: True) == 1
    assert len(system.taken) == 1
    err = capsys.readouterr().err
    assert f"not installed: {reason}" in err
    assert "sudo update-ca-certificates" in err


def test_the_platform_is_this_one_by_default(monkeypatch):
    """As `--install-ca` has it."""
    monkeypatch.setattr(trust, "this_platform", lambda: "windows")
    system = Commands(0)
    assert install_certificate(CERTIFICATE, run=system) == 0
    assert system.taken == [("certutil", "-user", "-addstore", "Root", str(CERTIFICATE))]


def test_commands_are_shown_as_they_are_typed():
    """With what the platform's shell wants."""
    assert shown("windows", [("certutil", "a b")]) == 'certutil "a b"'
    assert shown("debian", [("a", "b c"), ("d",)]) == "sudo a 'b c' && sudo d"
    assert shown("macos", [("security", "x")]) == "security x"


def test_a_real_command_is_run_without_a_shell():
    """Its exit code comes back."""
    assert trust._run([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_rights_are_those_of_this_user():
    """Root or not; on Windows there is no such question."""
    assert trust._is_root() in (True, False)
