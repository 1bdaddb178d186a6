"""Two tasks, of which one is the point."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from faultinject.net.tasks import run_with_watcher


async def forever(_ended: trio.CancelScope) -> None:
    """Watch something that never happens."""
    await trio.sleep_forever()


async def test_when_the_point_is_reached_the_watch_ends(autojump_clock: MockClock) -> None:
    """And what it brought is returned."""
    watched: list[str] = []

    async def watch(_ended: trio.CancelScope) -> None:
        try:
            await trio.sleep_forever()
        finally:
            watched.append("ended")

    async def main() -> int:
        await trio.sleep(1)
        return 7

    assert await run_with_watcher(watch, main) == 7
    assert watched == ["ended"]


async def test_the_watch_can_end_what_it_watches(autojump_clock: MockClock) -> None:
    """Nothing is returned then."""

    async def watch(ended: trio.CancelScope) -> None:
        await trio.sleep(1)
        ended.cancel()

    async def main() -> int:
        await trio.sleep_forever()
        return 7

    assert await run_with_watcher(watch, main) is None


async def test_a_watch_may_end_early(autojump_clock: MockClock) -> None:
    """Then there is nothing more to watch for."""

    async def watch(_ended: trio.CancelScope) -> None: ...

    async def main() -> int:
        await trio.sleep(1)
        return 7

    assert await run_with_watcher(watch, main) == 7


async def test_an_error_comes_out_as_it_is() -> None:
    """Not in a group: callers catch it by its kind."""
    error = ValueError("mine")

    async def main() -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        await run_with_watcher(forever, main)
    assert caught.value is error


async def test_a_cancellation_passes_through(autojump_clock: MockClock) -> None:
    """It is whose it is."""
    with trio.move_on_after(1) as scope:
        await run_with_watcher(forever, trio.sleep_forever)
        pytest.fail("it was cancelled")
    assert scope.cancelled_caught
