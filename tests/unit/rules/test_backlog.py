"""Steps that are put off."""

from __future__ import annotations

from attrs import define, field

from faultinject.rules.backlog import Backlog


@define
class Noted:
    """A step that notes that it was done, and may put off another."""

    done: list[int]
    number: int
    kept_bytes: int = 0
    backlog: Backlog = field(factory=Backlog)
    next: Noted | None = None

    def do(self) -> None:
        """Do it."""
        self.done.append(self.number)
        if self.next is not None:
            self.backlog.put_off(self.next)


def test_nothing_is_put_off_by_default() -> None:
    """Each step is done as it comes."""
    done: list[int] = []
    Backlog().put_off(Noted(done, 1))
    assert done == [1]


def test_steps_are_done_in_order_and_once() -> None:
    """The oldest first, when there are too many, or when somebody catches up."""
    done: list[int] = []
    backlog = Backlog(most_steps=2)
    for number in range(5):
        backlog.put_off(Noted(done, number))
    assert done == [0, 1, 2]
    backlog.do_next()
    assert done == [0, 1, 2, 3]
    backlog.catch_up()
    backlog.catch_up()
    assert done == [0, 1, 2, 3, 4]


def test_several_steps_are_done_at_a_time() -> None:
    """Then no more for a while."""
    done: list[int] = []
    backlog = Backlog(most_steps=16)
    for number in range(17):
        backlog.put_off(Noted(done, number))
    assert done == [0, 1, 2]
    for number in range(17, 19):
        backlog.put_off(Noted(done, number))
    assert done == [0, 1, 2]


def test_what_steps_keep_is_bounded() -> None:
    """One that keeps too much is done at once, and all before it."""
    done: list[int] = []
    backlog = Backlog(most_steps=9, most_bytes=10)
    backlog.put_off(Noted(done, 0, 6))
    backlog.put_off(Noted(done, 1, 6))
    assert done == [0]
    backlog.put_off(Noted(done, 2, 11))
    assert done == [0, 1, 2]
    backlog.put_off(Noted(done, 3, 10))
    assert done == [0, 1, 2]


def test_a_step_may_grow_while_it_waits() -> None:
    """As much as it keeps then is free again once it is done."""
    done: list[int] = []
    backlog = Backlog(most_steps=9, most_bytes=10)
    growing = Noted(done, 0)
    backlog.put_off(growing)
    backlog.put_off(Noted(done, 1, 4))
    growing.kept_bytes = 6
    backlog.keep(6)
    assert done == []
    backlog.put_off(Noted(done, 2, 1))
    assert done == [0]
    backlog.put_off(Noted(done, 3, 5))
    assert done == [0]


def test_a_step_may_put_off_another() -> None:
    """It comes last."""
    done: list[int] = []
    backlog = Backlog(most_steps=9)
    backlog.put_off(Noted(done, 0, backlog=backlog, next=Noted(done, 2)))
    backlog.put_off(Noted(done, 1))
    backlog.catch_up()
    assert done == [0, 1, 2]
