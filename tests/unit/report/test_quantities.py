"""Numbers are worded for people."""

import pytest

from faultinject.report.display import byte_count, percent, times


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (9_999, "9999 B"),
        (10_000, "10.0 kB"),
        (1_000_000, "1.0 MB"),
        (23_400_000, "23.4 MB"),
        (5_000_000_000, "5.0 GB"),
        (7_000_000_000_000, "7000.0 GB"),
    ],
)
def test_byte_count(number: int, text: str) -> None:
    """Short numbers are exact, long ones in the unit that fits."""
    assert byte_count(number) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0 %"), (0.1, "10 %"), (1, "100 %"), (1 / 6, "16.7 %"), (0.00025, "0.025 %")],
)
def test_percent(probability: float, text: str) -> None:
    """No zeros without meaning, and small rates do not become zero."""
    assert percent(probability) == text


def test_times() -> None:
    """One is singular; nouns may have a plural of their own."""
    assert times(1, "event") == "1 event"
    assert times(0, "event") == "0 events"
    assert times(2, "tunnel was", "tunnels were") == "2 tunnels were"
