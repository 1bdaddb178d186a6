"""The output of a lane: bytes in turns, of which only the finished ones may go."""

from __future__ import annotations

from attrs import define, field

RECORD_START = b"\x17\x03\x03"
"""How every TLS record of application data starts (RFC 8446 section 5.2, RFC 5246 section
6.2.1)."""


class RecordError(Exception):
    """What went ahead of a TLS record was not its beginning, or would have to be too long."""


@define(eq=False)
class Turns:
    """Output that waits for slots."""

    ready: int = 0
    """How many bytes, from the first, belong to finished turns."""
    _bytes: bytearray = field(factory=bytearray)
    _ahead: bytearray = field(factory=bytearray)
    """What was taken ahead of the bytes that will be written next."""

    def __len__(self) -> int:
        return len(self._bytes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the turn. Raises `RecordError` if it belies what went ahead of it."""
        if self._ahead:
            told = bytes(data[: len(self._ahead)])
            if not self._ahead.startswith(told):
                raise RecordError("a record was begun with its slot, but another kind followed")
            del self._ahead[: len(told)]
            data = data[len(told) :]
        self._bytes += data

    def finish(self) -> None:
        """End the turn."""
        self.ready = len(self._bytes)

    def take(self, count: int) -> bytes:
        """Return the first bytes of the finished turns."""
        data = bytes(self._bytes[:count])
        del self._bytes[:count]
        self.ready -= count
        return data

    def take_unfinished(self) -> bytes:
        """Return one byte although nothing will be written any more: of a record without an end.

        A peer does not see it (after a close_notify, RFC 8446 section 6.1), or sees the connection
        end within a record.
        """
        start, record = len(self._ahead), RECORD_START + b"\x40\x00"
        self._ahead += (taken := record[start : start + 1] or b"\x00")
        return taken

    def take_ahead(self) -> bytes:
        """Return one byte although nothing is ready: of the turn, or of the record that will come.

        Raises `RecordError` if the records' common beginning was already taken.
        """
        if self._bytes:
            self.ready = 1
            return self.take(1)
        start = len(self._ahead)
        if start == len(RECORD_START):
            raise RecordError("more slots were promised than can be filled ahead of a record")
        self._ahead += RECORD_START[start : start + 1]
        return RECORD_START[start : start + 1]
