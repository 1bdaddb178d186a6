"""Whole texts written to a stream, past the locks of Python's buffers where there are any.

A thread that is blocked in `sys.stdout` holds the buffer's lock, and the interpreter cannot
exit while it does; text left in that buffer after a broken pipe makes it complain at exit. So
the raw file below the buffers is used where the stream has one. Knows nothing of events.
"""

from __future__ import annotations

import io
import select
from collections.abc import Callable
from typing import TextIO

Sink = Callable[[str], None]
"""Writes a text to its end. Raises `OSError`, or `ValueError` if the stream is closed."""


def _raw_file(stream: TextIO | None) -> io.RawIOBase | None:
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with `python -u` there is no buffer in between
    return raw if isinstance(raw, io.RawIOBase) else None


def _write_raw(raw: io.RawIOBase, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:  # a program that shares the terminal has made it non-blocking
            select.select([], [raw], [])
        else:
            rest = rest[written:]


def open_sink(stream: TextIO | None) -> Sink:
    """Return the way to write to a text stream. What it still has buffered goes first.

    Characters that its encoding lacks are escaped. None stands for a stream that is gone.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    raw = _raw_file(stream)

    def write(text: str) -> None:
        if stream is None:
            raise BrokenPipeError
        data = text.encode(encoding, "backslashreplace")
        stream.flush()
        if raw is not None:
            _write_raw(raw, data)
        else:
            stream.write(data.decode(encoding))
            stream.flush()

    return write
