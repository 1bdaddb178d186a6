"""Newline-delimited JSON: one JSON value a line (https://github.com/ndjson/ndjson-spec).

Ollama writes its streams so, as ``application/x-ndjson``.
"""

from __future__ import annotations

from faultinject.providers.framing.decoder import (
    EVENT_BYTES,
    KEPT_BYTES,
    BufferedDecoder,
    Framing,
    StreamEvent,
)


class NdjsonDecoder(BufferedDecoder):
    """A `Decoder` of lines. A line that is not blank is an event; its end belongs to it."""

    def __init__(self, event_bytes: int = EVENT_BYTES) -> None:
        super().__init__(event_bytes)
        self._searched = 0

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes; return the lines that they complete.

        If a line is longer than the limit, its bytes and all that follow are handed on as they
        come, as pieces that are no events.
        """
        self._buffer += data
        pieces: list[StreamEvent] = []
        start = 0
        while not self._gave_up and (found := self._buffer.find(b"\n", self._searched)) >= 0:
            self._searched = found + 1
            self._gave_up = found + 1 - start > self._most_bytes
            if not self._gave_up:
                pieces.append(_line(bytes(self._buffer[start : found + 1])))
                start = found + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._gave_up or len(self._buffer) > self._most_bytes:
            self._gave_up = True
            pieces += self._take_rest()
        return pieces

    def end(self) -> list[StreamEvent]:
        """Take the stream's end; return the line that has no end, which readers take for one."""
        if not self._buffer:
            return []
        raw = bytes(self._buffer)
        self._buffer.clear()
        return [_line(raw)]


def _line(raw: bytes) -> StreamEvent:
    data = raw.strip(b" \t\r\n")
    missing_end = b"" if raw.endswith(b"\n") else b"\n"
    return StreamEvent(raw, None, data, is_event=bool(data), missing_end=missing_end)


def encode(data: bytes) -> bytes:
    """Return a JSON value, written without line ends, as one line."""
    return data + b"\n"


class NdjsonTail:
    """A `Tail`: the last line that is not blank."""

    def __init__(self) -> None:
        self._line = b""
        self._ended = True

    def observe(self, data: bytes) -> None:
        """Take note of the next bytes of the stream, cut anywhere."""
        text = data.rstrip(b" \t\r\n")
        if not text:
            self._ended = self._ended or b"\n" in data
            return
        boundary = text.rfind(b"\n")
        if boundary >= 0 or self._ended:
            self._line = text[boundary + 1 :][:KEPT_BYTES]
        else:
            self._line += text[: KEPT_BYTES - len(self._line)]
        self._ended = b"\n" in data[len(text) :]

    @property
    def last(self) -> StreamEvent | None:
        """The last event, as much of it as is kept; None if it has not ended, or none came."""
        return _line(self._line + b"\n") if self._ended and self._line else None


def _spans(line: bytes) -> list[tuple[int, int]]:
    return [(0, len(line.rstrip(b"\r\n")))]


NDJSON = Framing(
    name="ndjson",
    content_types=frozenset({
        "application/x-ndjson", "application/ndjson", "application/jsonl",
        "application/x-jsonlines", "application/stream+json",
    }),
    decoder=NdjsonDecoder,
    data_spans=_spans,
    tail=NdjsonTail,
)  # fmt: skip
"""A value a line."""
