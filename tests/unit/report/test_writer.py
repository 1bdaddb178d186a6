"""Events reach the stream; a bad stream delays and ends nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.events import (
    Event,
    ExchangeEnded,
    ProxyStarted,
    RuleUnfit,
    SessionFailed,
    SessionStarted,
    Warned,
)
from faultinject.report import EventOutput, Summary
from faultinject.report.table import render
from faultinject.report.writer import BATCH_EVENTS, json_line, wants_color
from tests.support.sample_events import SAMPLES, sample
from tests.support.text_streams import CountingStream, FailingStream, GatedStream

AT_ONCE = 0.01
"""How long the end of an output waits in tests in which it waits in vain."""


def written(*events: Event, **options: Any) -> str:
    """Return what an output writes for some events."""
    stream = io.StringIO()
    with EventOutput(stream, **options) as output:
        for event in events:
            output.listen(event)
    return stream.getvalue()


def test_text_lines_in_order() -> None:
    """Every event is written by the end of the block."""
    lines = written(*(sample(Warned, message=f"no {i}") for i in range(3))).splitlines()
    assert [line[-4:] for line in lines] == ["no 0", "no 1", "no 2"]


def test_json_lines() -> None:
    """Each line is the event's JSON."""
    text = written(sample(ProxyStarted), sample(ExchangeEnded, path="/\x1b\x7fü"), fmt="json")
    assert text.isascii()
    started, exchange = map(json.loads, text.splitlines())
    assert started["targets"] == ["api.anthropic.com", "*.example.com"]
    assert list(exchange)[:4] == ["event", "v", "level", "time"]
    assert exchange["time"] == "2027-01-15T08:00:00.250Z"
    assert exchange["path"] == "/\x1b\x7fü"


@given(data=st.data(), kind=st.sampled_from(list(SAMPLES)))
def test_json_holds_everything_and_nothing_hostile(data: st.DataObject, kind: type[Event]) -> None:
    """A line is printable ASCII and has every field's value."""
    texts = [name for name, value in SAMPLES[kind].items() if isinstance(value, str)]
    hostile = {name: data.draw(st.text(), name) for name in texts}
    line = json_line(sample(kind, **hostile))
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert json.loads(line).items() >= hostile.items()


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_levels(level: Any, count: int) -> None:
    """An event is written if it matters at least as much as asked for; not, is not a drop."""
    events = [sample(kind) for kind in (SessionStarted, ExchangeEnded, Warned, SessionFailed)]
    stream = io.StringIO()
    with EventOutput(stream, "json", level=level) as output:
        for event in events:
            output.listen(event)
    assert len(stream.getvalue().splitlines()) == count
    assert output.dropped == 0


@pytest.mark.parametrize(
    ("fmt", "level", "count"),
    [("text", "info", 1), ("text", "warning", 0), ("json", "warning", 1), ("json", "error", 0)],
)
def test_the_line_of_an_unfit_rule_is_no_warning(fmt: Any, level: Any, count: int) -> None:
    """It may do its work at another API. The event keeps its level."""
    stream = io.StringIO()
    with EventOutput(stream, fmt, level=level) as output:
        output.listen(sample(RuleUnfit))
    assert len(stream.getvalue().splitlines()) == count


def test_events_come_before_the_thread_too() -> None:
    """What is reported before the block begins is kept."""
    stream = io.StringIO()
    output = EventOutput(stream)
    output.listen(sample(Warned))
    with output:
        pass
    assert "listening on every address" in stream.getvalue()


def test_events_are_written_in_batches() -> None:
    """What is there is written at once, up to a bound."""
    stream = CountingStream()
    output = EventOutput(stream)
    for _ in range(BATCH_EVENTS + 1):
        output.listen(sample(Warned))
    with output:
        pass
    assert [text.count("\n") for text in stream.writes if text] == [BATCH_EVENTS, 1]


def test_color_goes_to_the_lines() -> None:
    """The option reaches the format."""
    assert "\x1b[" in written(sample(ExchangeEnded), color=True)
    assert "\x1b[" not in written(sample(ExchangeEnded), color=False)


def test_text_takes_its_turn() -> None:
    """Text is written as it is, after the events before it; a summary can be rendered to it."""
    stream = io.StringIO()
    with EventOutput(stream) as output:
        output.listen(sample(Warned))
        output.write("-- the end --\n")
        render(Summary(), output)
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("listening on every address")
    assert lines[1] == "-- the end --"
    assert "Summary" in stream.getvalue()


