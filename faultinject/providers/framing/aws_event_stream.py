"""AWS' event stream (``application/vnd.amazon.eventstream``): frames with headers and checksums.

A frame is its total length, the length of its headers, and the CRC-32 of these eight bytes, each a
32-bit number; then headers and payload; then the CRC-32 of all before it. All numbers are
big-endian. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes
it, and botocore's ``eventstream.py`` reads it. The codecs that others keep give values and not the
bytes, and cannot write a frame that is wrong on purpose.
"""

from __future__ import annotations

import struct
from binascii import crc32

from faultinject.providers.framing.decoder import KEPT_BYTES, BufferedDecoder, Framing, StreamEvent

HEADER_BYTES = 128 * 1024
"""The longest headers of a frame that clients take."""
PAYLOAD_BYTES = 24 * 1024 * 1024
"""The longest payload of a frame that clients take."""
PRELUDE_BYTES = 12
CHECKSUM_BYTES = 4
MOST_BYTES = PRELUDE_BYTES + HEADER_BYTES + PAYLOAD_BYTES + CHECKSUM_BYTES

_LENGTHS = struct.Struct(">II")
_NUMBER = struct.Struct(">I")
_TEXT = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""How many bytes a header's value has, by its type: true, false, numbers, a time, a UUID. Of bytes
(type 6) and texts (type 7) the first two bytes tell."""

HeaderTexts = tuple[tuple[str, str], ...]
"""Names and texts of a frame's headers, in order."""


def encode(headers: HeaderTexts, payload: bytes) -> bytes:
    """Return a frame. ValueError if a name (255 bytes) or a text (65,535 bytes) is too long."""
    written = b"".join([_header(name.encode(), text.encode()) for name, text in headers])
    total = PRELUDE_BYTES + len(written) + len(payload) + CHECKSUM_BYTES
    return sealed(prelude(total, len(written)) + written + payload + bytes(CHECKSUM_BYTES))


def prelude(total_bytes: int, header_bytes: int) -> bytes:
    """Return the beginning of a frame: how long it and its headers are, with their checksum."""
    lengths = _LENGTHS.pack(total_bytes, header_bytes)
    return lengths + _NUMBER.pack(crc32(lengths))


def _header(name: bytes, text: bytes) -> bytes:
    if len(name) > 0xFF or len(text) > 0xFFFF:
        raise ValueError(f"the header {name[:40]!r} of an event is too long")
    return bytes((len(name),)) + name + bytes((_TEXT,)) + len(text).to_bytes(2, "big") + text


def sealed(frame: bytes) -> bytes:
    """Return a frame with the checksum that belongs to what is in it."""
    body = frame[:-CHECKSUM_BYTES]
    return body + _NUMBER.pack(crc32(body))


def with_wrong_checksum(frame: bytes) -> bytes:
    """Return a frame whose last checksum is wrong by a bit."""
    return frame[:-1] + bytes((frame[-1] ^ 1,))


def payload_span(frame: bytes) -> tuple[int, int]:
    """Return where the payload of a whole frame begins and ends."""
    header_bytes = _NUMBER.unpack_from(frame, 4)[0]
    return PRELUDE_BYTES + header_bytes, len(frame) - CHECKSUM_BYTES


