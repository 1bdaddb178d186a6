"""Steps that are put off."""

from __future__ import annotations

from functools import partial

from faultinject.rules.backlog import Backlog


def test_nothing_is_put_off_by_default() -> None:
    """Each step is done as it comes."""
    done: list[int] = []
    Backlog().put_off(partial(done.append, 1))
    assert done == [1]


def test_steps_are_done_in_order_and_once() -> None:
    """The oldest first, when there are too many, or when somebody catches up."""
    done: list[int] = []
    backlog = Backlog(most_steps=2)
    for number in range(5):
        backlog.put_off(partial(done.append, number))
    assert done == [0, 1, 2]
    backlog.do_next()
    assert done == [0, 1, 2, 3]
    backlog.catch_up()
    backlog.catch_up()
    assert done == [0, 1, 2, 3, 4]


def test_what_steps_keep_is_bounded() -> None:
    """One that keeps too much is done at once, and all before it."""
    done: list[int] = []
    backlog = Backlog(most_steps=9, most_bytes=10)
    backlog.put_off(partial(done.append, 0), 6)
    backlog.put_off(partial(done.append, 1), 6)
    assert done == [0]
    backlog.put_off(partial(done.append, 2), 11)
    assert done == [0, 1, 2]
    backlog.put_off(partial(done.append, 3), 10)
    assert done == [0, 1, 2]


def test_a_step_may_put_off_another() -> None:
    """It comes last."""
    done: list[int] = []
    backlog = Backlog(most_steps=9)
    backlog.put_off(lambda: backlog.put_off(partial(done.append, 2)))
    backlog.put_off(partial(done.append, 1))
    backlog.catch_up()
    assert done == [1, 2]
