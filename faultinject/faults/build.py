"""Builds the transform of one answer from the descriptions of faults."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from faultinject.faults import stream, transform
from faultinject.faults.breaks import Break, How, break_words
from faultinject.faults.locate import BoundaryFinder, BytesFinder, EventFinder, TimeFinder
from faultinject.faults.place import FIRST_EVENT, START, BytesPoint, EventPoint, Point, TimePoint
from faultinject.faults.stream import StreamFault, stream_words
from faultinject.faults.stream.edit import EditingEvents, drop, duplicate, garbler
from faultinject.faults.stream.end import EndingEarly
from faultinject.faults.stream.error import stream_error
from faultinject.faults.stream.pace import PacingBytes, PacingEvents
from faultinject.faults.stream.rechunk import Merging, Splitting
from faultinject.faults.stream.stall import Stalling
from faultinject.faults.transform import (
    Act,
    Action,
    AtOnce,
    Chain,
    Finder,
    Pointed,
    StreamAction,
    Transform,
)
from faultinject.providers.framing import StreamEvent
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Fields, Progress, StreamShape, Uniform

Numbers = Callable[[str], Uniform]
"""Returns the random numbers for a purpose. The same purpose gets the same numbers."""


@frozen
class ResponseInfo:
    """What is known of an answer when its head has come."""

    provider: Provider
    shape: StreamShape | None
    """The form of its stream; None if it is not a stream."""
    encoded: bool
    """Whether its body is compressed, so that its events cannot be read."""
    fields: Fields = field(repr=False)
    """The fields for what is added to it. The request id is the answer's own."""
    numbers: Numbers = field(repr=False)

    unknown_stream: str | None = None
    """Its content type if it is a stream of an unknown form."""

    @property
    def why_no_stream(self) -> str:
        """Why there is no `shape`, in words."""
        if self.unknown_stream is None:
            return "the answer is no stream"
        return f"the answer is a stream of {self.unknown_stream}, which is not recognised"

    @property
    def readable_shape(self) -> StreamShape | None:
        """The form of its stream, if its events can be read."""
        return None if self.encoded else self.shape


GARBAGE_BYTES = 64
"""How many bytes of garbage are sent."""


def raw_action(action: StreamAction, uniform: Uniform) -> Action | None:
    """Return the action on bytes of an unknown form; None if it needs events."""
    match action:
        case stream.Stall(seconds):
            return Stalling(seconds)
        case stream.Rechunk(split):
            return Splitting(uniform) if split else Merging(uniform, None)
        case stream.Pace(bytes_per_second=rate) if rate is not None:
            return PacingBytes(rate)
        case stream.CutStream():
            return _at_once(transform.Cut())
        case stream.ResetStream():
            return _at_once(transform.Reset())
        case stream.EndStream():
            return _at_once(transform.Finish())
    return None


def event_action(
    action: StreamAction,
    answer: ResponseInfo,
    shape: StreamShape,
    progress: Progress,
    uniform: Uniform,
) -> Action | None:
    """Return the action on a stream whose events can be read; None if it does not need them.

    By then ``progress`` has seen what came before the point.
    """
    decoder = shape.framing.decoder
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
            return EditingEvents(garbler(uniform, shape.framing), events, decoder())
        case stream.Rechunk(split=False):
            return Merging(uniform, decoder())
        case stream.Pace(events_per_second=rate) if rate is not None:
            return PacingEvents(rate, decoder())
    return None


def breaking(breaks: Break, uniform: Uniform) -> Action:
    """Return the action that breaks a connection within an answer."""
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
    """Draw garbage that is neither HTTP nor TLS, because neither begins with a zero."""
    return b"\0" + bytes(int(uniform() * 256) for _ in range(GARBAGE_BYTES - 1))


