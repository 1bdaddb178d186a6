"""Cancels at any step of a run, so that a test can try each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from attrs import define


@define(eq=False)
class CancelsAt(trio.abc.Instrument):
    """Calls ``cancel`` before the n-th step that any task makes."""

    step: int
    cancel: Callable[[], None]
    steps: int = 0

    @property
    def reached(self) -> bool:
        """Whether there were so many steps."""
        return self.steps >= self.step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count."""
        self.steps += 1
        if self.steps == self.step:
            self.cancel()


@contextmanager
def cancelled_at(step: int, cancel: Callable[[], None]) -> Iterator[CancelsAt]:
    """Call ``cancel`` before the n-th step within the block."""
    instrument = CancelsAt(step, cancel)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)
