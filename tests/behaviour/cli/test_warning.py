"""What is said on stderr, where nobody listens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

import pytest

from faultinject.cli import main, warning

Pipe = Callable[[], tuple[int, TextIO]]


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Put a pipe in stderr's place; whoever asks for it closes the reading end."""
    made: list[TextIO] = []

    def make() -> tuple[int, TextIO]:
        reading, writing = os.pipe()
        stream = os.fdopen(writing, "w", buffering=1)
        made.append(stream)
        monkeypatch.setattr("sys.stderr", stream)
        return reading, stream

    yield make
    for stream in made:
        stream.close()  # would raise if something were left in it that cannot be written


@pytest.mark.skipif(os.name == "nt", reason="a pipe cannot be waited for there")
def test_a_pipe_that_is_full_holds_up_nothing(
    stderr: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is given up; the exit code tells all the same."""
    monkeypatch.setattr(warning, "_SECONDS", 0.01)
    reading, stream = stderr()
    os.set_blocking(stream.fileno(), False)
    with suppress(BlockingIOError):
        while True:
            os.write(stream.fileno(), bytes(4096))
    os.set_blocking(stream.fileno(), True)
    assert main(["proxy", "--seed", "x"]) == 2
    os.close(reading)


def test_a_pipe_whose_reader_has_gone_does_not_change_the_exit_code(stderr: Pipe) -> None:
    """Nor does it end what only wanted to warn."""
    reading, _ = stderr()
    os.close(reading)
    assert main(["proxy", "--seed", "x"]) == 2
    warning.warn("said to nobody")


def test_a_pipe_that_is_read(stderr: Pipe) -> None:
    """A line each."""
    reading, _ = stderr()
    warning.warn("this")
    warning.write_line("that")
    assert os.read(reading, 1000) == b"faultinject: warning: this\nthat\n"
    os.close(reading)
