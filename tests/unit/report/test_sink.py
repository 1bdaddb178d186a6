"""Texts arrive whole, past the stream's buffer where there is one."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from faultinject.report.writer import open_sink


def test_stream_in_memory() -> None:
    """A stream without a file is written as text."""
    stream = io.StringIO()
    open_sink(stream)("ü\n")
    assert stream.getvalue() == "ü\n"


def test_file_is_written_in_order(tmp_path: Path) -> None:
    """What others have written to the stream comes first, and nothing stays in its buffer."""
    path = tmp_path / "out"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("before ")
        open_sink(stream)("ü\n")
        assert path.read_text(encoding="utf-8") == "before ü\n"


@pytest.mark.parametrize("raw", [True, False])
def test_characters_that_the_encoding_lacks(tmp_path: Path, raw: bool) -> None:
    """They are escaped, on both ways."""
    if raw:
        with (tmp_path / "out").open("w", encoding="ascii") as stream:
            open_sink(stream)("ü\n")
        data = (tmp_path / "out").read_bytes()
    else:
        memory = io.BytesIO()
        stream = io.TextIOWrapper(memory, encoding="ascii")
        open_sink(stream)("ü\n")
        data = memory.getvalue()
    assert data == b"\\xfc\n"


def test_no_stream() -> None:
    """No stream is as good as one whose reader has gone."""
    with pytest.raises(BrokenPipeError):
        open_sink(None)("x")


class SlowFile(io.RawIOBase):
    """Takes three bytes at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        self.taken += bytes(data[:3])
        return min(3, len(data))


def test_partial_writes_are_gone_on_with() -> None:
    """A raw file may take less than it is given; unbuffered streams have no buffer between."""
    file = SlowFile()
    stream = io.TextIOWrapper(file, write_through=True)  # type: ignore[type-var]
    open_sink(stream)("12345678")
    assert file.taken == b"12345678"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there cannot be non-blocking")
def test_non_blocking_terminal_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that another program made non-blocking still takes everything."""
    is_full, wait = threading.Event(), select.select

    def select_and_tell(*files: Any) -> object:
        is_full.set()
        return wait(*files)

    monkeypatch.setattr(select, "select", select_and_tell)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 300_000
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "w") as stream:
        received: list[bytes] = []

        def read_when_full() -> None:
            is_full.wait(10)
            received.append(source.read(len(text)))

        thread = threading.Thread(target=read_when_full)
        sink = open_sink(stream)
        thread.start()
        sink(text)
        thread.join()
    assert received == [text.encode()]