@frozen
class BuiltFaults:
    """What faults do to an answer, and which of them do nothing."""

    transform: Transform | None = None
    """None if no fault does anything."""
    undone: tuple[str, ...] = ()
    """Each fault that does nothing, and why, in words."""
    keeps_length: bool = True
    """Whether a body that goes on to its end keeps its length."""


def build_faults(
    faults: tuple[StreamFault, ...], breaks: Break | None, answer: ResponseInfo
) -> BuiltFaults:
    """Build the transform for stream faults, and for a break at a point."""
    made: list[Transform] = []
    undone: list[str] = []
    for place, fault in enumerate(faults):
        words = stream_words(fault)
        if answer.shape is None:
            undone.append(f"not reached: {words} ({answer.why_no_stream})")
        elif (chain := _of_stream(fault, words, answer, place)) is None:
            undone.append(f"not applied: {words} (the answer is compressed)")
        else:
            made.append(chain)
    if breaks is not None and breaks.point is not None:
        words = break_words(breaks)
        if (chain := _of_break(breaks, breaks.point, words, answer)) is None:
            why = "the answer is compressed" if answer.encoded else answer.why_no_stream
            undone.append(f"not reached: {words} ({why})")
        else:
            made.append(chain)
    length = all(fault.action.keeps_length for fault in faults)
    return BuiltFaults(_chained(made), tuple(undone), length)


def _chained(made: list[Transform]) -> Transform | None:
    chain: Transform | None = None
    for each in made:
        chain = each if chain is None else Chain(chain, each)
    return chain


def _of_stream(
    fault: StreamFault, words: str, answer: ResponseInfo, place: int
) -> Transform | None:
    """Build one stream fault; None if it needs events that cannot be read."""
    # It has its own numbers, so that they do not depend on what other faults draw.
    uniform = answer.numbers(f"stream fault {place}")
    action, shape = raw_action(fault.action, uniform), answer.readable_shape
    finder = _raw_finder(START if fault.point == FIRST_EVENT else fault.point)
    if shape is not None:
        progress = shape.progress()
        action = event_action(fault.action, answer, shape, progress, uniform) or action
        finder = _finder(fault.point, shape, progress, between=fault.action.whole_events)
    if action is None or finder is None:
        return None
    return Pointed(
        words,
        finder,
        action,
        harms=fault.action.harms,
        lasts_seconds=fault.action.lasts_seconds,
    )


def _of_break(breaks: Break, point: Point, words: str, answer: ResponseInfo) -> Transform | None:
    shape, finder = answer.readable_shape, _raw_finder(point)
    if shape is not None:
        finder = _finder(point, shape, shape.progress(), between=False)
    uniform = answer.numbers("break")
    if finder is None:
        return None
    action = breaking(breaks, uniform)
    return Pointed(words, finder, action, lasts_seconds=breaks.lasts_seconds)


# -- finders ------------------------------------------------------------------------------------


def _finder(point: Point, shape: StreamShape, progress: Progress, *, between: bool) -> Finder:
    """Return a finder of a point in a stream; with ``between``, never within an event."""

    def observe(piece: StreamEvent) -> None:
        if between and piece.is_event:  # else nobody asks how far the stream has got
            progress.observe(piece)

    match point:
        case EventPoint():
            return EventFinder(point, shape.framing.decoder(), observe)
        case BytesPoint(after_bytes) if between:
            return BoundaryFinder(after_bytes, 0.0, shape.framing.decoder(), observe)
        case TimePoint(after_seconds) if between:
            return BoundaryFinder(0, after_seconds, shape.framing.decoder(), observe)
    return _found_raw(point)


def _raw_finder(point: Point) -> Finder | None:
    """Return a finder of a point in bytes of an unknown form; None if that is impossible."""
    return None if isinstance(point, EventPoint) else _found_raw(point)


def _found_raw(point: BytesPoint | TimePoint) -> Finder:
    if isinstance(point, BytesPoint):
        return BytesFinder(point.after_bytes)
    return TimeFinder(point.after_seconds)
