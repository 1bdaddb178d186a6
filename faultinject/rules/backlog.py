"""Work on attempts that is put off, so that no exchange waits for it."""

from __future__ import annotations

from collections import deque
from typing import Protocol

MOST_STEPS = 256
"""How many steps are put off, at most."""
MOST_BYTES = 512 * 1024
"""How many bytes they keep together, at most."""
_PART = 8
"""One step in so many is done at a time, or as many as keep one byte in so many."""


class Step(Protocol):
    """Something that can be done later as well."""

    kept_bytes: int
    """How many bytes it keeps until it is done."""

    def do(self) -> None:
        """Do it."""


class Backlog:
    """Steps that are put off. They are done in the order in which they came, each once.

    Whoever asks about attempts catches up first, so that the answer is as if nothing had been put
    off. Beyond the bounds the oldest steps are done as new ones come, several at a time: right
    behind another, a step takes half as long as alone between two exchanges.
    """

    def __init__(self, most_steps: int = 0, most_bytes: int = MOST_BYTES) -> None:
        """Put off ``most_steps`` at most: by default none, each is done at once."""
        self.puts_off = most_steps > 0
        """Whether a step may be left till later at all."""
        self._most_steps = most_steps
        self._most_bytes = most_bytes
        self.steps: deque[Step] = deque()
        """Those that wait. Only the backlog changes them."""
        self._bytes = 0

    def put_off(self, step: Step) -> None:
        """Add a step."""
        self.steps.append(step)
        self.keep(step.kept_bytes)

    def keep(self, more_bytes: int) -> None:
        """Note that the steps keep more: one that waits has grown."""
        self._bytes += more_bytes
        if len(self.steps) > self._most_steps or self._bytes > self._most_bytes:
            steps = self._most_steps - self._most_steps // _PART
            kept_bytes = self._most_bytes - self._most_bytes // _PART
            while len(self.steps) > steps or self._bytes > kept_bytes:
                self.do_next()

    def do_next(self) -> None:
        """Do the oldest step. Raises `IndexError` if there is none."""
        step = self.steps.popleft()
        self._bytes -= step.kept_bytes
        step.do()

    def catch_up(self) -> None:
        """Do all steps that are left."""
        while self.steps:
            self.do_next()
