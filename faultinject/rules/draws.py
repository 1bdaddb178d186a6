"""The random numbers of a decision."""

from __future__ import annotations

from hashlib import blake2b


class Draws:
    """The random numbers of one decision: the same for the same seed, rule id and number.

    Each is a digest of those three and of its position. A decision needs one or two numbers, and
    setting up a generator of `random` costs as much as a thousand of its numbers.
    """

    def __init__(self, seed: int, rule_id: str, number: int) -> None:
        self._key = f"{seed}\0{rule_id}\0{number}".encode()
        self._place = 0

    def fork(self, purpose: str) -> Draws:
        """Return a separate sequence of numbers of the same decision, for one purpose."""
        fork = Draws.__new__(Draws)
        fork._key = blake2b(self._key + b"\0" + purpose.encode()).digest()
        fork._place = 0
        return fork

    def uniform(self) -> float:
        """Draw a number from 0 up to, not including, 1, out of 2**53 equally likely ones."""
        self._place += 1
        digest = blake2b(self._key, digest_size=8, salt=self._place.to_bytes(8)).digest()
        return (int.from_bytes(digest) >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """Return True with a probability: never if it is 0, always if it is 1."""
        if 0 < probability < 1:
            return self.uniform() < probability
        self._place += 1  # as if the number had been looked at: others have the same place
        return probability >= 1
