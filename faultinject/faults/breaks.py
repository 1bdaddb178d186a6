"""The fault *break*: end or damage a connection in place of the answer, or within it.

Each way in which a connection breaks is a subclass of `How`, with all that is particular to it.
`WAYS` names them all, and nothing else has to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from attrs import frozen

from faultinject.faults.place import Ability, Point, Scope, Stage, point_words
from faultinject.faults.transform import Act, Cut, Garbage, Hang, Reset, WaitUntil
from faultinject.providers.shape import Uniform
from faultinject.reading.value import POSITIVE_DURATION, Value, meaning
from faultinject.tls.client_hello import fatal_alert


class How:
    """How a connection breaks."""

    __slots__ = ()

    word = ""
    """Its name in rules, events and headers."""
    needs: Ability
    """What the proxy or plugin must be able to do."""
    keys: Mapping[str, Value[Any]] = {}
    """The keys of ``break`` that it alone has, each with what its value may be."""
    stage = Stage.ANSWER
    """Where it happens if a rule does not say."""
    only_handshake = ""
    """If it is possible at the TLS handshake only: what it is, for messages."""

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Make it of what was read of its keys."""
        return cls()

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:
        """Return what is done. The last act ends the connection."""
        raise NotImplementedError

    @property
    def lasts_seconds(self) -> float:
        """How long it takes at most; 0 if it takes no time, infinity if there is no limit."""
        return 0.0

    @property
    def may_pass(self) -> bool:
        """Whether another connection may go well, as far as the client is told."""
        return True

    @property
    def ends(self) -> bool:
        """Whether it ends the connection though the client stays."""
        return self.lasts_seconds < math.inf


@frozen
class CloseConnection(How):
    """FIN, both ways."""

    word = "close"
    needs = Ability.CLOSE

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:  # noqa: ARG002
        """Close it."""
        return [Cut()]


@frozen
class ResetConnection(How):
    """RST."""

    word = "reset"
    needs = Ability.RESET

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:  # noqa: ARG002
        """Reset it."""
        return [Reset()]


@frozen
class HangConnection(How):
    """Nothing more is sent, and the connection stays open."""

    word = "hang"
    needs = Ability.HANG
    keys = {"for": POSITIVE_DURATION}  # noqa: RUF012

    seconds: float | None = None
    """How long, before it closes; None for until the client leaves."""

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Self:
        """Take how long it lasts."""
        return cls(read.get("for"))

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:  # noqa: ARG002
        """Wait, and close it if the time is limited."""
        if self.seconds is None:
            return [Hang()]
        return [WaitUntil(now_seconds + self.seconds), Cut()]

    @property
    def lasts_seconds(self) -> float:
        """How long it takes."""
        return math.inf if self.seconds is None else self.seconds


GARBAGE_BYTES = 64
"""How many bytes of garbage are sent."""


@frozen
class SendGarbage(How):
    """Bytes that break the protocol; then FIN."""

    word = "garbage"
    needs = Ability.GARBAGE

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:  # noqa: ARG002
        """Send what is neither HTTP nor TLS, because neither begins with a zero."""
        others = bytes(int(uniform() * 256) for _ in range(GARBAGE_BYTES - 1))
        return [Garbage(b"\0" + others)]


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
class SendAlert(How):
    """A fatal TLS alert instead of a ServerHello (RFC 8446 section 6.2)."""

    word = "tls-alert"
    needs = Ability.ALERT
    keys = {"alert": meaning(ALERTS)}  # noqa: RUF012
    stage = Stage.HANDSHAKE
    only_handshake = "a TLS alert"

    alert: int = ALERTS["handshake_failure"]

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> Self:
        """Take which alert it is."""
        return cls(read["alert"]) if "alert" in read else cls()

    def acts(self, now_seconds: float, uniform: Uniform) -> list[Act]:  # noqa: ARG002
        """Send the alert, which is no HTTP."""
        return [Garbage(fatal_alert(self.alert))]

    @property
    def may_pass(self) -> bool:
        """Only ``internal_error`` says nothing of what the client offers (RFC 8446 6.2)."""
        return self.alert == ALERTS["internal_error"]


WAYS: tuple[type[How], ...] = (
    CloseConnection,
    ResetConnection,
    HangConnection,
    SendGarbage,
    SendAlert,
)
"""All ways in which a connection breaks, in the order in which messages name them."""


@frozen
class Break:
    """Break the connection."""

    how: How
    at: Stage = Stage.ANSWER
    """`Stage.ANSWER` means in place of the answer's head, unless there is a point."""
    point: Point | None = None
    """The place in the answer; None if it happens before the answer."""
    scope: Scope = Scope.REQUEST
    """What ends with the answer."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the proxy or plugin must be able to do."""
        stages = {
            Stage.CONNECT: Ability.CONNECT,
            Stage.HANDSHAKE: Ability.HANDSHAKE,
            Stage.REQUEST: Ability.REQUEST,
        }
        needed = {self.how.needs}
        if self.at in stages:
            needed.add(stages[self.at])
        if self.point is not None:
            needed.add(Ability.ANSWER)
        return frozenset(needed)


_STAGES = {
    Stage.CONNECT: "at the CONNECT",
    Stage.HANDSHAKE: "at the handshake",
    Stage.REQUEST: "behind the request's head",
}


def break_words(fault: Break) -> str:
    """Return in words how the connection breaks, and where."""
    if fault.point is not None:
        return f"{fault.how.word} {point_words(fault.point)}"
    where = _STAGES.get(fault.at, "instead of an answer")
    return f"{fault.how.word} {where}"
