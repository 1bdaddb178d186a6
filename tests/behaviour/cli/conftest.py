"""What every test of the command line stands on: an environment of its own."""

import gc
import os
import signal

import pytest

from faultinject.cli import main
from faultinject.cli.signals import STOP_SIGNALS
from faultinject.tls.certificate_authority import CertificateAuthority


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Let no variable of the machine in, and nothing out of the test and its directory."""
    for name in [*os.environ]:
        if name.startswith(("FAULTINJECT_", "_FAULTINJECT_", "GITHUB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FAULTINJECT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(gc, "freeze", lambda: None)  # or no later test finds what this one left
    monkeypatch.setattr(gc, "unfreeze", lambda: None)  # nor is what all tests share looked through
    yield monkeypatch
    gc.enable()  # which a run that a test began in its midst left off


@pytest.fixture(autouse=True)
def signals():
    """Heed signals as in a terminal: in the background a shell has some of them ignored."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        as_usual = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
        signal.signal(number, as_usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def quiet(monkeypatch):
    """Let a run that starts in this process change nothing of it."""
    monkeypatch.setattr("faultinject.cli.runner.raise_open_files_limit", lambda: None)


@pytest.fixture
def run(capfd):
    """Return a function that runs the command line: exit code, stdout, stderr."""

    def run_command(*arguments):
        code = main(arguments)
        out, err = capfd.readouterr()
        return code, out, err

    return run_command


@pytest.fixture
def data_dir(tmp_path):
    """Return a data directory with an authority in it."""
    CertificateAuthority.open_or_create(tmp_path / "data")
    return tmp_path / "data"
