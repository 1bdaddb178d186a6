"""Limits what a gRPC port holds for its callers: calls, bytes, and frames without a use."""

from __future__ import annotations

import enum
from collections.abc import Callable

from attrs import define, field, frozen

MOST_FRAMES = 1_000
"""The allowance of a connection: how many frames it may send at once."""
FRAMES_A_CALL = 10
"""How many frames a call adds to the allowance when its message is complete."""
FRAMES_A_SECOND = 100.0
"""How many frames a second adds to the allowance."""
WORTHWHILE_BYTES = 1024
"""A DATA frame of this size or more costs nothing. The limits on bytes are for it."""
PIECE_BYTES = 8 * 1024
"""How many bytes are checked before the calls in them are handled. The frames in a piece may be at
most twice the allowance of the calls in it."""

PREFACE_BYTES = 24
"""A client's first bytes, before its first frame (RFC 9113 section 3.4)."""
HEAD_BYTES = 9
"""The head of a frame: three bytes of length, type, flags, four bytes of stream (section 4.1)."""
DATA, RST_STREAM = 0x0, 0x3


@define(eq=False, repr=False)
class FrameAllowance:
    """The allowance of frames of one connection."""

    is_open: Callable[[int], bool]
    """Whether a stream has an open call. To reset one costs nothing."""
    _since: float
    _left: float = field(default=MOST_FRAMES, init=False)
    _skip: int = field(default=PREFACE_BYTES, init=False)
    _head: bytearray = field(factory=bytearray, init=False)

    def earn(self, frames: float) -> None:
        """Add to the allowance."""
        self._left = min(MOST_FRAMES, self._left + frames)

    def wait(self, now: float, *, useful: bool) -> None:
        """Add the frames for the time since the last `wait`, if the time was ``useful``."""
        if useful:
            self.earn((now - self._since) * FRAMES_A_SECOND)
        self._since = now

    def spend(self, data: bytes) -> bool:
        """Subtract the frames that begin in the data; return False if there were too many."""
        at, end = 0, len(data)
        while at < end and self._left >= 0:
            if self._skip:
                taken = min(self._skip, end - at)
                self._skip -= taken
            else:
                taken = min(HEAD_BYTES - len(self._head), end - at)
                self._head += data[at : at + taken]
                if len(self._head) == HEAD_BYTES:
                    self._begin()
            at += taken
        return self._left >= 0

    def _begin(self) -> None:
        length, kind = int.from_bytes(self._head[:3], "big"), self._head[3]
        stream_id = int.from_bytes(self._head[5:], "big") & 0x7FFFFFFF
        self._skip = length
        self._head.clear()
        worthwhile = kind == DATA and length >= WORTHWHILE_BYTES
        if not worthwhile and not (kind == RST_STREAM and self.is_open(stream_id)):
            self._left -= 1


