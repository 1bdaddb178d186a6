"""Decides what h11 reads from a connection, and when: complete heads, chunk lines and trailers.

A proxy needs other limits on size and time than h11 has, and must not tolerate all that h11 does.
So the bytes of a message wait here until a head, a line or a section is complete. Then their size
is checked, what RFC 9112 tells a proxy to correct is corrected, and h11 checks the rest. This
module does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from attrs import evolve

from faultinject.http.message import Head, Headers, RequestHead, ResponseHead, SpacedValue

_END = re.compile(rb"\n\r?\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;[^\n]*)?\r\n")  # RFC 9112 section 7.1.1
_PIECES = 64
"""So many chunks are returned at once."""
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_SPACE_BEFORE_COLON = re.compile(rb"^(" + _NAME + rb")[ \t]++:", re.MULTILINE)

# RFC 9110 section 5.5: no control character is valid in a field, and these are harmful.
_HARMFUL = re.compile(rb"[\x00\x0b\x0c]|\r(?!\n)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")


class MessageError(Exception):
    """The peer broke the protocol. ``status`` is for the answer, if the peer is a client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Next(Enum):
    HEAD = auto()
    BODY = auto()  # up to a length, or to the connection's end: h11 counts
    LINE = auto()  # of a chunk
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    NOTHING = auto()  # the message is over, and what follows is another


def cut(buffer: bytearray, size: int) -> bytes:
    """Take so many bytes out of a buffer that has them."""
    if size == len(buffer):  # mostly: a piece of a body is copied once, not twice
        piece = bytes(buffer)
        buffer.clear()
    else:
        piece = bytes(buffer[:size])
        del buffer[:size]
    return piece


_OF_CHUNKS = (_Next.LINE, _Next.CHUNK, _Next.CHUNK_END)


