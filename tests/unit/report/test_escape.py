"""Text from the network cannot act on a terminal."""

from hypothesis import example, given
from hypothesis import strategies as st

from faultinject.report.display import brief, safe


@given(st.text(st.characters(codec=None)))
@example("\x1b[31m\r\n\x00\x7f\x9b\u202e\ud800")
def test_nothing_unprintable_is_left(text: str) -> None:
    """Control characters, directional marks and lone surrogates are all escaped."""
    assert safe(text).isprintable()


def test_escapes_are_readable_and_the_rest_stays() -> None:
    """What was there can still be read; printable text of any script stays."""
    assert safe("a\x1b[2Jb\n\u202eü 日本") == r"a\x1b[2Jb\n\u202eü 日本"


def test_brief_text_stays_whole() -> None:
    """A text of exactly the bound is not cut."""
    assert brief("x" * 9, 9) == "x" * 9


def test_long_text_keeps_beginning_and_end() -> None:
    """The cut text has exactly the bound's length."""
    assert brief("abcdefghijklmnop", 9) == "abc...nop"
    assert len(brief("x" * 1000, 80)) == 80


def test_cut_before_escape() -> None:
    """A cut never leaves a control character, nor half an escape."""
    assert brief("\x1b" * 100, 9) == r"\x1b" * 3 + "..." + r"\x1b" * 3
