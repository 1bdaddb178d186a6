"""The fault *stall*: pass nothing on for a time, except the API's pings if they are wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

from attrs import frozen

from faultinject.faults.stream.stream_action import EventStream, StreamAction
from faultinject.faults.transform import Act, Action, Hang, Send, WaitUntil
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape, Uniform
from faultinject.reading.keys import Keys
from faultinject.reading.value import POSITIVE_DURATION, Value, by_type, constant

_SECONDS: Value[float | None] = POSITIVE_DURATION.into(lambda seconds: seconds)
_LENGTH = constant(True, None, constant("forever", None, _SECONDS))
_KEYS = Keys(
    {"for": _LENGTH, "pings": POSITIVE_DURATION},
    "a duration, the word forever, or {for: 60s, pings: 10s}",
    about={
        "for": "How long nothing comes: a duration, or forever.",
        "pings": "How often the API's own ping is sent meanwhile.",
    },
)


@frozen
class Stall(StreamAction):
    """Pass nothing on for a time."""

    key = label = "stall"
    about = "Nothing more comes for a time, or for ever, or only the API's pings."
    causes = "stalled"

    seconds: float | None = None
    """None until the client leaves."""
    ping_seconds: float | None = None
    """How often the API's own ping is sent meanwhile; None for never."""

    @property
    def ends(self) -> bool:
        """Whether it lasts until the client leaves."""
        return self.seconds is None

    @property
    def whole_events(self) -> bool:
        """Whether it sends pings."""
        return self.ping_seconds is not None

    @property
    def keeps_length(self) -> bool:
        """Whether it sends no pings."""
        return self.ping_seconds is None

    @property
    def harms(self) -> bool:
        """Whether nothing arrives any more."""
        return self.seconds is None

    @property
    def lasts_seconds(self) -> float:
        """How long it takes."""
        return math.inf if self.seconds is None else self.seconds

    @classmethod
    def written(cls) -> Value[Self]:
        """Return that it is a duration, ``true`` or ``forever``, or has the pings' interval too."""
        whole = _KEYS.into(lambda read: cls(read.get("for"), read.get("pings")))
        return by_type(_LENGTH.into(cls), object=whole)

    def on_bytes(self, uniform: Uniform) -> Action:  # noqa: ARG002
        """Return what waits."""
        return Stalling(self.seconds)

    def on_events(self, stream: EventStream) -> Action | None:
        """Return what waits and sends the API's pings, if they are wanted."""
        if self.ping_seconds is None:
            return None
        return Stalling(self.seconds, stream.shape.ping, self.ping_seconds)

    @property
    def depends_on_api(self) -> bool:
        """Whether it sends pings, which not every API has."""
        return self.ping_seconds is not None

    def why_unfit(self, provider: Provider, shape: Shape) -> str | None:  # noqa: ARG002
        """Return that there are no pings, if it sends some; else None."""
        if self.ping_seconds is None or any(stream.ping for stream in shape.streams):
            return None
        return f"streams of {shape.name} have no pings; use stall without pings"


class Stalling(Action):
    """Waits at the point. What comes meanwhile is not read."""

    def __init__(
        self, seconds: float | None, ping: bytes | None = None, ping_seconds: float = math.inf
    ) -> None:
        """Take the time to wait (None for ever), and a ping with its interval, if any."""
        self._seconds = math.inf if seconds is None else seconds
        self._ping, self._ping_seconds = ping, ping_seconds

    def begin(self, now_seconds: float) -> Iterator[Act]:
        """Return the wait."""
        until = now_seconds + self._seconds
        if self._ping is not None:
            while (now_seconds := now_seconds + self._ping_seconds) < until:
                yield WaitUntil(now_seconds)
                yield Send(self._ping)
        yield Hang() if until == math.inf else WaitUntil(until)
