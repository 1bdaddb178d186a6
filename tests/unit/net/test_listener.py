"""Accepting connections while the system has room, and while it has none."""

from __future__ import annotations

import errno

import pytest
import trio
import trio.testing

from faultinject.net.listener import Acceptor


class Door:
    """Stands for a listener: lets in, or refuses, as it is told."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    async def accept(self) -> object:
        """Give the next answer; wait for ever when there is none."""
        await trio.lowlevel.checkpoint()
        if not self._answers:
            await trio.sleep_forever()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


FULL = OSError(errno.EMFILE, "Too many open files")


async def test_a_connection_that_has_no_room_waits_for_one_that_ends(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It is told once, and accepted as soon as another has ended."""
    told: list[str] = []
    served: list[object] = []
    first_may_end = trio.Event()

    async def serve(stream: object) -> None:
        served.append(stream)
        if stream == "first":
            await first_may_end.wait()

    accepting = Acceptor(serve, told.append)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        door = Door("first", FULL, FULL, "second")
        nursery.start_soon(accepting.run, door, nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert served == ["first"]
        started = trio.current_time()
        await trio.sleep(1.5)  # nothing ended, and others may have made room: it tries again
        first_may_end.set()
        await trio.testing.wait_all_tasks_blocked()
        assert served == ["first", "second"]
        assert trio.current_time() - started == pytest.approx(1.5)
        assert told == ["Too many open files"]
        nursery.cancel_scope.cancel()


async def test_what_is_no_lack_of_room_is_not_swallowed() -> None:
    """A listener that broke is somebody's defect."""

    async def serve(stream: object) -> None:
        raise AssertionError("nobody was let in")

    accepting = Acceptor(serve, print)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="broke"):
            await accepting.run(Door(OSError(errno.EINVAL, "broke")), nursery)  # type: ignore[arg-type]
