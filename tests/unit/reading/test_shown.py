"""Tests of how values are shown in messages."""

from hypothesis import given
from hypothesis import strategies as st

from faultinject.reading.shown import one_line, shown_text, shown_value


def test_text_is_shown_in_quotes():
    """A short value stands as it was written."""
    assert shown_text("bücher.de") == "'bücher.de'"


def test_what_breaks_a_line_is_escaped():
    """Line ends, terminal codes and half surrogates cannot get out."""
    assert one_line("a\nb\x1b[31m\ud800\u202e") == r"a\nb\x1b[31m\ud800\u202e"


def test_long_values_are_cut():
    """A message stays readable."""
    assert shown_text("x" * 100) == "'" + "x" * 57 + "...'"


def test_values_are_shown_as_json_spells_them():
    """What the user wrote in the file is what the message says."""
    assert shown_value(True) == "true"
    assert shown_value("0.5") == '"0.5"'
    assert shown_value({"a": [1, None]}) == '{"a": [1, null]}'


def test_a_value_too_deep_for_json_is_shown_by_its_type():
    """Showing a value never fails."""
    value = []
    for _ in range(100_000):
        value = [value]
    assert shown_value(value) == "list"


@given(st.text())
def test_any_text_becomes_one_line(text):
    """No text makes a second line, and every result can be written."""
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
