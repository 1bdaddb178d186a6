"""Writes events to a stream from a thread of its own, past the locks of Python's buffers."""

from __future__ import annotations

import io
import json
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from types import TracebackType
from typing import Literal, Self, TextIO

from faultinject.events import Event, EventsDropped, Level
from faultinject.report.lines import TextFormat, line_level

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
    """Return a function that writes to a text stream, after what the stream still has buffered.

    Characters that the stream's encoding lacks are escaped. None is a stream that is gone.
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


Format = Callable[[Event], str]
LogFormat = Literal["text", "json"]

BATCH_EVENTS = 500
"""Most events that are formatted before they are written."""
GATHER_SECONDS = 0.02
"""How long the thread waits for more events after the first. Nobody sees the delay, and to wake
the thread once for many events saves nine tenths of its cost (about 20 µs per event)."""
EXIT_SECONDS = 2.0
"""How long the output may take to end. What is left then is given up."""

_LEVELS: dict[Level, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_STOP = None
_Item = Event | str | None


def json_line(event: Event) -> str:
    """Return an event as one line of JSON, in ASCII, so that it cannot harm a terminal."""
    return json.dumps(event.as_dict()) + "\n"


def wants_color(stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if a stream should get colours (https://no-color.org, FORCE_COLOR, TERM)."""
    if stream is None or environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


class EventOutput:
    """Writes events of at least ``level`` to ``stream`` while its ``with`` block runs.

    At most ``limit`` events wait for a slow stream. The block's end waits ``exit_seconds`` for the
    rest. A stream that fails, is closed, or is None (as `sys.stdout` can be) is not an error: the
    events that it did not take count as dropped. ``setup_hints`` is `TextFormat`'s.
    """

    def __init__(
        self,
        stream: TextIO | None,
        fmt: LogFormat = "text",
        *,
        level: Level = "info",
        color: bool = False,
        setup_hints: bool = True,
        limit: int = 10_000,
        exit_seconds: float = EXIT_SECONDS,
    ) -> None:
        self._stream = stream
        self._format: Format = json_line
        self._level: Callable[[Event], Level] = lambda event: event.level
        if fmt == "text":
            self._format = TextFormat(level=level, color=color, setup_hints=setup_hints)
            self._level = line_level
        self._least_level = _LEVELS[level]
        self._limit = limit
        self._exit_seconds = exit_seconds
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._stopping = threading.Event()
        self._closed = False
        # Each number is changed by one thread only, so that none needs a lock. In `listen`:
        self._queued = 0
        self._not_queued = 0
        # In the thread:
        self._finished = 0
        self._not_written = 0
        self._reported = 0
        self._given_up = 0
        # A daemon, so that the interpreter can exit while a stream blocks for ever.
        self._thread = threading.Thread(target=self._run, name="event-output", daemon=True)

    # --- called by those who report events ---

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        self._stopping.set()
        self._queue.put(_STOP)
        self._thread.join(self._exit_seconds)
        self._given_up = self._queued - self._finished

    def listen(self, event: Event) -> None:
        """Queue an event. Never blocks and never raises.

        Like all methods, it is for one thread only: the event loop's.
        """
        if _LEVELS[self._level(event)] < self._least_level:
            return
        if self._closed or self._queue.qsize() >= self._limit:
            self._not_queued += 1
        else:
            self._queued += 1
            self._queue.put(event)

    def write(self, text: str) -> None:
        """Queue text, to be written as it is after the events before it.

        It is for the short summary at a run's end, so the queue's limit does not apply. The name
        ``write`` lets the output be used as a file (`faultinject.report.table.render`).
        """
        if not self._closed:
            self._queue.put(text)

    @property
    def dropped(self) -> int:
        """How many events were not written, for lack of room or because the stream failed."""
        return self._not_queued + self._not_written + self._given_up

    # --- in the thread ---

    def _run(self) -> None:
        sink = open_sink(self._stream)
        is_open = True
        while is_open:
            batch = self._next_batch()
            is_open = self._write_batch(sink, batch) and batch[-1] is not _STOP

    def _next_batch(self) -> list[_Item]:
        """Wait for something to write, and return all that is there. Nothing follows `_STOP`."""
        batch = [self._queue.get()]
        if self._queue.qsize() < BATCH_EVENTS:
            self._stopping.wait(GATHER_SECONDS)
        more = min(self._queue.qsize(), BATCH_EVENTS - 1)
        return batch + [self._queue.get() for _ in range(more)]

    def _write_batch(self, sink: Sink, batch: list[_Item]) -> bool:
        """Write the batch if the stream takes it; return False if it will take nothing more."""
        missing = self.dropped - self._reported
        events = sum(isinstance(item, Event) for item in batch)
        text = "".join(self._lines(batch, missing))
        try:
            sink(text)
        except (BrokenPipeError, ValueError):  # the reader is gone, or the stream is closed
            self._closed = True
            return False
        except OSError:  # a full disk, say: later events may find room again
            self._not_written += events
        else:
            self._reported += missing
        self._finished += events
        return True

    def _lines(self, batch: list[_Item], missing: int) -> Iterator[str]:
        for item in batch:
            if isinstance(item, Event):
                yield self._format(item)
            elif item is not _STOP:
                yield item
        if missing:
            yield self._format(EventsDropped(time=time.time(), count=missing))
