"""The fault *re-chunk*: the same bytes in other pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from attrs import frozen

from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, Send
from faultinject.providers.framing import Decoder
from faultinject.providers.shape import Uniform
from faultinject.reading.value import Value, meaning


@frozen
class Rechunk(StreamAction):
    """Pass the same bytes on in other pieces."""

    key, label = "chunks", "rechunk"
    about = "The same bytes come in other pieces: cut within events, or several events at once."
    throughout = True
    keeps_length = True
    harms = False

    split: bool
    """Split into small pieces, within events and characters; else merge several events."""

    @property
    def whole_events(self) -> bool:
        """Whether it merges events."""
        return not self.split

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is whether to split or to merge."""
        return meaning({"split": cls(True), "merge": cls(False)})

    def on_bytes(self, uniform: Uniform) -> Action:
        """Return what splits bytes, or merges the pieces in which they come."""
        return Splitting(uniform) if self.split else Merging(uniform, None)

    def on_events(self, stream: EventStream) -> Action | None:
        """Return what merges events."""
        return None if self.split else Merging(stream.uniform, stream.decoder())


MOST_SPLIT_BYTES = 24
"""The longest piece of a split. An event with one token has about 100 bytes."""
MERGED = (2, 4)
"""The least and the most events, or pieces, that are merged into one."""
MOST_MERGED_BYTES = 64 * 1024
"""Most bytes that are held back. A larger event is passed on with what was held."""

_LEADING = (
    0xC0  # such a byte or a higher one begins a character of several bytes (RFC 3629 section 3)
)


class Splitting(Action):
    """Splits what comes into small pieces, also within characters of several bytes."""

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        start = 0
        while start < len(data):
            end = min(start + 1 + int(self._uniform() * MOST_SPLIT_BYTES), len(data))
            leading = (at for at in range(start, end) if data[at] >= _LEADING)
            end = min(next(leading, end) + 1, end)
            yield Send(data[start:end])
            start = end


class Merging(Action):
    """Holds back what comes until it has several events, or pieces if there is no decoder."""

    def __init__(self, uniform: Uniform, decoder: Decoder | None) -> None:
        self.done = False
        self._uniform = uniform
        self._decoder = decoder
        self._held = bytearray()
        self._count = 0
        self._wanted = 0

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:  # noqa: ARG002
        for piece, counts in self._pieces(data):
            self._wanted = self._wanted or self._draw()
            self._held += piece
            self._count += counts
            if self._count >= self._wanted or len(self._held) > MOST_MERGED_BYTES:
                self.done = self.done or self._count > 1
                yield Send(self._take())

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:
        if self._decoder is not None:
            for piece in self._decoder.end():
                self._held += piece.raw
                self._count += piece.is_event
        yield from super()._pass_rest(now_seconds)

    def _pieces(self, data: bytes) -> list[tuple[bytes, bool]]:
        if self._decoder is None:
            return [(data, True)]
        return [(piece.raw, piece.is_event) for piece in self._decoder.feed(data)]

    def _draw(self) -> int:
        least, most = MERGED
        return least + int(self._uniform() * (most - least + 1))

    def _take(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        self._count = self._wanted = 0
        return held

    def release(self) -> bytes:
        """Return what is held back to be merged."""
        self.done = self.done or self._count > 1
        return self._take() + (self._decoder.pending if self._decoder else b"")
