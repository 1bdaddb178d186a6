"""The output of a lane: bytes in turns, of which only finished ones may be sent."""

from __future__ import annotations

from attrs import define, field

RECORD_START = b"\x17\x03\x03"
"""The first bytes of every TLS record of application data (RFC 8446 section 5.2, RFC 5246 section
6.2.1)."""


class RecordError(Exception):
    """The bytes sent ahead of a TLS record were not its first ones, or would have been too many."""


@define(eq=False, repr=False)
class Turns:
    """Output that waits for slots."""

    ready: int = 0
    """How many bytes, from the first, belong to finished turns."""
    _bytes: bytearray = field(factory=bytearray)
    _ahead: bytearray = field(factory=bytearray)
    """The bytes that were sent ahead of those that will be written next."""

    def __len__(self) -> int:
        return len(self._bytes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the turn. Raises `RecordError` if the data differ from what was sent ahead."""
        if self._ahead:
            start = bytes(data[: len(self._ahead)])
            if not self._ahead.startswith(start):
                raise RecordError("a record was begun with its slot, but another kind followed")
            del self._ahead[: len(start)]
            data = data[len(start) :]
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
        """Return one byte of a record that will not be completed, when nothing more is written.

        A peer ignores it after a close_notify (RFC 8446 section 6.1). Otherwise it sees the
        connection end within a record.
        """
        start, record = len(self._ahead), RECORD_START + b"\x40\x00"
        self._ahead += (taken := record[start : start + 1] or b"\x00")
        return taken

    def take_ahead(self) -> bytes:
        """Return one byte although nothing is ready: of the turn, or of the record that comes next.

        Raises `RecordError` if all bytes with which any record begins were taken already.
        """
        if self._bytes:
            self.ready = 1
            return self.take(1)
        start = len(self._ahead)
        if start == len(RECORD_START):
            raise RecordError("more slots were promised than can be filled ahead of a record")
        self._ahead += RECORD_START[start : start + 1]
        return RECORD_START[start : start + 1]
