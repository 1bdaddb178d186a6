"""The first moments of a wait, in which nothing is done beside it.

A second task that watches something else meanwhile costs as much as the rest of a short exchange,
and most waits are over before it would be of use.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType

import trio
from attrs import define

from faultinject.net.socket_stream import SocketStream, StoppedWaitingError
from faultinject.net.streams import Peekable


@define(eq=False)
class _FirstWait:
    """The block of one wait on a stream that can be stopped."""

    stream: SocketStream
    ends_at: float
    over: bool = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.over = True
        self.stream.stopped = False
        return kind is StoppedWaitingError


class FirstWaits:
    """Limits waits to one and the same time, at a fraction of what a cancel scope costs.

    As all take equally long at most, they end in the order in which they began: a queue, and one
    task that sleeps until the first one's end, take the place of a deadline for each.
    """

    def __init__(self, seconds: float) -> None:
        """Limit waits to so many seconds."""
        self.seconds = seconds
        self._queue: deque[_FirstWait] = deque()
        self._sleep: trio.CancelScope | None = None

    def on(self, stream: Peekable | None) -> AbstractContextManager[object]:
        """Return a block in which something is received that comes over this lowest stream.

        When the time is over, the receive that waits ends without loss, as if it were cancelled,
        and so does the block. Nothing else may be waited for in the block. Enter it at once.
        """
        if self._sleep is None or not isinstance(stream, SocketStream):
            return trio.move_on_after(self.seconds)
        wait = _FirstWait(stream, trio.current_time() + self.seconds)
        queue = self._queue
        queue.append(wait)
        while queue[0].over:
            queue.popleft()
        # To move the deadline now and then costs less than to wake the task for nothing.
        if not 0 <= queue[0].ends_at - self._sleep.deadline < self.seconds / 2:
            self._sleep.deadline = queue[0].ends_at
        return wait

    async def run(self) -> None:
        """End the waits whose time is over, until this is cancelled.

        As long as it does not run, each wait has a cancel scope.
        """
        try:
            while True:
                ends_at = self._queue[0].ends_at if self._queue else math.inf
                with trio.CancelScope(deadline=ends_at) as self._sleep:
                    await trio.sleep_forever()
                self._end_first_ones()
        finally:
            self._sleep = None

    def _end_first_ones(self) -> None:
        now = trio.current_time()
        while self._queue and (self._queue[0].over or self._queue[0].ends_at <= now):
            wait = self._queue.popleft()
            if not wait.over:
                wait.stream.stop_waiting()
