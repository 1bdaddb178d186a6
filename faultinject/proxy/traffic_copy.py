"""A copy of what passes in one exchange, as far as it tells how the client takes failures.

It is made while bytes pass; nothing waits for it. Bounded: a request's body of up to `BODY_BYTES`,
an answer of up to `ANSWER_BYTES`, and all copies of a run together by `CopyRoom`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from faultinject.http.coding import content_codings, decoded
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from faultinject.providers.framing import Tail
from faultinject.providers.shape import tail_of

BODY_BYTES = 8 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
ROOM_BYTES = 64 * 1024 * 1024
_PINGS = re.compile(rb"(?:[\r\n]+|:[^\n]*\n|event: ?ping\r?\ndata:[^\n]*\n)+")
"""Bytes of a stream of which its reader makes no event, or one that says nothing."""
_LONGEST_PING = 200


class Timer(Protocol):
    """Knows the time of the run."""

    @property
    def now_seconds(self) -> float:
        """The time since the start of the run."""


class CopyRoom:
    """The bytes that all copies of a run may take together."""

    __slots__ = ("left_bytes",)

    def __init__(self, left_bytes: int = ROOM_BYTES) -> None:
        self.left_bytes = left_bytes


class TrafficCopy:
    """What has passed so far. Times are seconds of the run."""

    # What most copies begin with stands at the class: one is made for each request.

    body: bytes | bytearray | None = b""
    """The request's body so far; None if it is longer than `BODY_BYTES`, or had no room."""
    body_ended = False
    head: ResponseHead | None = None
    """The head of the answer that the client was sent."""
    head_seconds: float | None = None
    """When it had been sent."""
    answer: bytes | bytearray | None = b""
    """The answer so far; None if it is longer than `ANSWER_BYTES`, or had no room."""
    answer_ended = False
    held_bytes = 0
    """How much of the room it takes."""
    _tail: Tail | None = None
    _has_looked = True
    """Whether it is known if the answer is a stream."""

    def __init__(self, timer: Timer, began_seconds: float, room: CopyRoom) -> None:
        self._timer = timer
        self._room = room
        self.began_seconds = began_seconds
        self.spoke_seconds = began_seconds
        """When the client was sent the last thing that is no ping."""

    def received(self, parts: Sequence[Part]) -> None:
        """Take parts of the request."""
        for part in parts:
            if isinstance(part, bytes):
                if self.body is not None:
                    self.body = self._with(self.body, part, BODY_BYTES)
            else:
                self.body_ended = True

    def sent(self, parts: Sequence[Part]) -> None:
        """Take parts of the answer, which have been sent."""
        now_seconds, ends = self._timer.now_seconds, isinstance(parts[-1], End)
        for part in parts:
            if isinstance(part, bytes):
                if self.answer is not None:
                    self.answer = self._with(self.answer, part, ANSWER_BYTES)
                if self._tail is None or self._has_said(self._tail, part):
                    self.spoke_seconds = now_seconds
            elif isinstance(part, ResponseHead) and (part.status >= 200 or part.status == 101):
                self.head = part
                self.head_seconds = self.spoke_seconds = now_seconds
                # What is sent at once, as most errors are, is looked at later, if at all.
                self._has_looked = not ends
                self._tail = None if ends else tail_of(part)
        self.answer_ended = ends
        if self.answer is None and not self._has_looked:  # it is too late then
            self._look_at_end(parts)

    def _has_said(self, tail: Tail, part: bytes) -> bool:
        """Have the tail see a part; return whether it is more than pings."""
        tail.observe(part)
        return len(part) > _LONGEST_PING or not _PINGS.fullmatch(part)

    def _look_at_end(self, parts: Sequence[Part]) -> None:
        self._has_looked = True
        self._tail = None if self.head is None else tail_of(self.head)
        if self._tail is not None:
            for part in parts:
                self._tail.observe(part if isinstance(part, bytes) else b"")

    def _with(
        self, kept: bytes | bytearray, part: bytes, most_bytes: int
    ) -> bytes | bytearray | None:
        """Return what was kept and the next part in one piece: a peer may send millions of parts.

        Most send one, which is not copied. None if that is too long, or has no room.
        """
        size, room = len(part), self._room
        if size > room.left_bytes or len(kept) + size > most_bytes:
            self._give_back(len(kept))
            return None
        room.left_bytes -= size
        self.held_bytes += size
        if not kept:
            return part
        grown = kept if isinstance(kept, bytearray) else bytearray(kept)
        grown += part
        return grown

    def _give_back(self, size: int) -> None:
        self._room.left_bytes += size
        self.held_bytes -= size

    def close(self) -> None:
        """Give back the room that it takes: it is not asked any more."""
        self._give_back(self.held_bytes)

    @property
    def tail(self) -> Tail | None:
        """The end of the answer so far, if it is a stream of a known form."""
        if self.answer and not self._has_looked:
            self._look_at_end([bytes(self.answer)])
        return self._tail

    @property
    def whole_body(self) -> bytes | None:
        """The request's body; None if it did not end, was too long, or had no room."""
        return bytes(self.body) if self.body_ended and self.body is not None else None

    @property
    def whole_answer(self) -> bytes | None:
        """The answer's body; None if it did not end, was too long, or had no room."""
        return self.answer_so_far if self.answer_ended else None

    @property
    def answer_so_far(self) -> bytes | None:
        """What came of the answer's body; None if that was too long, or had no room."""
        return None if self.answer is None else bytes(self.answer)


def uncoded(head: RequestHead | ResponseHead, body: bytes | None, most_bytes: int) -> bytes | None:
    """Return a body without its codings; None if it has some that cannot be undone."""
    if not body or not head.has_header(b"content-encoding"):
        return body
    try:
        return decoded(body, content_codings(head.headers), most_bytes)
    except ValueError:
        return None
