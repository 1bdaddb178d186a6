"""The fault *pace*: pass events or bytes on no faster than a rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

from attrs import frozen

from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, Send, WaitUntil
from faultinject.providers.framing import Decoder, StreamEvent
from faultinject.providers.shape import Uniform
from faultinject.reading.keys import Keys
from faultinject.reading.value import POSITIVE, Value

_RATES = ("events_per_second", "bytes_per_second")
_GIVE_ONE = "give one of " + ", ".join(_RATES)
_KEYS = Keys(
    dict.fromkeys(_RATES, POSITIVE),
    "an object, as in {bytes_per_second: 100}",
    some=_RATES,
    apart=((*_RATES, _GIVE_ONE),),
    about={
        "events_per_second": "How many events come a second at most.",
        "bytes_per_second": "How many bytes come a second at most.",
    },
)


@frozen
class Pace(StreamAction):
    """Pass events or bytes on no faster than a rate. One of the two rates is given."""

    key = label = "pace"
    about = "The stream comes no faster than this."
    throughout = True
    paces = True
    keeps_length = True
    harms = False
    lasts_seconds = math.inf

    events_per_second: float | None = None
    bytes_per_second: float | None = None

    @property
    def whole_events(self) -> bool:
        """Whether it counts events."""
        return self.events_per_second is not None

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is one of the two rates."""
        return _KEYS.into(lambda read: cls(**read))

    def on_bytes(self, uniform: Uniform) -> Action | None:  # noqa: ARG002
        """Return what paces bytes."""
        return None if self.bytes_per_second is None else PacingBytes(self.bytes_per_second)

    def on_events(self, stream: EventStream) -> Action | None:
        """Return what paces events."""
        if self.events_per_second is None:
            return None
        return PacingEvents(self.events_per_second, stream.decoder())


PIECES_PER_SECOND = 20
"""The most pieces per second into which bytes are split."""


class _Pacing(Action):
    """Sends each piece when the time of the earlier ones is over."""

    def __init__(self) -> None:
        self._due = 0.0

    def _paced(self, data: bytes, takes_seconds: float, now_seconds: float) -> Iterator[Act]:
        if self._due > now_seconds:
            yield WaitUntil(self._due)
        self._due = max(self._due, now_seconds) + takes_seconds
        yield Send(data)


class PacingBytes(_Pacing):
    """Paces bytes."""

    def __init__(self, bytes_per_second: float) -> None:
        super().__init__()
        self._rate = bytes_per_second
        self._most = max(1, int(bytes_per_second / PIECES_PER_SECOND))

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:
        for start in range(0, len(data), self._most):
            piece = data[start : start + self._most]
            due = self._due
            yield from self._paced(piece, len(piece) / self._rate, now_seconds)
            now_seconds = max(now_seconds, due)


class PacingEvents(_Pacing):
    """Paces events. Other pieces take no time."""

    def __init__(self, events_per_second: float, decoder: Decoder) -> None:
        super().__init__()
        self._gap_seconds = 1 / events_per_second
        self._decoder = decoder

    def _pass(self, data: bytes, now_seconds: float) -> Iterator[Act]:
        yield from self._pass_pieces(self._decoder.feed(data), now_seconds)

    def _pass_rest(self, now_seconds: float) -> Iterator[Act]:
        yield from self._pass_pieces(self._decoder.end(), now_seconds)

    def _pass_pieces(self, pieces: list[StreamEvent], now_seconds: float) -> Iterator[Act]:
        for piece in pieces:
            due, gap_seconds = self._due, self._gap_seconds if piece.is_event else 0.0
            yield from self._paced(piece.raw, gap_seconds, now_seconds)
            now_seconds = max(now_seconds, due)

    def release(self) -> bytes:
        """Return the incomplete event."""
        return self._decoder.pending
