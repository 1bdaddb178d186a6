"""One limit that moves on with each step."""

# ruff: noqa: PT012 - what is inside the block is what is waited for

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from faultinject.net.timeouts import Timeout, TimeoutExpiredError


async def test_whoever_takes_too_long_is_named(autojump_clock: MockClock) -> None:
    """When the time is over, and not before."""
    timeout = Timeout()
    started = trio.current_time()
    with pytest.raises(TimeoutExpiredError, match="waiting for the request's body"), timeout:
        timeout.reset("the request's body", 5)
        await trio.sleep_forever()
    assert trio.current_time() - started == 5


async def test_every_step_has_its_own_time(autojump_clock: MockClock) -> None:
    """Counted from when it was set: longer than before, or shorter."""
    timeout = Timeout()
    started = trio.current_time()
    with pytest.raises(TimeoutExpiredError, match="waiting for the third"), timeout:
        timeout.reset("the first", 5)
        await trio.sleep(4.9)
        timeout.reset("the second", 60)
        await trio.sleep(50)
        timeout.reset("the third", 1)
        await trio.sleep_forever()
    assert trio.current_time() - started == pytest.approx(55.9)


async def test_a_step_that_hardly_moves_the_limit_need_not_move_it(
    autojump_clock: MockClock,
) -> None:
    """Up to a hundredth; the time is never longer than asked, and hardly shorter."""
    timeout = Timeout()
    with pytest.raises(TimeoutExpiredError, match="waiting for the next"), timeout:
        timeout.reset("the first", 100)
        for _ in range(30):
            await trio.sleep(0.4)
            timeout.reset("the next", 100)
        set_at = trio.current_time()
        await trio.sleep_forever()
    assert 99 <= trio.current_time() - set_at <= 100


async def test_what_has_a_limit_of_its_own_is_only_allowed_its_time(
    autojump_clock: MockClock,
) -> None:
    """The limit moves if it would come too early, and stays if it would not."""
    timeout = Timeout()
    started = trio.current_time()
    with pytest.raises(TimeoutExpiredError, match="waiting for the second"), timeout:
        timeout.reset("the start", 100)
        timeout.extend("the first", 10)
        await trio.sleep(95)
        timeout.extend("the second", 10)
        await trio.sleep_forever()
    assert trio.current_time() - started == 105


async def test_who_is_in_time_notices_nothing(autojump_clock: MockClock) -> None:
    """And without an expectation there is no limit."""
    with Timeout() as timeout:
        await trio.sleep(1_000_000)
        timeout.reset("the end", 5)
        await trio.sleep(4)
    await trio.sleep(10)


async def test_it_can_be_ended_with_a_reason() -> None:
    """By whoever ends the session."""
    timeout = Timeout()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def end() -> None:
            await trio.testing.wait_all_tasks_blocked()
            timeout.expire("the proxy stops")

        with pytest.raises(TimeoutExpiredError, match="the proxy stops"), timeout:
            timeout.reset("a request", 5)
            await trio.sleep_forever()


async def test_other_errors_come_out_as_they_are() -> None:
    """Also from within."""
    with pytest.raises(KeyError), Timeout() as timeout:
        timeout.reset("nothing", 5)
        raise KeyError


async def test_a_cancellation_from_outside_is_not_impatience(autojump_clock: MockClock) -> None:
    """The session was ended by its owner."""
    with trio.move_on_after(1) as outer, Timeout() as timeout:
        timeout.reset("a request", 5)
        await trio.sleep_forever()
    assert outer.cancelled_caught
