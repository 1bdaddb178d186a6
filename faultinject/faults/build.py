"""Builds the transform of one answer from the descriptions of faults."""

from __future__ import annotations

from attrs import frozen

from faultinject.faults.breaks import Break, break_words
from faultinject.faults.locate import BoundaryFinder, BytesFinder, EventFinder, TimeFinder
from faultinject.faults.place import FIRST_EVENT, START, BytesPoint, EventPoint, Point, TimePoint
from faultinject.faults.stream import StreamFault, stream_words
from faultinject.faults.stream.stream_action import EventStream, ResponseInfo
from faultinject.faults.transform import AtOnce, Chain, Finder, Pointed, Transform
from faultinject.providers.framing import StreamEvent
from faultinject.providers.shape import Progress, StreamShape


@frozen(eq=False, repr=False)
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
            why = "the answer is compressed" if answer.encoded else fault.action.lacking
            undone.append(f"not applied: {words} ({why})")
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
    """Build one stream fault; None if it needs events that cannot be read, or that are others."""
    # It has its own numbers, so that they do not depend on what other faults draw.
    uniform = answer.numbers(f"stream fault {place}")
    action, shape = fault.action.on_bytes(uniform), answer.readable_shape
    finder = _raw_finder(START if fault.point == FIRST_EVENT else fault.point)
    if shape is not None:
        progress = shape.progress()
        stream = EventStream(answer, shape, progress, uniform)
        action = fault.action.on_events(stream) or action
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
    action = AtOnce(lambda now_seconds: breaks.how.acts(now_seconds, uniform))
    return Pointed(words, finder, action, lasts_seconds=breaks.how.lasts_seconds)


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
