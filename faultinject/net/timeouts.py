"""How long a session waits, as one deadline that moves with each step."""

from __future__ import annotations

import math
from types import TracebackType

import trio


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
