"""The fault *stream*: harm an answer as it passes. What is done, and where.

Knows nothing of how it is done.
"""

from __future__ import annotations

from attrs import field, frozen

from faultinject.faults.place import FIRST_EVENT, Ability, Point


@frozen
class SendError:
    """The API's own error within the stream; then the stream's proper end."""

    status: int = 529
    """Chooses the type and the message; nothing of it is sent."""
    error: str | None = None
    """The type of the error, in the API's own words."""
    message: str | None = None
    code: str | None = None
    failure: str | None = None
    """Which of the API's own failures it is (`Provider.failures`)."""
    form: str = ""
    """Which of the forms that the API has for it; empty for the usual one."""
    ends = True


@frozen
class Cut:
    """FIN, without the body's proper end."""

    ends = True


@frozen
class Reset:
    """RST."""

    ends = True


@frozen
class End:
    """The body's proper end, without the stream's terminator: as if all were well."""

    ends = True


@frozen
class EndEarly:
    """End the message as the API does when the limit of tokens is reached."""

    ends = True


@frozen
class Stall:
    """Pass nothing on for a time."""

    seconds: float | None = None
    """None until the client leaves."""
    ping_seconds: float | None = None
    """How often the API's own ping is sent meanwhile; None for never."""

    @property
    def ends(self) -> bool:
        """Whether nothing can follow it."""
        return self.seconds is None


@frozen
class Drop:
    """Leave out the next events."""

    events: int | None = 1
    """None for all that follow."""
    ends = False


@frozen
class Duplicate:
    """Send the next events twice, each after itself."""

    events: int | None = 1
    ends = False


@frozen
class Garble:
    """Change a byte in each of the next events, so that their data is no JSON any more."""

    events: int | None = 1
    ends = False


@frozen
class Rechunk:
    """Pass the same bytes on in other pieces."""

    split: bool
    """Into small pieces, inside events and inside characters; else several events as one."""
    ends = False


@frozen
class Pace:
    """Pass events or bytes on no faster than so."""

    events_per_second: float | None = None
    bytes_per_second: float | None = None
    ends = False


Action = (
    SendError | Cut | Reset | End | EndEarly | Stall | Drop | Duplicate | Garble | Rechunk | Pace
)


@frozen
class StreamFault:
    """One thing that happens to an answer, from one point on."""

    action: Action
    point: Point = field(default=FIRST_EVENT)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a front door must be able to do."""
        more = {
            Reset: {Ability.RESET},
            Cut: {Ability.CLOSE},
        }.get(type(self.action), set[Ability]())
        return frozenset({Ability.ANSWER} | more)
