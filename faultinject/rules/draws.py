"""Counting how often rules were reached, and the random numbers of each time.

Knows nothing of what is drawn for.
"""

from __future__ import annotations

import random
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
    """The random numbers of one decision: the same for the same seed, rule id and number."""

    def __init__(self, seed: int, rule_id: str, number: int) -> None:
        key = f"{seed}\0{rule_id}\0{number}".encode()
        self._random = random.Random(blake2b(key, digest_size=16).digest())  # noqa: S311

    def chance(self, probability: float) -> bool:
        """Draw whether something of this probability happens; 0 never does and 1 always."""
        return self._random.random() < probability
