"""Delays: what a number between 0 and 1 comes to in seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultinject.faults.delay import Exponential, Fixed, LogNormal, Normal, Pareto, Range

E = math.e


@pytest.mark.parametrize(
    ("length", "quantiles"),
    [
        (Fixed(2), {0.0: 2, 0.9: 2}),
        (Range(1, 3), {0.0: 1, 0.5: 2, 0.75: 2.5}),
        (Normal(10, 2), {0.5: 10, 0.841344746: 12, 0.158655254: 8}),
        (Normal(1, 5), {0.0: 0, 0.1: 0}),
        (Normal(10, 2, 11), {0.9: 11}),
        (LogNormal(2, 1), {0.5: 2, 0.841344746: 2 * E, 0.158655254: 2 / E}),
        (LogNormal(2, 1, 3), {0.9: 3}),
        (Exponential(4), {0.0: 0, 1 - 1 / E: 4, 1 - 1 / E**2: 8}),
        (Exponential(4, 5), {0.9: 5}),
        (Pareto(1, 2, 60), {0.0: 1, 0.75: 2, 0.99: 10, 0.9999999: 60}),
    ],
)
def test_quantiles(length, quantiles) -> None:
    """As tables of the distributions have them."""
    for number, seconds in quantiles.items():
        assert length.quantile(number) == pytest.approx(seconds, abs=1e-6)


POSITIVE = st.floats(0.001, 1e8)
LENGTHS = st.one_of(
    st.builds(Normal, POSITIVE, POSITIVE),
    st.builds(LogNormal, POSITIVE, st.floats(1e-9, 1e9)),
    st.builds(Exponential, POSITIVE),
    st.builds(Pareto, POSITIVE, st.floats(1e-9, 1e9), POSITIVE),
)


@given(LENGTHS, st.floats(0, 1, exclude_max=True))
def test_every_number_gives_a_time(length, number) -> None:
    """Finite, not below 0, and a larger number never a shorter one."""
    seconds = length.quantile(number)
    assert 0 <= seconds < math.inf
    assert length.quantile(number / 2) <= seconds
