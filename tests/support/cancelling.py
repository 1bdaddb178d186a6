"""Cancels at any step of a run, so that a test can try each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from attrs import define, field

import faultinject

PACKAGE = str(Path(faultinject.__file__).parent)


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


@define(eq=False)
class CancelsInNewState(trio.abc.Instrument):
    """Calls ``cancel`` before the first step in a state in which no run before was cancelled.

    The state is what has ``happened``, where each task that runs the package's code stands, and
    whether it is about to go on.
    """

    tried: set[object]
    """The states so far, of all runs."""
    happened: Callable[[], object]
    cancel: Callable[[], None]
    cancelled: bool = False
    _places: dict[trio.lowlevel.Task, int] = field(factory=dict)
    _woken: set[trio.lowlevel.Task] = field(factory=set)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """Note a task that is about to go on."""
        self._woken.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Cancel, if that is new."""
        if self.cancelled:
            return
        places = frozenset((place, each in self._woken) for each, place in self._places.items())
        state = (self.happened(), places)
        if state not in self.tried:
            self.tried.add(state)
            self.cancelled = True
            self.cancel()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note where it stands now."""
        self._woken.discard(task)
        if self.cancelled:
            return
        frames = [frame for frame, _ in task.iter_await_frames()]
        if any(frame.f_code.co_filename.startswith(PACKAGE) for frame in frames):
            self._places[task] = hash(tuple((id(each.f_code), each.f_lasti) for each in frames))

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """Forget it."""
        self._places.pop(task, None)


@contextmanager
def cancelled_at(step: int, cancel: Callable[[], None]) -> Iterator[CancelsAt]:
    """Call ``cancel`` before the n-th step within the block."""
    instrument = CancelsAt(step, cancel)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)


@contextmanager
def cancelled_in_new_state(
    tried: set[object], happened: Callable[[], object], cancel: Callable[[], None]
) -> Iterator[None]:
    """Call ``cancel`` within the block, in a state that is not among those ``tried``, if any."""
    instrument = CancelsInNewState(tried, happened, cancel)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)
