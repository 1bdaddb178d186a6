"""Counting how often rules were reached, and the random numbers of each time.

Knows nothing of what is drawn for.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b


class Counters:
    """How often each rule was reached. Lives as long as the run, outside of any rule set."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()

    def take(self, rule_id: str, group: str = "") -> int:
        """Count one more time that a rule was reached and return its number, from 1."""
        key = (rule_id, group)
        self._taken[key] += 1
        return self._taken[key]


class Draws:
    """The random numbers of one decision: the same for the same seed, rule id and number.

    They are the digest of those three and of their place in the row: a decision needs one or
    two, and to set up a generator of `random` costs as much as a thousand of its numbers.
    """

    def __init__(self, seed: int, rule_id: str, number: int) -> None:
        self._key = f"{seed}\0{rule_id}\0{number}".encode()
        self._place = 0

    def uniform(self) -> float:
        """Draw a number from 0 up to, not including, 1; each of 2**53 is as likely."""
        self._place += 1
        digest = blake2b(self._key, digest_size=8, salt=self._place.to_bytes(8)).digest()
        return (int.from_bytes(digest) >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """Draw whether something of this probability happens; 0 never does and 1 always."""
        return self.uniform() < probability
