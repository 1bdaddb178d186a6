"""A copy of what passes in one exchange, as far as it tells how the client takes failures.

It is made while bytes pass; nothing waits for it. Bounded: a request's body of up to `BODY_BYTES`,
an answer that is no stream of up to `ANSWER_BYTES`, of a stream how its last event begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from attrs import define, field

from faultinject.http.coding import content_codings, decoded
from faultinject.http.message import Headers, Part, ResponseHead
from faultinject.providers.framing import Tail
from faultinject.providers.shape import tail_of

BODY_BYTES = 8 * 1024 * 1024
ANSWER_BYTES = 1024 * 1024
_PINGS = re.compile(rb"(?:[\r\n]+|:[^\n]*\n|event: ?ping\r?\ndata:[^\n]*\n)+")
"""Bytes of a stream of which its reader makes no event, or one that says nothing."""
_LONGEST_PING = 200


@define
class Kept:
    """The pieces of a body, as long as they are not too many bytes."""

    most_bytes: int
    size: int = 0
    ended: bool = False
    _pieces: list[bytes] = field(factory=list)

    def add(self, part: Part) -> None:
        """Take the next part."""
        if not isinstance(part, bytes):
            self.ended = True
            return
        self.size += len(part)
        if self.size <= self.most_bytes:
            self._pieces.append(part)
        else:
            self._pieces.clear()

    @property
    def whole(self) -> bytes | None:
        """The body; None if it did not end, or was too long."""
        return b"".join(self._pieces) if self.ended and self.size <= self.most_bytes else None


@define(eq=False)
class TrafficCopy:
    """What has passed so far. Times are seconds of the run."""

    now: Callable[[], float]
    began_seconds: float
    body: Kept = field(factory=lambda: Kept(BODY_BYTES))
    answer: Kept = field(factory=lambda: Kept(ANSWER_BYTES))
    head: ResponseHead | None = None
    """The head of the answer that the client was sent."""
    head_seconds: float | None = None
    """When it had been sent."""
    spoke_seconds: float = 0.0
    """When the client was sent the last thing that is no ping."""
    tail: Tail | None = None
    """The end of the answer so far, if it is a stream of a known form."""

    def __attrs_post_init__(self) -> None:
        self.spoke_seconds = self.began_seconds

    def received(self, parts: Iterable[Part]) -> None:
        """Take parts of the request."""
        for part in parts:
            self.body.add(part)

    def sent(self, parts: Iterable[Part]) -> None:
        """Take parts of the answer, which have been sent."""
        for part in parts:
            if isinstance(part, ResponseHead):
                self._head(part)
            elif self.tail is None:
                self.answer.add(part)
                self.spoke_seconds = self.now()
            elif isinstance(part, bytes):
                self.tail.observe(part)
                if len(part) > _LONGEST_PING or not _PINGS.fullmatch(part):
                    self.spoke_seconds = self.now()

    def _head(self, head: ResponseHead) -> None:
        if head.interim and head.status != 101:
            return
        self.head, self.head_seconds = head, self.now()
        self.spoke_seconds = self.head_seconds
        self.tail = tail_of(head)


def uncoded(headers: Headers, body: bytes | None, most_bytes: int) -> bytes | None:
    """Return a body without its codings; None if it has some that cannot be undone."""
    if not body or not (codings := content_codings(headers)):
        return body
    try:
        return decoded(body, codings, most_bytes)
    except ValueError:
        return None
