"""A copy of what passes in one exchange, as far as it tells how the client takes failures.

It is made while bytes pass; nothing waits for it. Bounded: a request's body of up to `BODY_BYTES`,
an answer of up to `ANSWER_BYTES`, and all copies of a run together by `CopyRoom`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from faultinject.http.coding import content_codings, decoded
from faultinject.http.message import End, Part, RequestHead, ResponseHead
from faultinject.providers.framing import Tail
from faultinject.providers.shape import tail_of

BODY_BYTES = 8 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
ROOM_BYTES = 64 * 1024 * 1024
_PINGS = re.compile(rb"(?:[\r\n]|:[^\n]*\n|event: ?ping\r?\ndata:[^\n]*\n)+")
"""Bytes of a stream of which its reader makes no event, or one that says nothing. Each alternative
begins with another byte: were line ends one of several, to try all ways would take minutes."""
_LONGEST_PING = 200


class CopyRoom:
    """The bytes that all copies of a run may take together, or all requests that are delayed."""

    __slots__ = ("left_bytes",)

    def __init__(self, left_bytes: int = ROOM_BYTES) -> None:
        self.left_bytes = left_bytes


class CopiedRun(Protocol):
    """The run of which something is copied.

    Its time is taken from its clock, as `Runtime.now_seconds` does it: that is asked twice for each
    request, and would be a call more each time.
    """

    clock: Callable[[], float]
    started_at: float
    """What the clock said as the run began."""
    copy_room: CopyRoom


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
    _answer: bytes | bytearray | None = b""
    """The answer so far; None if it is longer than `ANSWER_BYTES`, or had no room."""
    answer_ended = False
    _tail: Tail | None = None
    _at_once: Sequence[Part] = ()
    """An answer that was sent at once, as most are: it is looked at later, if at all."""
    _held_bytes = 0
    """How much of the room it takes, as far as it was looked at."""
    heard_seconds = 0.0
    """When the client sent the last of its request so far, behind the head; 0 if nothing yet."""
    spoke_seconds = 0.0
    """When the client was sent the last thing that is no ping; 0 if nothing yet."""

    def __init__(self, run: CopiedRun, began_seconds: float) -> None:
        self._run = run
        self.began_seconds = began_seconds
        """When the request began."""

    def received(self, parts: Sequence[Part]) -> None:
        """Take parts of the request."""
        run = self._run
        self.heard_seconds = run.clock() - run.started_at
        for part in parts:
            if not isinstance(part, bytes):
                self.body_ended = True
            elif self.body is not None:
                self.body = self._with(self.body, part, BODY_BYTES)

    def sent(self, parts: Sequence[Part]) -> None:
        """Take parts of the answer, which have been sent."""
        run, head = self._run, parts[0]
        now_seconds = run.clock() - run.started_at
        self.answer_ended = isinstance(parts[-1], End)
        if self.answer_ended and isinstance(head, ResponseHead) and head.status >= 200:
            self.head, self._at_once = head, parts
            self.head_seconds = self.spoke_seconds = now_seconds
        else:
            self._take(parts, now_seconds)

    def _take(self, parts: Sequence[Part], now_seconds: float) -> None:
        for part in parts:
            if isinstance(part, bytes):
                if self._answer is not None:
                    self._answer = self._with(self._answer, part, ANSWER_BYTES)
                if self._tail is None or self._has_said(self._tail, part):
                    self.spoke_seconds = now_seconds
            elif isinstance(part, ResponseHead) and (part.status >= 200 or part.status == 101):
                self.head = part
                self.head_seconds = self.spoke_seconds = now_seconds
                self._tail = None if part.status >= 400 else tail_of(part)

    def _look(self) -> None:
        """Take what was sent at once."""
        if self._at_once:
            parts, self._at_once = self._at_once, ()
            self._take(parts, self.spoke_seconds)

    def _has_said(self, tail: Tail, part: bytes) -> bool:
        """Have the tail see a part; return whether it is more than pings."""
        tail.observe(part)
        return len(part) > _LONGEST_PING or not _PINGS.fullmatch(part)

    def _with(
        self, kept: bytes | bytearray, part: bytes, most_bytes: int
    ) -> bytes | bytearray | None:
        """Return what was kept and the next part in one piece: a peer may send millions of parts.

        Most send one, which is not copied. None if that is too long, or has no room.
        """
        size, room = len(part), self._run.copy_room
        if size > room.left_bytes or len(kept) + size > most_bytes:
            self._give_back(len(kept))
            return None
        room.left_bytes -= size
        self._held_bytes += size
        if not kept:
            return part
        grown = kept if isinstance(kept, bytearray) else bytearray(kept)
        grown += part
        return grown

    def _give_back(self, size: int) -> None:
        self._run.copy_room.left_bytes += size
        self._held_bytes -= size

    def close(self) -> None:
        """Forget what passed: it is not asked any more."""
        self._give_back(self._held_bytes)
        self.body, self._answer, self._at_once = None, None, ()
        self.head = self._tail = None

    @property
    def held_bytes(self) -> int:
        """How much of the room it takes."""
        self._look()
        return self._held_bytes

    @property
    def tail(self) -> Tail | None:
        """The end of the answer so far, if it is a stream of a known form."""
        self._look()
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
        self._look()
        return None if self._answer is None else bytes(self._answer)


def uncoded(head: RequestHead | ResponseHead, body: bytes | None, most_bytes: int) -> bytes | None:
    """Return a body without its codings; None if it has some that cannot be undone."""
    if not body or not head.has_header(b"content-encoding"):
        return body
    try:
        return decoded(body, content_codings(head.headers), most_bytes)
    except ValueError:
        return None
