"""How long a session waits, without a timer for each wait.

`Timeout` is one deadline that moves with each step. `FirstWaits` limits the first moments of waits,
in which nothing is done beside them.
"""

from __future__ import annotations

import math
from collections import deque
from types import TracebackType

import trio
from attrs import define

from faultinject.net.socket_stream import SocketStream, StoppedWaitingError
from faultinject.net.streams import Peekable


class TimeoutExpiredError(Exception):
    """The wait is over. The message names what was waited for, or why it was ended early.

    It is raised at the end of the ``with`` block.
    """


class Timeout:
    """A cancel scope whose deadline is set anew before each wait.

    One scope for a session costs a tenth of what one scope for each wait would. The block that it
    cancels unwinds to the end of the ``with`` statement, which then raises `TimeoutExpiredError`.
    """

    def __init__(self, waiting_for: str = "", within_seconds: float | None = None) -> None:
        """Expire this many seconds from now; None for not before `reset`."""
        deadline = math.inf if within_seconds is None else trio.current_time() + within_seconds
        self._scope = trio.CancelScope(deadline=deadline)
        self._waiting_for = waiting_for
        self._expired_because: str | None = None

    def reset(self, waiting_for: str, within_seconds: float) -> None:
        """Expire this many seconds from now, or up to a hundredth earlier."""
        self._waiting_for = waiting_for
        deadline = trio.current_time() + within_seconds
        # Each change costs a sorted insertion, and there are several a request.
        if not 0 <= deadline - self._scope.deadline < within_seconds / 100:
            self._scope.deadline = deadline

    def extend(self, waiting_for: str, within_seconds: float) -> None:
        """Expire no earlier than this many seconds from now.

        This is for a wait that has a shorter limit of its own.
        """
        self._waiting_for = waiting_for
        deadline = trio.current_time() + within_seconds
        if self._scope.deadline < deadline:
            self._scope.deadline = deadline

    def expire(self, reason: str) -> None:
        """Expire now, for this reason."""
        self._expired_because = reason
        self._scope.cancel()

    @property
    def expired(self) -> bool:
        """Whether it has expired, so that the block ends."""
        return self._scope.cancel_called

    def __enter__(self) -> Timeout:
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        swallowed = bool(self._scope.__exit__(kind, error, traceback))
        if self._scope.cancelled_caught:
            waited = f"nothing came for too long while waiting for {self._waiting_for}"
            raise TimeoutExpiredError(self._expired_because or waited)
        return swallowed


@define(eq=False)
class _FirstWait:
    """The block of one wait on a stream that can be stopped."""

    stream: SocketStream
    deadline: float
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

    It is for a short time in which nothing is done beside a wait: a second task costs as much as
    the rest of a short exchange, and most waits are over before it would be of use.

    As all take equally long at most, they end in the order in which they began: a queue, and one
    task that sleeps until the first one's end, take the place of a deadline for each.
    """

    def __init__(self, seconds: float) -> None:
        """Limit waits to so many seconds."""
        self.seconds = seconds
        self._queue: deque[_FirstWait] = deque()
        self._sleep: trio.CancelScope | None = None

    def on(self, stream: Peekable | None) -> _FirstWait | trio.CancelScope:
        """Return a block in which something is received that comes over this lowest stream.

        When the time is over, the receive that waits ends without loss, as if it were cancelled,
        and so does the block. Nothing else may be waited for in the block. Enter it at once. Its
        ``deadline`` is on Trio's clock.
        """
        deadline = trio.current_time() + self.seconds
        if self._sleep is None or not isinstance(stream, SocketStream):
            return trio.CancelScope(deadline=deadline)
        wait = _FirstWait(stream, deadline)
        queue = self._queue
        queue.append(wait)
        while queue[0].over:
            queue.popleft()
        # To move the deadline now and then costs less than to wake the task for nothing.
        if not 0 <= queue[0].deadline - self._sleep.deadline < self.seconds / 2:
            self._sleep.deadline = queue[0].deadline
        return wait

    async def run(self) -> None:
        """End the waits whose time is over, until this is cancelled.

        As long as it does not run, each wait has a cancel scope.
        """
        try:
            while True:
                deadline = self._queue[0].deadline if self._queue else math.inf
                with trio.CancelScope(deadline=deadline) as self._sleep:
                    await trio.sleep_forever()
                self._end_first_ones()
        finally:
            self._sleep = None

    def _end_first_ones(self) -> None:
        now = trio.current_time()
        while self._queue and (self._queue[0].over or self._queue[0].deadline <= now):
            wait = self._queue.popleft()
            if not wait.over:
                wait.stream.stop_waiting()
