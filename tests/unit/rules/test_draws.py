"""Counting and drawing: what a seed promises."""

from __future__ import annotations

import pytest

from faultinject.rules import Counters, Draws

FORKED = 0.47413506327894406
PROMISED = {
    1: [0.12711268816844723, 0.7185830827723196, 0.06951216052808074],
    2: [0.9938278283691252, 0.5120158584098105, 0.36450678590583174],
}


def test_every_rule_and_group_is_counted_from_one() -> None:
    """Apart from each other."""
    counters = Counters()
    assert [counters.count("a") for _ in range(3)] == [1, 2, 3]
    assert counters.count("b") == 1
    assert [counters.count("a", "group") for _ in range(2)] == [1, 2]
    assert counters.count("a") == 4


def drawn(seed: int, rule_id: str, number: int) -> list[float]:
    """Return the first numbers of a decision."""
    draws = Draws(seed, rule_id, number)
    return [draws.uniform() for _ in range(3)]


def test_a_decision_draws_the_same_numbers_whenever_it_is_made() -> None:
    """They depend on seed, rule and number alone."""
    assert drawn(7, "rule", 3) == drawn(7, "rule", 3)
    assert len(set(drawn(7, "rule", 3))) == 3


def test_the_numbers_of_a_seed_are_a_promise() -> None:
    """A run of last year can be repeated: changing these numbers breaks that."""
    assert drawn(1, "options", 1) == PROMISED[1]
    assert drawn(1, "options", 2) == PROMISED[2]
    assert Draws(1, "options", 1).fork("ids").uniform() == FORKED


@pytest.mark.parametrize(
    "other", [(8, "rule", 3), (7, "rule2", 3), (7, "rule", 4), (7, "rul", 3), (-7, "rule", 3)]
)
def test_another_seed_rule_or_number_draws_others(other: tuple[int, str, int]) -> None:
    """No two decisions share their numbers."""
    assert not set(drawn(*other)) & set(drawn(7, "rule", 3))


def test_digits_do_not_run_together() -> None:
    """Rule "1" at 23 is not rule "12" at 3."""
    assert drawn(1, "1", 23) != drawn(1, "12", 3)
    assert drawn(11, "", 1) != drawn(1, "1", 1)


def test_numbers_are_spread_evenly() -> None:
    """In tenths, 10,000 first draws: chi-square with 9 degrees of freedom, 99.9 % (27.88)."""
    tenths = [0] * 10
    for number in range(10_000):
        tenths[int(Draws(2024, "rule", number).uniform() * 10)] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in tenths) < 27.88


def test_nothing_is_never_drawn_and_everything_always() -> None:
    """A draw is below 1 and not below 0."""
    for number in range(2_000):
        assert not Draws(5, "rule", number).chance(0)
        assert Draws(5, "rule", number).chance(1)
