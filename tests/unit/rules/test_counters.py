"""What is remembered of earlier requests, and that it is bounded."""

from __future__ import annotations

from faultinject.rules.counters import Counters, Slot, Tally


def test_groups_are_bounded_and_the_least_recently_seen_is_forgotten() -> None:
    """Each rule has its own; what a rule itself counted is never forgotten."""
    counters = Counters(groups=2)
    counters.count("r")
    counters.count("r", "a")
    counters.count("r", "b")
    counters.count("r", "a")
    counters.count("other", "c")
    counters.count("r", "c")
    assert counters.count("r", "a") == 3
    assert counters.count("r", "b") == 1
    assert counters.count("r") == 2


def test_long_groups_are_not_kept() -> None:
    """A client may write 64 KiB into a header: only a digest stays."""
    counters = Counters()
    long = "x" * 60_000 + "\ud800"
    groups = [long, long, long + "y"]
    assert [counters.count("r", group) for group in groups] == [
        1, 2, 1,
    ]  # fmt: skip
    assert max(map(len, counters._grouped["r"])) <= 64


def test_a_slot_is_given_back_once() -> None:
    """However often that is said."""
    tally = Tally()
    one, _other = Slot(tally), Slot(tally)
    assert tally.open == 2
    one.release()
    one.release()
    assert tally.open == 1


def test_totals() -> None:
    """Each rule's own, in the order asked for; of one that was never reached, too."""
    counters = Counters()
    counters.count("a")
    counters.tally("a").fired += 1
    assert counters.totals(("b", "a")) == (
        {"rule": "b", "reached": 0, "fired": 0},
        {"rule": "a", "reached": 1, "fired": 1},
    )
