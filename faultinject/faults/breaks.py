"""The fault *break*: end or damage a connection in place of the answer, or within it."""

from __future__ import annotations

import math
from enum import Enum

from attrs import frozen

from faultinject.faults.place import Ability, Point, Stage, point_words


class How(Enum):
    """How the connection breaks."""

    CLOSE = "close"
    """FIN, both ways."""
    RESET = "reset"
    """RST."""
    HANG = "hang"
    """Nothing more is sent, and the connection stays open."""
    GARBAGE = "garbage"
    """Bytes that break the protocol; then FIN."""
    TLS_ALERT = "tls-alert"
    """A fatal TLS alert instead of a ServerHello (RFC 8446 section 6.2)."""


ALERTS = {
    "handshake_failure": 40,
    "bad_certificate": 42,
    "certificate_expired": 45,
    "certificate_unknown": 46,
    "unknown_ca": 48,
    "access_denied": 49,
    "protocol_version": 70,
    "internal_error": 80,
    "unrecognized_name": 112,
}
"""Descriptions of TLS alerts by name (RFC 8446 section 6)."""


@frozen
class Break:
    """Break the connection."""

    how: How
    at: Stage = Stage.ANSWER
    """`Stage.ANSWER` means in place of the answer's head, unless there is a point."""
    point: Point | None = None
    """The place in the answer; None if it happens before the answer."""
    seconds: float | None = None
    """How long it hangs before it closes; None for until the client leaves."""
    alert: int = ALERTS["handshake_failure"]

    @property
    def lasts_seconds(self) -> float:
        """How long it takes at most; 0 if it takes no time, infinity if there is no limit."""
        if self.how is not How.HANG:
            return 0.0
        return math.inf if self.seconds is None else self.seconds

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        stages = {
            Stage.CONNECT: Ability.CONNECT,
            Stage.HANDSHAKE: Ability.HANDSHAKE,
            Stage.REQUEST: Ability.REQUEST,
        }
        needed = {_ABILITIES[self.how]}
        if self.at in stages:
            needed.add(stages[self.at])
        if self.point is not None:
            needed.add(Ability.ANSWER)
        return frozenset(needed)


_ABILITIES = {
    How.CLOSE: Ability.CLOSE,
    How.RESET: Ability.RESET,
    How.HANG: Ability.HANG,
    How.GARBAGE: Ability.GARBAGE,
    How.TLS_ALERT: Ability.ALERT,
}


_STAGES = {
    Stage.CONNECT: "at the CONNECT",
    Stage.HANDSHAKE: "at the handshake",
    Stage.REQUEST: "behind the request's head",
}


def break_words(fault: Break) -> str:
    """Return in words how the connection breaks, and where."""
    if fault.point is not None:
        return f"{fault.how.value} {point_words(fault.point)}"
    where = _STAGES.get(fault.at, "instead of an answer")
    return f"{fault.how.value} {where}"
