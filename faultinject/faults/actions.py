"""From what shall happen to an answer to the action that does it.

Knows nothing of points.
"""

from __future__ import annotations

import math

from faultinject.faults import stream, transform
from faultinject.faults.action import Action, AtOnce
from faultinject.faults.answer import Answer
from faultinject.faults.breaks import Break, How
from faultinject.faults.stream.edit import EditingEvents, drop, duplicate, garbler
from faultinject.faults.stream.end_early import EndingEarly
from faultinject.faults.stream.error import stream_error
from faultinject.faults.stream.pace import PacingBytes, PacingEvents
from faultinject.faults.stream.rechunk import Merging, Splitting
from faultinject.faults.stream.stall import Stalling
from faultinject.faults.transform import Act
from faultinject.providers.provider import Progress, StreamShape, Uniform

GARBAGE_BYTES = 64
"""How many bytes are sent that mean nothing."""


def speaks(action: stream.Action) -> bool:
    """Say whether an action deals in whole events, so that it must not begin within one."""
    if isinstance(action, stream.Stall):
        return action.ping_seconds is not None
    if isinstance(action, stream.Pace):
        return action.events_per_second is not None
    return isinstance(action, _SPEAKING) or action == stream.Rechunk(split=False)


_SPEAKING = (stream.SendError, stream.EndEarly, stream.Drop, stream.Duplicate, stream.Garble)


def keeps_length(action: stream.Action) -> bool:
    """Say whether a body that goes on to its end is as long as it was."""
    if isinstance(action, stream.Stall):
        return action.ping_seconds is None
    return isinstance(action, _KEEPING)


_KEEPING = (stream.Cut, stream.Reset, stream.Garble, stream.Rechunk, stream.Pace)


def only_takes_time(action: stream.Action) -> bool:
    """Say whether all comes as it would have come, later or in other pieces."""
    if isinstance(action, stream.Stall):
        return action.seconds is not None
    return isinstance(action, (stream.Rechunk, stream.Pace))


def lasting_seconds(fault: stream.Action | Break) -> float:
    """Return how long a fault takes at most, 0 if no time; infinity if nothing bounds it."""
    match fault:
        case stream.Pace():
            return math.inf
        case stream.Stall(seconds=seconds) | Break(how=How.HANG, seconds=seconds):
            return math.inf if seconds is None else seconds
    return 0.0


def raw_action(action: stream.Action, uniform: Uniform) -> Action | None:
    """Return the action on bytes of which nothing is known; None if it needs events."""
    match action:
        case stream.Stall(seconds):
            return Stalling(seconds)
        case stream.Rechunk(split):
            return Splitting(uniform) if split else Merging(uniform, None)
        case stream.Pace(bytes_per_second=rate) if rate is not None:
            return PacingBytes(rate)
        case stream.Cut():
            return _at_once(transform.Cut())
        case stream.Reset():
            return _at_once(transform.Reset())
        case stream.End():
            return _at_once(transform.Finish())
    return None


def event_action(
    action: stream.Action,
    answer: Answer,
    shape: StreamShape,
    progress: Progress,
    uniform: Uniform,
) -> Action | None:
    """Return the action on a stream whose events can be seen; None if it needs none to be.

    The ``progress`` will have seen what was before its point.
    """
    decoder = shape.decoder
    match action:
        case stream.SendError():
            provider, fields = answer.provider, answer.fields
            return AtOnce(lambda _: stream_error(action, provider, fields, uniform, progress))
        case stream.EndEarly():
            return EndingEarly(progress, decoder(), uniform)
        case stream.Stall(seconds, ping_seconds) if ping_seconds is not None:
            return Stalling(seconds, shape.ping, ping_seconds)
        case stream.Drop(events):
            return EditingEvents(drop, events, decoder())
        case stream.Duplicate(events):
            return EditingEvents(duplicate, events, decoder())
        case stream.Garble(events):
            return EditingEvents(garbler(uniform), events, decoder())
        case stream.Rechunk(split=False):
            return Merging(uniform, decoder())
        case stream.Pace(events_per_second=rate) if rate is not None:
            return PacingEvents(rate, decoder())
    return None


def breaking(breaks: Break, uniform: Uniform) -> Action:
    """Return what breaks a connection within an answer."""
    match breaks.how, breaks.seconds:
        case How.HANG, None:
            return _at_once(transform.Hang())
        case How.HANG, seconds:
            return AtOnce(
                lambda now: [transform.WaitUntil(now + (seconds or 0.0)), transform.Cut()]
            )
        case How.GARBAGE, _:
            return AtOnce(lambda _: [transform.Garbage(garbage(uniform))])
        case How.RESET, _:
            return _at_once(transform.Reset())
    return _at_once(transform.Cut())


def _at_once(act: Act) -> Action:
    return AtOnce(lambda _: [act])


def garbage(uniform: Uniform) -> bytes:
    """Draw bytes that mean nothing in HTTP and in TLS: neither begins with a zero."""
    return b"\0" + bytes(int(uniform() * 256) for _ in range(GARBAGE_BYTES - 1))
