"""How long a session waits, as one limit that moves on with each step.

Knows nothing of what is waited for beyond its name.
"""

from __future__ import annotations

from types import TracebackType

import trio


class PatienceEndedError(Exception):
    """The wait is over before its time; the message says why. Comes out of the ``with`` block."""


class Patience:
    """A cancel scope with a limit that is set anew before each wait.

    One scope a session costs a tenth of one a wait. What it cancels unwinds to the end of the
    ``with`` block, which then raises `PatienceEndedError`.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._waiting_for = ""
        self._told_why: str | None = None

    def expect(self, waiting_for: str, within_seconds: float) -> None:
        """From now on wait this long, for this; up to a hundredth less is as good."""
        self._waiting_for = waiting_for
        deadline = trio.current_time() + within_seconds
        # Each change costs a sorted insertion, and there are several a request.
        if not 0 <= deadline - self._scope.deadline < within_seconds / 100:
            self._scope.deadline = deadline

    def allow(self, waiting_for: str, within_seconds: float) -> None:
        """From now on wait for this, which has a shorter limit of its own: at least so long."""
        self._waiting_for = waiting_for
        deadline = trio.current_time() + within_seconds
        if self._scope.deadline < deadline:
            self._scope.deadline = deadline

    def end(self, reason: str) -> None:
        """Wait no longer, for this reason."""
        self._told_why = reason
        self._scope.cancel()

    def __enter__(self) -> Patience:
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
            raise PatienceEndedError(self._told_why or waited)
        return swallowed
