"""What is remembered of earlier requests, and that it is bounded."""

from __future__ import annotations

from faultinject.rules.counters import Attempts, Counters, Slot, Tally


def test_groups_are_bounded_and_the_least_recently_seen_is_forgotten() -> None:
    """Each rule has its own; what a rule itself counted is never forgotten."""
    counters = Counters(groups=2)
    counters.take("r")
    counters.take("r", "a")
    counters.take("r", "b")
    counters.take("r", "a")
    counters.take("other", "c")
    counters.take("r", "c")
    assert counters.take("r", "a") == 3
    assert counters.take("r", "b") == 1
    assert counters.take("r") == 2


def test_long_groups_are_not_kept() -> None:
    """A client may write 64 KiB into a header: only a digest stays."""
    counters = Counters()
    long = "x" * 60_000 + "\ud800"
    assert [counters.take("r", long), counters.take("r", long), counters.take("r", long + "y")] == [
        1, 2, 1,
    ]  # fmt: skip
    assert max(map(len, counters._grouped["r"])) <= 64


def test_a_slot_is_given_back_once() -> None:
    """However often that is said."""
    tally = Tally()
    one, _other = Slot(tally), Slot(tally)
    assert tally.open == 2
    one.give_back()
    one.give_back()
    assert tally.open == 1


def test_attempts_are_of_one_call_until_one_passes() -> None:
    """Then another call begins, with another name."""
    attempts = Attempts()
    first = [attempts.begin("f", None) for _ in range(3)]
    attempts.passed("f")
    assert [number for number, _ in first] == [1, 2, 3]
    assert len({call for _, call in first}) == 1
    again = attempts.begin("f", None)
    assert again[0] == 1
    assert again[1] != first[0][1]
    assert attempts.begin("g", None)[0] == 1
    attempts.passed("never seen")


def test_what_the_client_says_goes_before_what_was_counted() -> None:
    """A count of 0 begins a call; others go on with it, whatever passed."""
    attempts = Attempts()
    told = [attempts.begin("f", count) for count in (0, 1, 2, 0, 1)]
    assert [number for number, _ in told] == [1, 2, 3, 1, 2]
    assert told[0][1] == told[2][1] != told[3][1] == told[4][1]
    assert attempts.begin("g", 3)[0] == 4


def test_calls_are_bounded() -> None:
    """The least recently seen is forgotten."""
    attempts = Attempts(calls=2)
    for name in "aba":
        attempts.begin(name, None)
    attempts.begin("c", None)
    assert [attempts.begin(name, None)[0] for name in "ab"] == [3, 1]


def test_totals() -> None:
    """Each rule's own, in the order asked for; of one that was never reached, too."""
    counters = Counters()
    counters.take("a")
    counters.tally("a").fired += 1
    assert counters.totals(("b", "a")) == (
        {"rule": "b", "reached": 0, "fired": 0},
        {"rule": "a", "reached": 1, "fired": 1},
    )
