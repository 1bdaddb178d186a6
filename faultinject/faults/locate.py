"""Finds a point in an answer's body while it passes, in pieces that may end anywhere.

A finder passes on at once what is before the point, in the pieces in which it came. It holds back
only what may turn out to be after the point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from attrs import define, field

from faultinject.faults.place import EventPoint
from faultinject.faults.transform import Found, Received
from faultinject.http.message import End
from faultinject.matchers import MISSING
from faultinject.providers.framing import Decoder, StreamEvent

Observer = Callable[[StreamEvent], None]
"""Called with each piece of the stream that is passed on."""


# Points in bytes


@define(eq=False, repr=False)
class BytesFinder:
    """Finds the place after a number of bytes. 0 is before the first byte, which must come."""

    _left: int
    wake_at: float = field(default=math.inf, init=False)

    def find(self, received: Received, now_seconds: float) -> Found:  # noqa: ARG002
        """Take what came; see `Finder`."""
        if not isinstance(received, bytes):
            return Found(b"")
        if len(received) < self._left:
            self._left -= len(received)
            return Found(received)
        return Found(received[: self._left], received[self._left :])

    def release(self) -> bytes:
        """Return nothing, because nothing is held back."""
        return b""


@define(eq=False, repr=False)
class TimeFinder:
    """Finds a time."""

    wake_at: float

    def find(self, received: Received, now_seconds: float) -> Found:
        """Take what came; see `Finder`."""
        data = received if isinstance(received, bytes) else b""
        if now_seconds < self.wake_at or isinstance(received, End):
            return Found(data)
        return Found(b"", data)

    def release(self) -> bytes:
        """Return nothing, because nothing is held back."""
        return b""


# Points in events


@define(eq=False, repr=False)
class EventFinder:
    """Finds the place before or after the n-th event that the point accepts."""

    _point: EventPoint
    _decoder: Decoder
    _observe: Observer
    wake_at: float = field(default=math.inf, init=False)
    _seen: int = field(default=0, init=False)
    """How many events were accepted."""
    _tail: _Tail = field(factory=lambda: _Tail(), init=False)

    def find(self, received: Received, now_seconds: float) -> Found:  # noqa: ARG002
        """Take what came; see `Finder`."""
        if isinstance(received, End):
            return self._find_at_end()
        if not isinstance(received, bytes):
            return Found(b"")
        pieces = self._decoder.feed(received)
        for place, piece in enumerate(pieces):
            hit = self._hits(piece)
            if hit and not self._point.after:
                return self._tail.cut(self._decoder, pieces, place)
            self._observe(piece)
            if hit:
                return self._tail.cut(self._decoder, pieces, place + 1)
        # The event that has begun may be the one before which the point is.
        holds = not self._point.after and self._seen == self._point.count - 1
        return Found(self._tail.pass_on(received, pieces, holds=holds))

    def _find_at_end(self) -> Found:
        held = self.release()
        for piece in self._decoder.end():  # one at most
            hit = self._hits(piece)
            if hit and not self._point.after:
                return Found(b"", held)
            self._observe(piece)
            if hit:
                return Found(held, b"", piece.missing_end)
        return Found(held)

    def release(self) -> bytes:
        """Return the part that has come of the event before which the point may be."""
        return self._tail.held(self._decoder)

    def _hits(self, piece: StreamEvent) -> bool:
        if not piece.is_event or not self._accepts(piece):
            return False
        self._seen += 1
        return self._seen == self._point.count

    def _accepts(self, piece: StreamEvent) -> bool:
        point = self._point
        name = piece.name
        if name is None and point.event is not None:
            name = piece.json.get("type") if isinstance(piece.json, dict) else None
        data = piece.json if point.where and piece.json is not None else MISSING
        return point.accepts(name, data)


@define(eq=False, repr=False)
class BoundaryFinder:
    """Finds the first place between events after a number of bytes and a time.

    It is for faults that send events, which must not be within another event.
    """

    _after_bytes: int
    wake_at: float
    """The time; infinity once it has come, because then the end of an event is waited for."""
    _decoder: Decoder
    _observe: Observer
    _after_seconds: float = field(init=False)
    _passed: int = field(default=0, init=False)
    """How many bytes of complete events were passed on."""
    _tail: _Tail = field(factory=lambda: _Tail(), init=False)

    def __attrs_post_init__(self) -> None:
        self._after_seconds = self.wake_at
        if self._after_seconds <= 0:
            self.wake_at = math.inf

    def find(self, received: Received, now_seconds: float) -> Found:
        """Take what came; see `Finder`."""
        if isinstance(received, End):
            return self._find_at_end(now_seconds)
        if now_seconds >= self._after_seconds:
            self.wake_at = math.inf
        data = received if isinstance(received, bytes) else b""
        if not self._tail.size and self._is_due(now_seconds):
            return Found(b"", data)
        pieces = self._decoder.feed(data)
        for place, piece in enumerate(pieces):
            self._observe(piece)
            self._passed += len(piece.raw)
            if self._is_due(now_seconds):
                return self._tail.cut(self._decoder, pieces, place + 1)
        return Found(self._tail.pass_on(data, pieces, holds=False))

    def _find_at_end(self, now_seconds: float) -> Found:
        for piece in self._decoder.end():  # one at most
            self._observe(piece)
            self._passed += len(piece.raw)
            if self._is_due(now_seconds):
                return Found(b"", b"", piece.missing_end)
        return Found(b"")

    def release(self) -> bytes:
        """Return nothing, because nothing is held back."""
        return b""

    def _is_due(self, now_seconds: float) -> bool:
        return self._passed >= self._after_bytes and now_seconds >= self._after_seconds


@define(eq=False, repr=False)
class _Tail:
    """The incomplete event at the end: how much has come, and how much was passed on."""

    size: int = 0
    _passed: int = 0

    def pass_on(self, data: bytes, pieces: Sequence[StreamEvent], *, holds: bool) -> bytes:
        """Return what may pass now, after data that completed these pieces."""
        whole = b"".join([piece.raw for piece in pieces])
        skipped, self._passed = self._passed, 0 if pieces else self._passed
        self.size += len(data) - len(whole)
        if holds:
            return whole[skipped:]
        # Whoever holds goes on to: nothing was held before.
        self._passed = self.size
        return data

    def held(self, decoder: Decoder) -> bytes:
        """Return what was not passed on, and count it as passed on."""
        held = decoder.pending[self._passed :] if self._passed < self.size else b""
        self._passed = self.size
        return held

    def cut(self, decoder: Decoder, pieces: Sequence[StreamEvent], place: int) -> Found:
        """Return the bytes of the pieces up to a place, and those after it."""
        before = b"".join([piece.raw for piece in pieces[:place]])
        rest = b"".join([piece.raw for piece in pieces[place:]]) + decoder.pending
        return Found(before[self._passed :], rest)
