"""Keeps a second task out of what only one may do at a time.

Knows nothing of what that is.
"""

from __future__ import annotations

from types import TracebackType

import trio
from attrs import define


@define(eq=False)
class OneAtATime:
    """A block that one task may be in; `trio.BusyResourceError` for the second."""

    doing: str
    """Goes before "this stream" in the message."""
    _in_use: bool = False

    def __enter__(self) -> None:
        if self._in_use:
            raise trio.BusyResourceError(f"another task is already {self.doing} this stream")
        self._in_use = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._in_use = False