def test_full_queue_drops_and_says_so() -> None:
    """A blocked stream blocks no one; when it goes on, the number of drops follows."""
    stream = GatedStream()
    with EventOutput(stream, "json", limit=2) as output:
        output.listen(sample(Warned, message="first"))
        assert stream.reached.wait(10)
        for number in range(5):
            output.listen(sample(Warned, message=f"no {number}"))
        assert output.dropped == 3
        stream.gate.set()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("message") for line in lines] == ["first", "no 0", "no 1", None]
    assert lines[-1]["event"] == "events-dropped"
    assert lines[-1]["count"] == 3
    assert output.dropped == 3


def test_drops_are_shown_as_text_at_any_level() -> None:
    """Whoever reads only errors must know that some may be missing."""
    stream = GatedStream()
    with EventOutput(stream, level="error", limit=1) as output:
        output.listen(sample(SessionFailed))
        assert stream.reached.wait(10)
        for _ in range(2):
            output.listen(sample(SessionFailed))
        stream.gate.set()
    assert "1 event dropped" in stream.getvalue().splitlines()[-1]


def test_stream_that_blocks_for_ever_does_not_hold_the_end() -> None:
    """The end waits its time and counts what was not written."""
    stream = GatedStream()
    with EventOutput(stream, exit_seconds=AT_ONCE) as output:
        output.listen(sample(Warned))
        assert stream.reached.wait(10)
        output.listen(sample(Warned))
    assert output.dropped == 2
    stream.gate.set()  # let the thread go


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed")])
def test_broken_stream_is_left_alone(error: Exception) -> None:
    """After the reader has gone nothing is tried again, and everything counts as dropped."""
    stream = FailingStream(error)
    with EventOutput(stream) as output:
        output.listen(sample(Warned))
        assert stream.failed.wait(10)
    output.listen(sample(Warned))
    output.write("end")
    assert stream.getvalue() == ""
    assert output.dropped == 2


def test_closed_stream() -> None:
    """A stream that someone closed makes no error."""
    stream = io.StringIO()
    stream.close()
    with EventOutput(stream) as output:
        output.listen(sample(Warned))
    assert output.dropped == 1


def test_no_stream_at_all() -> None:
    """A program may be started without a stdout."""
    with EventOutput(None) as output:
        output.listen(sample(Warned))
    assert output.dropped == 1
    assert not wants_color(None)


def test_full_disk_may_have_room_again() -> None:
    """Other failures lose their batch only; the next one tells."""
    stream = FailingStream(OSError(28, "No space left on device"))
    with EventOutput(stream) as output:
        output.listen(sample(Warned, message="lost"))
        assert stream.failed.wait(10)
        output.listen(sample(Warned, message="kept"))
    first, second = stream.getvalue().splitlines()
    assert first.endswith("kept")
    assert "1 event dropped" in second
    assert output.dropped == 1


class Terminal(io.StringIO):
    """Claims to be one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_wants_color(terminal: bool, environment: dict[str, str], wanted: bool) -> None:
    """Terminals get colours, unless the user says otherwise."""
    stream = Terminal() if terminal else io.StringIO()
    assert wants_color(stream, environment) is wanted


PROGRAM = """
import sys
from faultinject.events import Warned
from faultinject.report import EventOutput
with EventOutput(sys.stdout, exit_seconds=0.05) as output:
    for _ in range(5000):
        output.listen(Warned(time=0.0, message="x" * 100))
print("ended", file=sys.stderr)
"""


def run_with_stdout(descriptor: int) -> subprocess.CompletedProcess[str]:
    """Run the program above with that stdout."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdout=descriptor,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there pipes break in another way")
@pytest.mark.parametrize("reader_gone", [True, False], ids=["closed pipe", "pipe no one reads"])
def test_program_ends_quietly(reader_gone: bool) -> None:
    """Neither a reader that has gone nor one that sleeps holds or soils the interpreter's exit."""
    reader, writer = os.pipe()
    try:
        if reader_gone:
            os.close(reader)
        ended = run_with_stdout(writer)
    finally:
        os.close(writer)
        if not reader_gone:
            os.close(reader)
    assert (ended.returncode, ended.stderr) == (0, "ended\n")
