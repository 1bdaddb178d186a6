"""The demonstration's screen: wrapping, colours, encodings, and a reader that has gone."""

from __future__ import annotations

import io
import os
import re

import pytest

from faultinject.cli.demo.screen import MAX_COLUMNS, MIN_COLUMNS, OutputClosedError, Screen
from faultinject.http.message import ResponseHead

FAILURE = ResponseHead(429, b"Too Many Requests", ())
SUCCESS = ResponseHead(200, b"OK", ())


@pytest.fixture(autouse=True)
def no_color_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine decides about colours."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def output(encoding: str = "utf-8") -> io.TextIOWrapper:
    """Return a stream whose bytes can be looked at."""
    return io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")


def shown(stream: io.TextIOWrapper) -> str:
    """Return what was written to the stream."""
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


def show_all(screen: Screen) -> None:
    """Show something of everything."""
    screen.title("a title", "and more")
    screen.parts(("a client", "here"), ("b", "a longer note"))
    screen.note("a note " * 20)
    screen.step(1, "an act")
    screen.request("POST /")
    screen.response(FAILURE, "X: this")
    screen.body("word " * 40)
    for _ in range(40):
        screen.live(" word")
    screen.live_end()
    screen.inside("rule", "fires " * 30)
    screen.inside("injected", "429")
    screen.heading("Next")
    screen.commands("command one", "command two")


@pytest.mark.parametrize(
    ("columns", "widest"), [(80, 80), (120, MAX_COLUMNS), (10, MIN_COLUMNS), (61, 61)]
)
def test_no_line_is_too_long(columns: int, widest: int) -> None:
    """Texts are wrapped to the terminal, up to the width that is still good to read."""
    stream = output()
    show_all(Screen(stream, columns))
    lines = shown(stream).splitlines()
    assert max(map(len, lines)) == widest
    assert not any(line != line.rstrip() for line in lines)


def test_the_columns_of_the_terminal_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a width the terminal's is taken."""
    monkeypatch.setenv("COLUMNS", "77")
    assert Screen(output()).columns == 77


def test_without_colours_there_is_only_text() -> None:
    """What is no terminal gets no escape sequence."""
    stream = output()
    show_all(Screen(stream, 80))
    assert "\x1b" not in shown(stream)
    assert "◀ 429 Too Many Requests   X: this\n" in shown(stream)


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is red, a success green, an outcome has the colour of the proxy's own lines."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = output()
    screen = Screen(stream, 80)
    screen.response(FAILURE)
    screen.response(SUCCESS)
    screen.inside("injected", "429")
    red, green, magenta = shown(stream).splitlines()
    assert "\x1b[1;31m429" in red
    assert "\x1b[1;32m200" in green
    assert re.search(r"\x1b\[35minjected", magenta)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR wins."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = output()
    show_all(Screen(stream, 80))
    assert "\x1b" not in shown(stream)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_encodings_without_our_signs(encoding: str) -> None:
    """Where an encoding lacks them, others stand for arrows and lines."""
    stream = output(encoding)
    show_all(Screen(stream, 80))
    assert "   < 429 Too Many Requests" in shown(stream)
    assert "-->" in shown(stream)


def test_a_stream_without_encoding() -> None:
    """A stream of text alone, which has no encoding, gets plain signs."""
    stream = io.StringIO()
    Screen(stream, 80).request("POST /")
    assert stream.getvalue() == "   > POST /\n"


def test_pieces_are_shown_at_once() -> None:
    """A piece of a text is out before the next one comes, and lines break between words."""
    stream = output()
    screen = Screen(stream, MIN_COLUMNS)
    screen.live("Hello")
    assert shown(stream) == "     Hello"
    for word in ["", "this", "goes", "on", "and", "on", "and", "needs"][1:]:
        screen.live(f" {word}")
    screen.live_end()
    assert shown(stream) == "     Hello this goes on and on and needs\n"
    screen.live("one")
    for _ in range(8):
        screen.live(" more")
    screen.live_end()
    assert shown(stream).splitlines()[1:] == [
        "     one more more more more more more",
        "     more more",
    ]


def test_nothing_hostile_is_shown() -> None:
    """What came over the network is escaped."""
    stream = output()
    screen = Screen(stream, 80)
    screen.body("a\x1b[2Jb")
    screen.response(ResponseHead(200, b"O\x1bK", ()), "X: \x1b")
    screen.live("\x1b[2J")
    assert "\x1b" not in shown(stream)


def test_a_reader_that_has_gone() -> None:
    """A closed pipe is an error of ours, not the end of the interpreter."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    screen = Screen(stream, 80)
    with pytest.raises(OutputClosedError):
        screen.request("POST /")
    stream.close()
