"""The last event of a stream of server-sent events, found without decoding those before it.

For streams that pass unharmed, where decoding all events would cost more than passing them on.
"""

from __future__ import annotations

_KEPT_BYTES = 1024
"""So much of an event is kept: its name, and the beginning of its data."""


class StreamTail:
    """Remembers how the last event begins, and whether it has ended."""

    def __init__(self) -> None:
        self._block = b""
        self._ended = True
        self._line_ends = b""  # what may become the blank line that ends the event

    def see(self, data: bytes) -> None:
        """Take note of the next bytes of the stream, cut anywhere; lines end in LF or CRLF."""
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
            self._block = text[start : min(end, start + _KEPT_BYTES)]
        else:
            self._block += text[: min(end, _KEPT_BYTES - len(self._block))]
        self._line_ends = b"" if ended else text[end:]
        self._ended = ended

    @property
    def last(self) -> bytes | None:
        """How the last event begins, with a blank line behind it; None if it has not ended."""
        return self._block + b"\n\n" if self._ended else None