class Incoming:
    """Bytes of a peer that h11 has not read yet."""

    def __init__(self, buffer: bytearray, head_bytes: int, *, of_requests: bool) -> None:
        """Start before a head; ``head_bytes`` limits a head, a line, and trailers."""
        self.buffer = buffer
        """The bytes that have arrived. The machine adds to it."""
        self._lines: list[bytes] = []  # the field lines that h11 was given last
        self._head_bytes = head_bytes
        self._of_requests = of_requests
        self._next = _Next.HEAD
        self._searched = 0  # the first bytes of the buffer, which have no end in them
        self._left = 0  # bytes of the chunk
        self._eof_passed = False
        self._failure: MessageError | None = None

    @property
    def within_line(self) -> bool:
        """Whether a part of a head, a chunk's line or the trailers has arrived, and waits here."""
        return bool(self.buffer) and self._next in (_Next.HEAD, _Next.LINE, _Next.TRAILERS)

    def begin(self, head: Head, *, bodyless: bool) -> Head:
        """Note the head that h11 has read; ``bodyless`` means that it answers HEAD.

        Returns the head as it was written.
        """
        head = evolve(head, headers=self.as_written(head.headers))
        if isinstance(head, RequestHead) or not head.interim:
            bodyless = bodyless or (isinstance(head, ResponseHead) and head.status in (204, 304))
            self._next = _Next.LINE if head.chunked and not bodyless else _Next.BODY
        return head

    def go_on(self) -> None:
        """Say that h11 was told of a head, whose body of a known length comes next."""
        self._next = _Next.BODY

    def end(self) -> None:
        """Note that the message is over. What follows waits."""
        self._next = _Next.NOTHING

    def feed(self, h11_receives: Callable[[bytes], None], *, at_eof: bool) -> bool:
        """Give h11 what it can read now; return False if there is nothing.

        With ``at_eof`` nothing more will arrive, and h11 is told that too. Raises `MessageError`.
        """
        if data := self._take():
            h11_receives(data)
            return True
        if not at_eof or self._eof_passed:
            return False
        if self._next in _OF_CHUNKS or self._next is _Next.TRAILERS:
            self.buffer.clear()  # h11 knows of no chunk: it misses the last
        elif self._next is not _Next.NOTHING and self.buffer:
            h11_receives(self._cut(len(self.buffer)))
        if self.buffer:  # there is a next request
            return False
        h11_receives(b"")
        self._eof_passed = True
        return True

    def _take(self) -> bytes:
        """Return what h11 can read now; nothing if more must arrive first."""
        if self._next is _Next.HEAD:
            return self._section()
        if self._next is _Next.BODY:
            return self._cut(len(self.buffer))
        if self._next is _Next.TRAILERS and (section := self._section()):
            self.end()
            return b"0\r\n" + section  # as if there had been no other chunk
        return b""

    def as_written(self, headers: Headers) -> Headers:
        """Return headers that h11 has just read with the blanks and case of their lines.

        h11 joins folded lines, and equal lengths. Then the lines do not match the headers one to
        one, and the headers stay as they are.
        """
        lines, self._lines = self._lines, []
        if len(headers) != len(lines):
            return headers
        return tuple(
            (name, _as_written(name, value, line))
            for (name, value), line in zip(headers, lines, strict=True)
        )

    def _cut(self, size: int) -> bytes:
        self._searched = 0
        return cut(self.buffer, size)

    def _check_size(self, size: int) -> None:
        if size > self._head_bytes:
            raise MessageError(f"the header fields are longer than {self._head_bytes} bytes", 431)

    # Heads and trailers

    def _section(self) -> bytes:
        """Return the lines up to an empty one, corrected."""
        if self._next is _Next.HEAD and self.buffer and self.buffer[0] <= 0x20:
            line = "request line" if self._of_requests else "status line"
            raise MessageError(f"the {line} is malformed")  # more bytes cannot make it valid
        size = self._section_size()
        self._check_size(size or len(self.buffer))
        return self._corrected(self._cut(size)) if size else b""

    def _section_size(self) -> int:
        """Return the section's length with the empty line; 0 if it is not complete."""
        if self.buffer[:1] == b"\n":
            return 1
        if self.buffer[:2] == b"\r\n":
            return 2
        if (match := _END.search(self.buffer, self._searched)) is None:
            self._searched = max(0, len(self.buffer) - 2)
            return 0
        return match.end()

    def _corrected(self, section: bytes) -> bytes:
        if (_CONTROL if self._of_requests else _HARMFUL).search(section):
            place = "head has" if self._next is _Next.HEAD else "trailers have"
            raise MessageError(f"the {place} a control character")
        if not self._of_requests and (b" :" in section or b"\t:" in section):
            section = _SPACE_BEFORE_COLON.sub(rb"\1:", section)  # RFC 9112 section 5.1
        lines = section.split(b"\n")[:-2]
        self._lines = lines[1:] if self._next is _Next.HEAD else lines
        return section

    # Chunks

    def chunks(self) -> list[bytes]:
        """Return what has come of the data of chunks; nothing if the body is not of chunks.

        What is good is returned before the error behind it is raised (`MessageError`).
        """
        if self._failure is not None:
            raise self._failure
        pieces: list[bytes] = []
        place = 0
        try:
            while self._next in _OF_CHUNKS and len(pieces) < _PIECES:
                before, place = place, self._chunk(place, pieces)
                if place == before:
                    break
        except MessageError as error:
            self._failure = error
            if not pieces:
                raise
        del self.buffer[:place]
        self._searched = max(0, self._searched - place)
        return pieces

    def _chunk(self, place: int, pieces: list[bytes]) -> int:
        """Read a part of a chunk at a place of the buffer; return the place behind it."""
        if self._next is _Next.LINE:
            return self._line(place)
        if self._next is _Next.CHUNK:
            piece = bytes(self.buffer[place : place + self._left])
            if piece:
                pieces.append(piece)
                self._left -= len(piece)
            if not self._left:
                self._next = _Next.CHUNK_END
            return place + len(piece)
        end = self.buffer[place : place + 2]
        if not b"\r\n".startswith(end):
            raise MessageError("a chunk is longer than it says")
        if len(end) < 2:
            return place
        self._next = _Next.LINE
        return place + 2

    def _line(self, place: int) -> int:
        """Read the line before a chunk."""
        end = self.buffer.find(b"\n", max(place, self._searched)) + 1
        self._check_size((end or len(self.buffer)) - place)
        if not end:
            self._searched = len(self.buffer)
            return place
        if (line := _CHUNK_LINE.fullmatch(self.buffer, place, end)) is None:
            raise MessageError("the line before a chunk is malformed")
        self._left = int(line[1], 16)
        self._next = _Next.CHUNK if self._left else _Next.TRAILERS
        return end


def _as_written(name: bytes, value: bytes, line: bytes) -> bytes:
    key, _, rest = line.removesuffix(b"\r").partition(b":")
    written = rest.strip(b" \t")
    if key != name or written.lower() != value.lower():
        return value
    return SpacedValue.of(written, rest)
