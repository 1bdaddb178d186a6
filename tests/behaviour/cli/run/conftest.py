"""A run in the test's own process."""

import os
from subprocess import CompletedProcess

import pytest

from faultinject.cli.run import command_run
from tests.support.proxy import clean_environment


@pytest.fixture
def ended(run, monkeypatch):
    """Return a function that runs a command with a fake API; only the command is a process."""
    monkeypatch.setattr(command_run, "raise_open_files_limit", lambda: None)
    for name in {*os.environ} - {*clean_environment()} - {"FAULTINJECT_DATA_DIR"}:
        monkeypatch.delenv(name)

    def run_to_its_end(*arguments):
        words = ("run", "--fake-upstream", "--seed", "1", *arguments)
        return CompletedProcess(words, *run(*words))

    return run_to_its_end
