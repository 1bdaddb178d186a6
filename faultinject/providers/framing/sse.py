"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Chunks may end anywhere, even within a character.
"""

from __future__ import annotations

import re

from attrs import evolve

from faultinject.providers.framing.decoder import (
    EVENT_BYTES,
    KEPT_BYTES,
    BufferedDecoder,
    Framing,
    StreamEvent,
)

_LINE_END = re.compile(rb"\r\n|\n|\r")
_CR = 0x0D
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseDecoder(BufferedDecoder):
    """A `Decoder` of server-sent events.

    A block of lines up to its blank line is one piece. It is an event if it has a ``data`` or an
    ``event`` field: browsers ask for the former, SDKs are content with the latter. Comments
    before an event's first field belong to that event's block, as the specification has it.

    A lone CR at the end of what has come is held until the next byte, for it may be half of a
    CRLF; only in a block whose lines end in a lone CR it counts at once. How the input is cut
    makes no difference to the pieces, except to those after the decoder gave up.
    """

    def __init__(self, event_bytes: int = EVENT_BYTES) -> None:
        super().__init__(event_bytes)
        self._first = True
        self._begin_block()

    def _begin_block(self) -> None:
        self._line_start = 0
        self._searched = 0
        self._lf = self._cr = 0  # nothing before ends a line so
        self._bare_cr = False  # the line before this one ended in a CR without LF

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes; return the pieces that they complete.

        If an event is larger than the limit, its bytes and all that follow are handed on as they
        come, as pieces that are no events.
        """
        self._buffer += data
        pieces = []
        while not self._gave_up and (end := self._block_end()) is not None:
            if end > self._most_bytes:
                self._gave_up = True
            else:
                pieces.append(self._take(end))
        if self._gave_up or len(self._buffer) > self._most_bytes:
            self._gave_up = True
            pieces.extend(self._take_rest())
        return pieces

    def end(self) -> list[StreamEvent]:
        """Take the stream's end; return the block that has no blank line behind it.

        The specification has readers forget it. Many take it for an event, and so do we.
        """
        if not self._buffer:
            return []
        last = self._take(len(self._buffer))
        return [evolve(last, missing_end=b"\n" if last.raw.endswith(b"\n") else b"\n\n")]

    def _block_end(self) -> int | None:
        """Return the length of the first block, or None if its end has not come."""
        while (found := self._line_end()) is not None:
            start, end = found
            blank = start == self._line_start
            begins_with_cr = self._buffer[start] == _CR
            bare_cr = begins_with_cr and end == start + 1
            if blank and self._bare_cr and begins_with_cr:
                return start + 1
            if bare_cr and end == len(self._buffer):
                self._searched = start
                return None
            if blank:
                return end
            self._bare_cr = bare_cr
            self._line_start = self._searched = end
        self._searched = len(self._buffer)
        return None

    def _line_end(self) -> tuple[int, int] | None:
        """Return where the next end of a line begins and ends."""
        lf = self._lf = self._next(b"\n", self._lf)
        cr = self._cr = self._next(b"\r", self._cr)
        end = len(self._buffer)
        if lf == cr == end:
            return None
        if lf < cr:
            return lf, lf + 1
        return cr, cr + 2 if lf == cr + 1 < end else cr + 1

    def _next(self, byte: bytes, known: int) -> int:
        """Return the place of the next such byte, or the buffer's length if there is none.

        There is none before ``known``. So each byte is searched once, and not again for each line
        that ends in another way.
        """
        start = max(known, self._searched)
        # `find` is some hundred times as fast as a regular expression in long lines.
        at = self._buffer.find(byte, start)
        return len(self._buffer) if at < 0 else at

    def _take(self, end: int) -> StreamEvent:
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        lf, cr = self._lf - end, self._cr - end
        self._begin_block()
        self._lf, self._cr = max(0, lf), max(0, cr)
        text = raw.removeprefix(_BYTE_ORDER_MARK) if self._first else raw
        self._first = False
        return _piece(raw, text)


def _piece(raw: bytes, text: bytes) -> StreamEvent:
    name: bytes | None = None
    data: list[bytes] = []
    for line in text.splitlines():  # of bytes: at LF, CR and CRLF only
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if name is None and not data:
        return StreamEvent(raw, is_event=False)
    decoded = None if name is None else name.decode("utf-8", "replace")
    return StreamEvent(raw, decoded, b"\n".join(data))


def encode(name: str | None, data: bytes, separator: bytes = b"\n\n") -> bytes:
    """Return an event as bytes; each line of its data has a line of its own.

    ``separator`` is what ends the event: a line end, twice.
    """
    end = separator[: len(separator) // 2]
    lines = [] if name is None else [b"event: " + name.encode()]
    lines += [b"data: " + line for line in _LINE_END.split(data)]
    return end.join(lines) + separator


def comment(text: str) -> bytes:
    """Return a comment, which keeps a connection busy and says nothing to its reader."""
    return b": " + text.encode() + b"\n\n"


_MOST_LINE_ENDS = 64
"""So many bytes of line ends are kept, at most: each look at what follows takes as long."""


class SseTail:
    """A `Tail`: the last event, whose lines end in LF or CRLF."""

    def __init__(self) -> None:
        self._block = b""
        self._ended = True
        self._line_ends = b""  # what may become the blank line that ends the event

    def observe(self, data: bytes) -> None:
        """Take note of the next bytes of the stream, cut anywhere."""
        text = (self._line_ends + data).replace(b"\r\n", b"\n")
        if self._ended:
            text = text.lstrip(b"\n")
            if not text:
                return  # more blank lines
        ended = text.endswith(b"\n\n")
        end = len(text.rstrip(b"\r\n"))
        boundary = text.rfind(b"\n\n", 0, end)
        if boundary >= 0 or self._ended:
            start = boundary + 2 if boundary >= 0 else 0
            self._block = text[start : min(end, start + KEPT_BYTES)]
        else:
            self._block += text[: min(end, KEPT_BYTES - len(self._block))]
        self._line_ends = b"" if ended else text[max(end, len(text) - _MOST_LINE_ENDS) :]
        self._ended = ended

    @property
    def last(self) -> StreamEvent | None:
        """The last event, as much of it as is kept; None if it has not ended, or none came."""
        if not (self._ended and self._block):
            return None
        piece = _piece(self._block, self._block)
        return piece if piece.is_event else None


_DATA = re.compile(rb"(?:\A|(?<=[\r\n]))data:([^\r\n]*)")


def _spans(block: bytes) -> list[tuple[int, int]]:
    return [found.span(1) for found in _DATA.finditer(block)]


SSE = Framing(
    name="sse",
    content_types=frozenset({"text/event-stream"}),
    decoder=SseDecoder,
    data_spans=_spans,
    tail=SseTail,
)
"""A block of lines an event."""
