"""A copy of what passes in one exchange, as far as it tells how the client takes failures.

It is made while bytes pass; nothing waits for it. Bounded: a request's body of up to `BODY_BYTES`,
an answer of up to `ANSWER_BYTES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from faultinject.http.coding import content_codings, decoded
from faultinject.http.message import Part, RequestHead, ResponseHead
from faultinject.providers.framing import Tail
from faultinject.providers.shape import tail_of

BODY_BYTES = 8 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
_PINGS = re.compile(rb"(?:[\r\n]+|:[^\n]*\n|event: ?ping\r?\ndata:[^\n]*\n)+")
"""Bytes of a stream of which its reader makes no event, or one that says nothing."""
_LONGEST_PING = 200


class Timer(Protocol):
    """Knows the time of the run."""

    @property
    def now_seconds(self) -> float:
        """The time since the start of the run."""


class TrafficCopy:
    """What has passed so far. Times are seconds of the run."""

    __slots__ = (
        "answer", "answer_bytes", "answer_ended", "began_seconds", "body", "body_bytes",
        "body_ended", "head", "head_seconds", "spoke_seconds", "tail", "timer",
    )  # fmt: skip

    def __init__(self, timer: Timer, began_seconds: float) -> None:
        self.timer = timer
        self.began_seconds = began_seconds
        self.body: bytes | bytearray = b""
        """The request's body so far; of a longer one than `BODY_BYTES` nothing."""
        self.body_bytes = 0
        self.body_ended = False
        self.head: ResponseHead | None = None
        """The head of the answer that the client was sent."""
        self.head_seconds: float | None = None
        """When it had been sent."""
        self.answer: bytes | bytearray = b""
        """The answer so far; of a longer one than `ANSWER_BYTES` nothing."""
        self.answer_bytes = 0
        self.answer_ended = False
        self.spoke_seconds = began_seconds
        """When the client was sent the last thing that is no ping."""
        self.tail: Tail | None = None
        """The end of the answer so far, if it is a stream of a known form."""

    def received(self, parts: Iterable[Part]) -> None:
        """Take parts of the request."""
        for part in parts:
            if not isinstance(part, bytes):
                self.body_ended = True
            else:
                self.body_bytes += len(part)
                self.body = _with(self.body, part) if self.body_bytes <= BODY_BYTES else b""

    def sent(self, parts: Iterable[Part]) -> None:
        """Take parts of the answer, which have been sent."""
        for part in parts:
            if isinstance(part, bytes):
                self._sent_bytes(part)
            elif not isinstance(part, ResponseHead):
                self.answer_ended = True
            elif not part.interim or part.status == 101:
                self.head, self.head_seconds = part, self.timer.now_seconds
                self.spoke_seconds = self.head_seconds
                self.tail = tail_of(part)

    def _sent_bytes(self, part: bytes) -> None:
        self.answer_bytes += len(part)
        self.answer = _with(self.answer, part) if self.answer_bytes <= ANSWER_BYTES else b""
        if self.tail is None:
            self.spoke_seconds = self.timer.now_seconds
            return
        self.tail.observe(part)
        if len(part) > _LONGEST_PING or not _PINGS.fullmatch(part):
            self.spoke_seconds = self.timer.now_seconds

    @property
    def whole_body(self) -> bytes | None:
        """The request's body; None if it did not end, or was too long."""
        if not self.body_ended or self.body_bytes > BODY_BYTES:
            return None
        return bytes(self.body)

    @property
    def whole_answer(self) -> bytes | None:
        """The answer's body; None if it did not end, or was too long."""
        return self.answer_so_far if self.answer_ended else None

    @property
    def answer_so_far(self) -> bytes | None:
        """What came of the answer's body; None if that was too long."""
        return None if self.answer_bytes > ANSWER_BYTES else bytes(self.answer)


def _with(kept: bytes | bytearray, part: bytes) -> bytes | bytearray:
    """Return what was kept and the next part in one piece: a peer may send millions of parts.

    Most send one, which is not copied.
    """
    if not kept:
        return part
    grown = kept if isinstance(kept, bytearray) else bytearray(kept)
    grown += part
    return grown


def uncoded(head: RequestHead | ResponseHead, body: bytes | None, most_bytes: int) -> bytes | None:
    """Return a body without its codings; None if it has some that cannot be undone."""
    if not body or not head.has_header(b"content-encoding"):
        return body
    try:
        return decoded(body, content_codings(head.headers), most_bytes)
    except ValueError:
        return None
