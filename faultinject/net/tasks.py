"""Two tasks of which one is the point and the other keeps watch.

Knows nothing of what either does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def beside(
    watch: Callable[[trio.CancelScope], Awaitable[None]], main: Callable[[], Awaitable[T]]
) -> T | None:
    """Run ``main`` with ``watch`` beside it; when ``main`` ends, so does ``watch``.

    ``watch`` is handed a scope with which it can end ``main``, which then returns None, and must
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
    if failure is not None:
        raise failure
    return result
