"""How long a session waits, as one limit that moves on with each step.

Knows nothing of what is waited for beyond its name.
"""

from __future__ import annotations

from types import TracebackType

import trio


class PatienceEndedError(Exception):
    """A peer took too long; the message says for what. Comes out of the ``with`` block."""


class Patience:
    """A cancel scope with a limit that is set anew before each wait.

    One scope a session costs a tenth of one a wait. What it cancels unwinds to the end of the
    ``with`` block, which then raises `PatienceEndedError`.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._waiting_for = ""

    def expect(self, waiting_for: str, within_seconds: float) -> None:
        """From now on wait this long, for this."""
        self._waiting_for = waiting_for
        self._scope.deadline = trio.current_time() + within_seconds

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
            raise PatienceEndedError(
                f"nothing came for too long while waiting for {self._waiting_for}"
            )
        return swallowed
