"""The random numbers of a decision.

Knows nothing of what is drawn for.
"""

from __future__ import annotations

from hashlib import blake2b


class Draws:
    """The random numbers of one decision: the same for the same seed, rule id and number.

    They are the digest of those three and of their place in the row: a decision needs one or
    two, and to set up a generator of `random` costs as much as a thousand of its numbers.
    """

    def __init__(self, seed: int, rule_id: str, number: int) -> None:
        self._key = f"{seed}\0{rule_id}\0{number}".encode()
        self._place = 0

    def apart(self, purpose: str) -> Draws:
        """Return further numbers of the same decision, from their first, for one purpose."""
        apart = Draws.__new__(Draws)
        apart._key = blake2b(self._key + b"\0" + purpose.encode()).digest()
        apart._place = 0
        return apart

    def uniform(self) -> float:
        """Draw a number from 0 up to, not including, 1; each of 2**53 is as likely."""
        self._place += 1
        digest = blake2b(self._key, digest_size=8, salt=self._place.to_bytes(8)).digest()
        return (int.from_bytes(digest) >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """Draw whether something of this probability happens; 0 never does and 1 always."""
        return self.uniform() < probability