PREFIX_BYTES = 5
"""The prefix of a message: whether it is compressed, and its length in four bytes
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

SURGE_BYTES = 8 * 1024 * 1024
"""If this many bytes were held, memory is given back to the system once they are free."""


class Reason(enum.Enum):
    """Why a call is refused. Each reason has a gRPC status."""

    TOO_MUCH = enum.auto()
    TOO_LONG = enum.auto()
    NOT_ONE_MESSAGE = enum.auto()


@frozen(eq=False, repr=False, kw_only=True)
class PortBounds:
    """Limits of a port in bytes, numbers and seconds. No healthy host meets one."""

    held_bytes: int = 64 * 1024 * 1024
    """Most bytes in the messages of all calls that are coming or open."""
    coming: int = 1_000
    """Most calls whose message is not complete."""
    coming_seconds: float = 10.0
    """How long a message may take to come."""
    calls: int = 20_000
    """Most open calls: two for each of the tunnels that there may be."""
    open_seconds: float = 7200.0
    """How long a call may be open. Sessions end far earlier, except after a defect, or if a caller
    does not read its answer."""


@define(eq=False, repr=False)
class PortCall:
    """A call of a port."""

    largest: int
    """The longest message that it may have, in bytes."""
    refuse: Callable[[Reason, str], None]
    """Ends the call with a status and a message for it."""
    received: int = 0
    """How many bytes of its body came, with the prefix."""
    since: float = 0.0
    _prefix: bytearray = field(factory=bytearray, init=False)

    @property
    def whole(self) -> bool:
        """Whether the message is complete."""
        return self._wanted is not None and self.received >= self._wanted

    @property
    def excessive(self) -> bool:
        """Whether more than the message came."""
        return self._wanted is not None and self.received > self._wanted

    def take(self, data: bytes) -> bool:
        """Count the data; return False if the message is too long."""
        self.received += len(data)
        self._prefix += data[: PREFIX_BYTES - len(self._prefix)]
        return self._wanted is None or self._wanted - PREFIX_BYTES <= self.largest

    @property
    def _wanted(self) -> int | None:
        if len(self._prefix) < PREFIX_BYTES:
            return None
        return PREFIX_BYTES + int.from_bytes(self._prefix[1:], "big")


@define(eq=False, repr=False)
class Port:
    """The calls of a port: each begins, receives data, and ends."""

    bounds: PortBounds = field(factory=PortBounds)
    held_bytes: int = field(default=0, init=False)
    _most_held: int = field(default=0, init=False)
    _coming: dict[PortCall, None] = field(factory=dict, init=False)  # the oldest first
    _open: dict[PortCall, None] = field(factory=dict, init=False)

    def begin(self, call: PortCall, now: float) -> bool:
        """Accept or refuse a new call; return True if it was accepted."""
        if len(self._coming) >= self.bounds.coming:
            self._refuse_oldest()
        call.since = now
        self._coming[call] = None
        if len(self._open) < self.bounds.calls:
            return True
        words = f"there are {self.bounds.calls} calls already"
        self._refuse(call, Reason.TOO_MUCH, words)
        return False

    def receive(self, call: PortCall, data: bytes) -> bool:
        """Count the data of a call, or refuse the call; return True if the data are wanted."""
        if call not in self._coming and call not in self._open:
            return False
        self.held_bytes += len(data)
        self._most_held = max(self._most_held, self.held_bytes)
        if not call.take(data):
            words = f"a message of this call has at most {call.largest} bytes"
            self._refuse(call, Reason.TOO_MUCH, words)
        elif call.excessive:
            words = "the call has more than one message"
            self._refuse(call, Reason.NOT_ONE_MESSAGE, words)
        else:
            if call.whole and call in self._coming:
                del self._coming[call]
                self._open[call] = None
            self._make_room(call)
        return call in self._coming or call in self._open

    def end(self, call: PortCall) -> None:
        """Forget a call that is over."""
        if call in self._coming or call in self._open:
            self.held_bytes -= call.received
            self._coming.pop(call, None)
            self._open.pop(call, None)

    def surge_is_over(self) -> bool:
        """Return True, once, if much was held and little is held now."""
        is_over = self._most_held >= SURGE_BYTES and self.held_bytes < SURGE_BYTES / 8
        if is_over:
            self._most_held = self.held_bytes
        return is_over

    def expire(self, now: float) -> float | None:
        """Refuse calls that took too long; return the time of the next one's end, if any."""
        ends = (
            self._expire(self._coming, self.bounds.coming_seconds, "to come", now),
            self._expire(self._open, self.bounds.open_seconds, "to be answered", now),
        )
        return min((end for end in ends if end is not None), default=None)

    def _expire(
        self, calls: dict[PortCall, None], seconds: float, what: str, now: float
    ) -> float | None:
        while calls:
            oldest = next(iter(calls))
            if oldest.since + seconds > now:
                return oldest.since + seconds
            self._refuse(oldest, Reason.TOO_LONG, f"the call took over {seconds:g} s {what}")
        return None

    def _make_room(self, call: PortCall) -> None:
        while self.held_bytes > self.bounds.held_bytes and self._coming:
            self._refuse_oldest()
        if self.held_bytes > self.bounds.held_bytes:
            words = f"calls with {self.bounds.held_bytes} bytes are open already"
            self._refuse(call, Reason.TOO_MUCH, words)

    def _refuse_oldest(self) -> None:
        words = "there is no room for a message that takes this long to come"
        self._refuse(next(iter(self._coming)), Reason.TOO_MUCH, words)

    def _refuse(self, call: PortCall, reason: Reason, words: str) -> None:
        self.end(call)
        call.refuse(reason, words)
