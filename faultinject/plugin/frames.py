"""How many frames of HTTP/2 a caller may send that are of no use to a call.

PING, SETTINGS, PRIORITY, WINDOW_UPDATE, resets and empty DATA cost the receiver work and the
sender next to nothing (RFC 9113 section 10.5). So each connection has an allowance of frames,
which calls and time fill up again; a sender that has spent it is told ENHANCE_YOUR_CALM.

Pure. Looks at the heads of frames alone, before anything else is done with them.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

MOST_FRAMES = 1_000
"""The allowance of a connection: what it may send at once."""
FRAMES_A_CALL = 10
"""How much a call whose message is whole adds to it."""
FRAMES_A_SECOND = 100.0
"""How much a second adds to it."""
WORTHWHILE_BYTES = 1024
"""DATA of so many bytes costs nothing: bounds of bytes are there for it."""
PIECE_BYTES = 8 * 1024
"""How much is looked at before calls in it are taken: what comes in a piece may at most be twice
the allowance of the calls in it."""

PREFACE_BYTES = 24
"""A client's first bytes, before its first frame (RFC 9113 section 3.4)."""
HEAD_BYTES = 9
"""The head of a frame: three bytes of length, type, flags, four bytes of stream (section 4.1)."""
DATA, RST_STREAM = 0x0, 0x3


@define(eq=False)
class FrameAllowance:
    """The allowance of one connection."""

    is_open: Callable[[int], bool]
    """Whether a stream has an open call, which may be reset at no cost."""
    _since: float
    _left: float = field(default=MOST_FRAMES, init=False)
    _skip: int = field(default=PREFACE_BYTES, init=False)
    _head: bytearray = field(factory=bytearray, init=False)

    def earn(self, frames: float) -> None:
        """Add to it."""
        self._left = min(MOST_FRAMES, self._left + frames)

    def wait(self, now: float, *, useful: bool) -> None:
        """Add what the time since the last call of this is worth, if it was ``useful``."""
        if useful:
            self.earn((now - self._since) * FRAMES_A_SECOND)
        self._since = now

    def spend(self, data: bytes) -> bool:
        """Take off the frames that begin in what came; return whether there was enough."""
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
