r"""A stream that is one JSON array, whose elements come one by one.

Gemini answers ``:streamGenerateContent`` so unless events are asked for (``alt=sse``):
``[{…}``, then ``,\r\n{…}`` again and again, and ``]`` at the end.
"""

from __future__ import annotations

import re

from faultinject.providers.framing.decoder import EVENT_BYTES, BufferedDecoder, Framing, StreamEvent

_OUTSIDE = re.compile(rb'["{}\[\]]')
_WITHIN_TEXT = re.compile(rb'["\\]')
_AROUND = b" \t\r\n,"


class JsonArrayDecoder(BufferedDecoder):
    """A `Decoder` of the objects in an array. What stands before an object belongs to it.

    It may begin between two elements of an array. Only brackets and texts are looked at: what else
    is between them need not be JSON. The closing bracket, and whatever follows it, is no event.
    """

    def __init__(self, event_bytes: int = EVENT_BYTES) -> None:
        super().__init__(event_bytes)
        self._searched = 0
        self._depth: int | None = None
        """How many brackets are open around an element's own: 0 within the array."""
        self._in_text = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes; return the elements that they complete.

        If an element is longer than the limit, its bytes and all that follow are handed on as
        they come, as pieces that are no events.
        """
        self._buffer += data
        pieces: list[StreamEvent] = []
        start = 0
        while not self._gave_up and (end := self._element_end()) is not None:
            self._gave_up = end - start > self._most_bytes
            if not self._gave_up:
                pieces.append(_element(bytes(self._buffer[start:end])))
                start = end
        del self._buffer[:start]
        self._searched -= start
        if self._gave_up or len(self._buffer) > self._most_bytes:
            self._gave_up = True
            pieces += self._take_rest()
        return pieces

    def end(self) -> list[StreamEvent]:
        """Take the stream's end; what is left is half an element, which no reader can use."""
        return self._take_rest()

    def _element_end(self) -> int | None:
        """Return where the next element, or the array, ends; None if that has not come."""
        buffer = self._buffer
        while True:
            look = _WITHIN_TEXT if self._in_text else _OUTSIDE
            found = look.search(buffer, self._searched)
            if found is None:
                self._searched = len(buffer)
                return None
            self._searched = found.end()
            match found[0]:
                case b"\\":
                    if found.end() == len(buffer):  # what it escapes has not come
                        self._searched = found.start()
                        return None
                    self._searched += 1
                case b'"':
                    self._in_text = not self._in_text
                case b"[" if self._depth is None:
                    self._depth = 0
                case b"{" | b"[":
                    self._depth = (self._depth or 0) + 1
                case _:
                    self._depth = (self._depth or 0) - 1
                    if self._depth <= 0:
                        return found.end()


def _element(raw: bytes) -> StreamEvent:
    data = raw.lstrip(_AROUND)
    if data.startswith(b"["):  # the array begins with it
        data = data[1:].lstrip(_AROUND)
    return StreamEvent(raw, None, data, is_event=data.startswith(b"{"))


def _spans(element: bytes) -> list[tuple[int, int]]:
    return [(len(element) - len(_element(element).data), len(element))]


JSON_ARRAY = Framing(
    name="json-array",
    content_types=frozenset({"application/json"}),
    decoder=JsonArrayDecoder,
    data_spans=_spans,
)
"""An object an element. Other answers have its media type too: it is for those that are known to be
streams."""
