"""The memory of a surge, and when it is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from faultinject.events.connections import SURGE_CONNECTIONS
from faultinject.proxy.spare_memory import SpareMemory


async def given_back_as_they_leave(most: int, left: int) -> list[int]:
    """Have so many connections come and leave, but for some; say when memory is given back."""
    counts: list[int] = []
    now = 0
    memory = SpareMemory(give_back=lambda: counts.append(now))
    for now in range(1, most + 1):
        memory.began(now)
    for now in range(most - 1, left - 1, -1):
        await memory.ended(now)
    return counts


async def test_a_surge_is_over_when_a_quarter_is_left() -> None:
    """And again at a quarter of that, down to what is no surge."""
    assert await given_back_as_they_leave(4000, 0) == [1000, 250, 62]


@pytest.mark.parametrize("most", [1, 10, SURGE_CONNECTIONS - 1])
async def test_a_few_connections_are_no_surge(most: int) -> None:
    """What they leave behind serves those that come next."""
    assert await given_back_as_they_leave(most, 0) == []


async def test_a_fall_that_is_smaller_gives_nothing_back() -> None:
    """Those that are left hold most of it."""
    assert await given_back_as_they_leave(1000, 300) == []


async def test_nothing_is_given_back_unasked() -> None:
    """In a program of somebody else's the collector and the allocator are that program's."""
    memory = SpareMemory()
    memory.began(4000)
    await memory.ended(0)  # would fail if there were nothing to call


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have memory given back without a thread; return when that was."""
    at: list[float] = []

    async def run_sync(_: Callable[[], None]) -> None:
        at.append(trio.current_time())

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
    return at


async def test_at_rest_too(autojump_clock: MockClock, given_back: list[float]) -> None:
    """Five seconds after the last has left, once for each time that all have left."""
    memory = SpareMemory(give_back=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.give_back_at_rest)
        for pause in (3.0, 4.5, 6.0):  # until the next comes
            memory.began(1)
            await trio.sleep(1.0)
            await memory.ended(0)
            await trio.sleep(pause)
        assert given_back == [15.5]
        memory.began(1)
        await trio.sleep(60.0)
        assert given_back == [15.5]
        await memory.ended(0)
        await trio.sleep(60.0)
        assert given_back == [15.5, 81.5]
        nursery.cancel_scope.cancel()


async def test_not_as_long_as_one_is_left(
    autojump_clock: MockClock, given_back: list[float]
) -> None:
    """It may come while the rest is waited for."""
    memory = SpareMemory(give_back=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.give_back_at_rest)
        memory.began(1)
        await memory.ended(0)
        await trio.sleep(1.0)
        memory.began(1)
        await trio.sleep(60.0)
        nursery.cancel_scope.cancel()
    assert given_back == []


async def test_in_a_program_of_somebody_elses_it_is_not_waited_for() -> None:
    """There is nothing to give back."""
    with trio.fail_after(5):
        await SpareMemory().give_back_at_rest()


async def test_memory_is_given_back_in_a_thread() -> None:
    """It takes a while; nobody else waits."""
    threads: list[threading.Thread] = []
    memory = SpareMemory(give_back=lambda: threads.append(threading.current_thread()))
    memory.began(SURGE_CONNECTIONS)
    await memory.ended(0)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
