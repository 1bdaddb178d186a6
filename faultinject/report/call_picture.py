"""A call's attempts as a picture: words at the left, beside them bars on a time axis (SVG).

Places along the axis are parts of its width, so the picture is as wide as the page, and its text
stays as large as the page's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

from attrs import frozen

from faultinject.report.attempt import SeenAttempt
from faultinject.report.client_calls import Call
from faultinject.report.display import times
from faultinject.report.markup import element
from faultinject.report.words import result, seconds

ROW = 26
"""Pixels from one attempt to the next."""
AXIS = 22
"""Pixels below the attempts, for the times."""
ROWS = 12
"""So many attempts of a call are drawn; of more those in the middle are left out."""
BAR = 12
NARROWEST = 0.2
"""A bar is at least this part of the axis (of 100) wide, so that it is seen."""
TICKS = 4
"""So many steps the axis has, about."""
MINUTES = 120.0
"""From so many seconds on they are minutes."""
BEYOND = 1.25
"""A wait that was asked for makes the axis longer, but by no more than this."""
LEGEND = (
    ("good", "a whole answer"),
    ("error", "an error as the answer"),
    ("broken", "broken off, or an error within"),
    ("left", "the client left"),
    ("stopped", "the run ended"),
    ("asked", "the wait that the answer asked for"),
)
"""What the colours mean."""


def look(attempt: SeenAttempt) -> str:
    """Return what colour an attempt has, by a word of `LEGEND`."""
    if attempt.failure is not None:
        return "error" if attempt.failure == "answer" else "broken"
    if attempt.client_left:
        return "left"
    return {"stopped": "stopped", "whole": "good"}.get(attempt.seen.taken or "", "broken")


@frozen(eq=False, repr=False)
class _Axis:
    """The time of a call, from its first attempt on."""

    start: float
    seconds: float

    @classmethod
    def of(cls, attempts: list[SeenAttempt]) -> _Axis:
        start = min(each.began for each in attempts)
        ended = max(each.ended for each in attempts) - start
        until_asked = max(
            (until for each in attempts if (until := _asked_until(each))), default=start
        )
        return cls(start, max(ended, min(until_asked - start, ended * BEYOND), 0.01))

    def part(self, time: float) -> float:
        """Return where a time is, from 0 to 100."""
        return round(min(100.0, max(0.0, (time - self.start) / self.seconds * 100)), 2)

    def ticks(self) -> Iterator[float]:
        """Return round numbers of seconds along the axis."""
        unit = 1.0 if self.seconds < MINUTES else 60.0
        least = self.seconds / unit / TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = unit * next(power * each for each in (1, 2, 5, 10) if power * each >= least)
        for number in range(int(self.seconds / step) + 1):
            yield number * step


def picture(call: Call, *, words: str) -> Element:
    """Return the picture of a call; ``words`` say the same to those who do not see it."""
    attempts = call.attempts
    axis, rows = _Axis.of(attempts), list(_rows(call))
    height = ROW * len(rows)
    marks = [
        mark
        for place, row in enumerate(rows)
        if row is not None
        for mark in _marks(row, axis, place * ROW + ROW // 2)
    ]
    drawn = element(
        "svg", *_grid(axis, height), *marks, role="img", aria_label=words, height=height + AXIS
    )
    before = {other.number: one.gap_to(other) for one, other in pairwise(attempts)}
    names = [_name(row, before, call) for row in rows]
    return element("div", element("ol", *names), drawn, class_="picture")


def _rows(call: Call) -> Iterator[SeenAttempt | None]:
    """Return the attempts that are shown, and None for all those between them that are not."""
    attempts, half = call.attempts, ROWS // 2
    if call.count <= ROWS:
        yield from attempts
    else:
        yield from [*attempts[:half], None, *attempts[-half:]]


def _name(row: SeenAttempt | None, before: dict[int, float], call: Call) -> Element:
    if row is None:
        return element("li", f"{call.count - ROWS} more", class_="left-out")
    item = element("li", result(row), value=row.number, title=_words(row))
    if row.number in before:
        gap = seconds(max(0.0, before[row.number]))
        item.append(element("small", f" after {gap}"))
    return item


def _words(attempt: SeenAttempt) -> str:
    """Return an attempt in words: what a bar says if it is pointed at."""
    words = f"attempt {attempt.number}: {result(attempt)}, took {_span(attempt)}"
    asked_wait = attempt.seen.wait_asked_seconds
    return words if asked_wait is None else f"{words}, asked to wait {seconds(asked_wait)}"


def _span(attempt: SeenAttempt) -> str:
    return seconds(max(0.0, attempt.ended - attempt.began))


def _marks(attempt: SeenAttempt, axis: _Axis, y: int) -> Iterator[Element]:
    """Return the bar of an attempt, and the mark of the wait that it was told."""
    if (until := _asked_until(attempt)) is not None:
        start, end = axis.part(attempt.known), axis.part(until)
        yield _line(start, y, end, y, "asked")
        if until - axis.start <= axis.seconds:
            yield _line(end, y - BAR // 2, end, y + BAR // 2, "asked end")
        else:
            yield element("text", "→", x="100%", y=y + 4, class_="asked", text_anchor="end")
    start = axis.part(attempt.began)
    width = max(NARROWEST, round(axis.part(attempt.ended) - start, 2))
    yield element(
        "rect",
        element("title", _words(attempt)),
        x=f"{start}%",
        y=y - BAR // 2,
        width=f"{width}%",
        height=BAR,
        rx=2,
        class_=look(attempt),
    )


def _grid(axis: _Axis, height: int) -> Iterator[Element]:
    for tick in axis.ticks():
        x = axis.part(axis.start + tick)
        yield _line(x, 0, x, height, "grid")
        anchor = "start" if tick == 0 else "end" if x > 92 else "middle"
        yield element("text", seconds(tick), x=f"{x}%", y=height + 15, text_anchor=anchor)


def _line(x1: float, y1: int, x2: float, y2: int, class_: str) -> Element:
    return element("line", x1=f"{x1}%", y1=y1, x2=f"{x2}%", y2=y2, class_=class_)


def _asked_until(attempt: SeenAttempt) -> float | None:
    asked_wait = attempt.seen.wait_asked_seconds
    return None if asked_wait is None else attempt.known + asked_wait


def attempts_table(call: Call) -> Element:
    """Return the numbers of a call's attempts, as far as they are shown."""
    heads = ("attempt", "result", "began at", "first byte after", "took", "asked to wait")
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    body = [element("tr", *map(_cell, _numbers(row))) for row in _rows(call) if row is not None]
    more = call.count - len(body)
    left_out = [element("caption", f"{times(more, 'attempt')} left out")] if more else []
    return element("table", *left_out, element("thead", head), element("tbody", *body))


def _cell(text: str) -> Element:
    return element("td", text)


def _numbers(attempt: SeenAttempt) -> tuple[str, ...]:
    first, asked_wait = attempt.seen.first_byte_seconds, attempt.seen.wait_asked_seconds
    return (
        str(attempt.number),
        result(attempt),
        seconds(attempt.began),
        "" if first is None else seconds(first),
        _span(attempt),
        "" if asked_wait is None else seconds(asked_wait),
    )
