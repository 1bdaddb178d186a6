"""What every test of the command line stands on: an environment of its own."""

import os

import pytest

from faultinject.cli import main


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Let no variable of the machine in, and nothing out of the test's directory."""
    for name in [*os.environ]:
        if name.startswith(("FAULTINJECT_", "_FAULTINJECT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FAULTINJECT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


@pytest.fixture
def run(capfd):
    """Return a function that runs the command line: exit code, stdout, stderr."""

    def run_command(*arguments):
        code = main(arguments)
        out, err = capfd.readouterr()
        return code, out, err

    return run_command