def header_texts(headers: bytes) -> dict[str, str] | None:
    """Return a frame's headers that are texts, by name; None if the headers cannot be read."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(headers):
            name_end = at + 1 + headers[at]
            name, kind = headers[at + 1 : name_end], headers[name_end]
            at = name_end + 1
            if kind in _SIZES:
                at += _SIZES[kind]
                continue
            if kind not in (_TEXT - 1, _TEXT):
                return None
            start, at = at + 2, at + 2 + int.from_bytes(headers[at : at + 2], "big")
            if kind == _TEXT:
                found[name.decode("utf-8", "replace")] = headers[start:at].decode(
                    "utf-8", "replace"
                )
    except IndexError:
        return None
    return found if at == len(headers) else None


def frame_bytes(begin: bytes) -> int | None:
    """Return how long a frame is that begins so; None if no frame begins so."""
    total, header_bytes = _LENGTHS.unpack_from(begin)
    right = _NUMBER.unpack_from(begin, 8)[0] == crc32(begin[:8])
    room = total - PRELUDE_BYTES - CHECKSUM_BYTES
    possible = header_bytes <= min(room, HEADER_BYTES) and total <= MOST_BYTES
    return total if right and possible else None


class AwsEventDecoder(BufferedDecoder):
    """A `Decoder` of frames.

    A frame's name is its event or exception type, or ``error``; its data is the payload. One with
    a wrong checksum at its end, or with headers that cannot be read, is no event.
    """

    def __init__(self) -> None:
        super().__init__(MOST_BYTES)

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes; return the frames that they complete.

        If what comes begins no frame, it and all that follows is handed on as it comes, as pieces
        that are no events: where the next frame begins cannot be known.
        """
        self._buffer += data
        buffer, start, pieces = self._buffer, 0, list[StreamEvent]()
        while not self._gave_up and len(buffer) - start >= PRELUDE_BYTES:
            total = frame_bytes(bytes(buffer[start : start + PRELUDE_BYTES]))
            if total is None:
                self._gave_up = True
            elif len(buffer) - start < total:
                break
            else:
                pieces.append(_event(bytes(buffer[start : start + total])))
                start += total
        del buffer[:start]
        return pieces + self.end() if self._gave_up else pieces

    def end(self) -> list[StreamEvent]:
        """Take the stream's end; what is left is half a frame, which no reader can use."""
        return self._take_rest()


def _event(frame: bytes) -> StreamEvent:
    start, end = payload_span(frame)
    headers = header_texts(frame[PRELUDE_BYTES:start])
    if headers is None or frame[end:] != _NUMBER.pack(crc32(frame[:end])):
        return StreamEvent(frame, is_event=False)
    return StreamEvent(frame, _name(headers), frame[start:end])


def _name(headers: dict[str, str]) -> str | None:
    if headers.get(":message-type") == "error":
        return "error"
    return headers.get(":exception-type") or headers.get(":event-type")


class AwsEventTail:
    """A `Tail`: the last frame."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._left: int | None = 0
        """How many bytes of the frame are to come; None if no frame can be found any more."""

    def observe(self, data: bytes) -> None:
        """Take note of the next bytes of the stream, cut anywhere."""
        while data and self._left is not None:
            if self._left:
                taken, data = data[: self._left], data[self._left :]
                self._left -= len(taken)
                self._frame += taken[: KEPT_BYTES - len(self._frame)]
            else:
                data = self._begin(data)

    def _begin(self, data: bytes) -> bytes:
        """Take the first bytes of a frame, or what is missing of them; return the rest."""
        if len(self._frame) >= PRELUDE_BYTES:
            self._frame.clear()
        missing = PRELUDE_BYTES - len(self._frame)
        self._frame += data[:missing]
        if len(self._frame) == PRELUDE_BYTES:
            total = frame_bytes(bytes(self._frame))
            self._left = None if total is None else total - PRELUDE_BYTES
        return data[missing:]

    @property
    def last(self) -> StreamEvent | None:
        """The last event; None if it has not ended, if none came, or if it is not kept whole."""
        if self._left != 0 or len(self._frame) < PRELUDE_BYTES:
            return None
        whole = frame_bytes(bytes(self._frame[:PRELUDE_BYTES])) == len(self._frame)
        return _event(bytes(self._frame)) if whole else None


AWS_EVENT_STREAM = Framing(
    name="aws-event-stream",
    content_types=frozenset({"application/vnd.amazon.eventstream"}),
    decoder=AwsEventDecoder,
    data_spans=lambda frame: [payload_span(frame)],
    tail=AwsEventTail,
    sealed=sealed,
    with_wrong_checksum=with_wrong_checksum,
)
"""A frame an event."""
