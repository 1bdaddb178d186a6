"""Small additions to Trio's tasks: a task that runs with a watcher, and a block for one task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

import trio
from attrs import define

T = TypeVar("T")


async def run_with_watcher(
    watch: Callable[[trio.CancelScope], Awaitable[None]], main: Callable[[], Awaitable[T]]
) -> T | None:
    """Run ``main`` and ``watch`` at once; when ``main`` ends, ``watch`` is cancelled.

    ``watch`` gets a scope with which it can cancel ``main``; this then returns None. ``watch`` must
    raise nothing. What ``main`` raises comes out as it is, not wrapped in a group.
    """
    result: T | None = None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        try:
            result = await main()
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        nursery.cancel_scope.cancel()
    try:
        if failure is not None:
            raise failure
    finally:
        failure = None  # its traceback has this frame, and would keep it for the garbage collector
    return result


@define(eq=False, repr=False)
class ConflictDetector:
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
