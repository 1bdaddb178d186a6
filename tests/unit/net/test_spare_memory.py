"""The memory of a surge, and when it is given back."""

from __future__ import annotations

import threading

import pytest

from faultinject.net.spare_memory import SURGE_CONNECTIONS, SpareMemory


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


async def test_memory_is_given_back_in_a_thread() -> None:
    """It takes a while; nobody else waits."""
    threads: list[threading.Thread] = []
    memory = SpareMemory(give_back=lambda: threads.append(threading.current_thread()))
    memory.began(SURGE_CONNECTIONS)
    await memory.ended(0)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
