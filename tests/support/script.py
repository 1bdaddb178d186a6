"""The other end of a stream under test, for tests written as transcripts.

What it says is there at once, and what it was told is there to be looked at, so that no second
task is needed.
"""

from __future__ import annotations

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream

Duplex = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class ScriptedPeer:
    """A peer that says what the test has it say; ``stream`` is our end."""

    def __init__(self, *says: bytes) -> None:
        self._told = MemorySendStream()
        self._says = MemoryReceiveStream(close_hook=self._note_close)
        self.stream: Duplex = trio.StapledStream(self._told, self._says)
        self.was_closed = False
        """Whether our end was closed, both ways."""
        for data in says:
            self.says(data)

    def _note_close(self) -> None:
        self.was_closed = True

    def says(self, data: bytes) -> None:
        """Let bytes arrive."""
        self._says.put_data(data)

    def ends(self) -> None:
        """Half-close."""
        self._says.put_eof()

    def breaks(self, reason: str = "reset by peer") -> None:
        """Make every further read and write fail, as after a reset."""

        async def fail() -> None:
            raise trio.BrokenResourceError from ConnectionResetError(reason)

        self._says.receive_some_hook = fail
        self._told.send_all_hook = fail

    def told(self) -> bytes:
        """Return what was sent to it since the last call; nothing if nothing was."""
        try:
            return bytes(self._told.get_data_nowait())
        except trio.WouldBlock:
            return b""

    @property
    def was_ended(self) -> bool:
        """Whether our side was half-closed or closed. Forgets what was sent."""
        self.told()
        try:
            self._told.get_data_nowait()
        except trio.WouldBlock:
            return False
        return True
