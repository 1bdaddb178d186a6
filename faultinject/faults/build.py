"""From the descriptions of faults to what they do to one answer.

Knows nothing of how the answer comes and goes.
"""

from __future__ import annotations

from attrs import frozen

from faultinject.faults.actions import (
    breaking,
    event_action,
    keeps_length,
    lasting_seconds,
    only_takes_time,
    raw_action,
    speaks,
)
from faultinject.faults.answer import Answer
from faultinject.faults.breaks import Break
from faultinject.faults.labels import break_words, stream_words
from faultinject.faults.locate import BoundaryFinder, BytesFinder, EventFinder, Finder, TimeFinder
from faultinject.faults.point import FIRST_EVENT, START, BytesPoint, EventPoint, Point, TimePoint
from faultinject.faults.pointed import Pointed
from faultinject.faults.stream import StreamFault
from faultinject.faults.transform import Chain, Transform
from faultinject.providers.framing import StreamEvent
from faultinject.providers.provider import Progress, StreamShape


@frozen
class Made:
    """What faults do to an answer, and what they cannot do."""

    transform: Transform | None = None
    """None if they do nothing."""
    undone: tuple[str, ...] = ()
    """The words of each fault that does nothing, and why."""
    keeps_length: bool = True
    """Whether a body that goes on to its end is as long as it was."""


def make(faults: tuple[StreamFault, ...], breaks: Break | None, answer: Answer) -> Made:
    """Make what faults of the stream, and a break at a point, do to an answer."""
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
    length = all(keeps_length(fault.action) for fault in faults)
    return Made(_chained(made), tuple(undone), length)


def _chained(made: list[Transform]) -> Transform | None:
    chain: Transform | None = None
    for chain in made:
        chain = chain if chain is None else Chain(chain, chain)
    return chain


def _of_stream(fault: StreamFault, words: str, answer: Answer, place: int) -> Transform | None:
    """Make one fault of a stream; None if it needs to see events and cannot."""
    # Numbers of its own, so that they do not depend on what another fault draws, and when.
    uniform = answer.numbers(f"stream fault {place}")
    action, shape = raw_action(fault.action, uniform), answer.readable_shape
    finder = _raw_finder(START if fault.point == FIRST_EVENT else fault.point)
    if shape is not None:
        progress = shape.progress()
        action = event_action(fault.action, answer, shape, progress, uniform) or action
        finder = _finder(fault.point, shape, progress, between=speaks(fault.action))
    if action is None or finder is None:
        return None
    return Pointed(
        words,
        finder,
        action,
        harms=not only_takes_time(fault.action),
        lasts_seconds=lasting_seconds(fault.action),
    )


def _of_break(breaks: Break, point: Point, words: str, answer: Answer) -> Transform | None:
    shape, finder = answer.readable_shape, _raw_finder(point)
    if shape is not None:
        finder = _finder(point, shape, shape.progress(), between=False)
    uniform = answer.numbers("break")
    if finder is None:
        return None
    action = breaking(breaks, uniform)
    return Pointed(words, finder, action, lasts_seconds=lasting_seconds(breaks))


# -- finders ------------------------------------------------------------------------------------


def _finder(point: Point, shape: StreamShape, progress: Progress, *, between: bool) -> Finder:
    """Return what finds a point in a stream; with ``between``, never within an event."""

    def see(piece: StreamEvent) -> None:
        if between and piece.is_event:  # else nobody asks how far the stream has got
            progress.see(piece)

    match point:
        case EventPoint():
            return EventFinder(point, shape.decoder(), see)
        case BytesPoint(after_bytes) if between:
            return BoundaryFinder(after_bytes, 0.0, shape.decoder(), see)
        case TimePoint(after_seconds) if between:
            return BoundaryFinder(0, after_seconds, shape.decoder(), see)
    return _found_raw(point)


def _raw_finder(point: Point) -> Finder | None:
    """Return what finds a point in bytes of which nothing is known, if it can be found there."""
    return None if isinstance(point, EventPoint) else _found_raw(point)


def _found_raw(point: BytesPoint | TimePoint) -> Finder:
    if isinstance(point, BytesPoint):
        return BytesFinder(point.after_bytes)
    return TimeFinder(point.after_seconds)
