"""What every test of the command line stands on: an environment of its own."""

import gc
import os
import signal
import sys
import threading

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


class Output:
    """What a command writes, read while it runs."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.text = ""

    def read(self):
        """Read some more; return False at the end."""
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # so ends a terminal
            return False
        self.text += data.decode()
        return bool(data)

    def until(self, word):
        """Return the text so far, once this is in it."""
        while word not in self.text:
            assert self.read(), self.text
        return self.text


@pytest.fixture
def served(quiet, monkeypatch):
    """Return a function that runs a command in this process until a signal ends it.

    Meanwhile another thread calls ``during`` with the `Output`, and sends the signal then. Returns
    the exit code and the whole output.
    """

    def serve(*arguments, during, stop=signal.SIGTERM, opened=os.pipe):
        reading, writing = opened()
        output, errors = Output(reading), []

        def watch():
            try:
                during(output)
            except BaseException as error:
                errors.append(error)
            os.kill(os.getpid(), stop)
            while output.read():
                pass

        signal.signal(stop, lambda *_: None)  # should it come when the command has ended
        thread = threading.Thread(target=watch)
        with os.fdopen(writing, "w", encoding="utf-8") as stdout, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            thread.start()
            code = main(arguments)
        thread.join()
        os.close(reading)
        if errors:
            raise errors[0]
        return code, output.text

    return serve


@pytest.fixture
def data_dir(tmp_path):
    """Return a data directory with an authority in it."""
    CertificateAuthority.open_or_create(tmp_path / "data")
    return tmp_path / "data"
