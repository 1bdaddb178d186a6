"""What a port holds of its callers, by the calls alone."""

from __future__ import annotations

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from faultinject.plugin.bridge import port as port_module
from faultinject.plugin.bridge.port import PREFIX_BYTES, Port, PortBounds, PortCall, Reason

LARGEST = 100


def message(length: int, *, announced: int | None = None) -> bytes:
    """A message behind its prefix."""
    return b"\0" + (length if announced is None else announced).to_bytes(4, "big") + b"x" * length


@define(eq=False)
class Calls:
    """Calls on a port, and what became of them."""

    port: Port
    refused: dict[str, tuple[Reason, str]] = field(factory=dict)

    def begin(self, name: str, now: float = 0.0, largest: int = LARGEST) -> PortCall:
        """Begin one; whether it was taken is in `refused`."""
        call = PortCall(largest, lambda reason, words: self.refuse(name, reason, words))
        assert self.port.begin(call, now) is (name not in self.refused)
        return call

    def refuse(self, name: str, reason: Reason, words: str) -> None:
        """Note it."""
        assert name not in self.refused
        self.refused[name] = (reason, words)


def calls(**bounds: float) -> Calls:
    return Calls(Port(PortBounds(**bounds)))


def test_a_message_as_long_as_it_may_be():
    """Is taken, in however many pieces; its bytes are held until the call ends."""
    some = calls()
    call = some.begin("one")
    for byte in message(LARGEST):
        assert not call.whole
        assert some.port.receive(call, bytes((byte,)))
    assert call.whole
    assert some.port.held_bytes == LARGEST + PREFIX_BYTES
    some.port.end(call)
    some.port.end(call)  # once more is no harm
    assert some.port.held_bytes == 0
    assert some.refused == {}


def test_a_message_that_is_longer():
    """Is refused when its length is read: before a byte of it came."""
    some = calls()
    call = some.begin("one")
    assert some.port.receive(call, b"\0\0\0\0")
    assert not some.port.receive(call, b"\x65")
    words = "a message of this call has at most 100 bytes"
    assert some.refused == {"one": (Reason.TOO_MUCH, words)}
    assert some.port.held_bytes == 0
    assert not some.port.receive(call, b"x" * 50)
    assert some.port.held_bytes == 0


def test_more_than_one_message():
    """Is refused, while the first waits for its answer too."""
    some = calls()
    call = some.begin("one")
    assert some.port.receive(call, message(10))
    assert some.port.receive(call, b"")
    assert not some.port.receive(call, b"x")
    assert some.refused["one"][0] is Reason.NOT_ONE_MESSAGE
    assert some.port.held_bytes == 0


def test_too_many_that_are_coming():
    """The oldest goes, so that a new one can always come."""
    some = calls(coming=2)
    first = some.begin("first")
    some.port.receive(first, b"\0\0")
    some.begin("second")
    third = some.begin("third")
    assert list(some.refused) == ["first"]
    assert some.refused["first"][0] is Reason.TOO_MUCH
    assert some.port.receive(third, message(3))
    some.begin("fourth")
    assert list(some.refused) == ["first"]


def test_too_many_that_are_open():
    """A new one is refused, until one of them is answered."""
    some = calls(calls=1)
    first = some.begin("first")
    some.port.receive(first, message(0))
    some.begin("second")
    assert some.refused == {"second": (Reason.TOO_MUCH, "there are 1 calls already")}
    some.port.end(first)
    some.begin("third")
    assert "third" not in some.refused


def test_too_many_bytes():
    """Messages that are coming go, the oldest first; then the one that is too much."""
    some = calls(held_bytes=100)
    slow = [some.begin(f"slow {number}") for number in range(3)]
    for call in slow:
        assert some.port.receive(call, message(15, announced=20))
    quick = some.begin("quick")
    assert some.port.receive(quick, message(55))
    assert list(some.refused) == ["slow 0"]
    more = some.begin("more")
    assert not some.port.receive(more, message(60))
    assert list(some.refused) == ["slow 0", "slow 1", "slow 2", "more"]
    assert {reason for reason, _ in some.refused.values()} == {Reason.TOO_MUCH}
    assert some.port.held_bytes == 60


def test_what_takes_too_long():
    """Is refused: a message that does not come to its end, and a call that is not answered."""
    some = calls(coming_seconds=10, open_seconds=100)
    assert some.port.expire(0.0) is None
    some.begin("half", now=1.0)
    whole = some.begin("whole", now=2.0)
    some.port.receive(whole, message(1))
    assert some.port.expire(3.0) == 11.0
    assert some.port.expire(11.0) == 102.0
    assert some.refused == {"half": (Reason.TOO_LONG, "the call took over 10 s to come")}
    assert some.port.expire(102.0) is None
    assert some.refused["whole"] == (
        Reason.TOO_LONG,
        "the call took over 100 s to be answered",
    )
    assert some.port.held_bytes == 0


def test_the_end_of_a_surge(monkeypatch):
    """Is said once, when most of what was held has gone."""
    monkeypatch.setattr(port_module, "SURGE_BYTES", 80)
    some = calls()
    large, small = some.begin("large"), some.begin("small")
    some.port.receive(small, message(4))
    assert not some.port.surge_is_over()
    some.port.receive(large, message(LARGEST))
    assert not some.port.surge_is_over()
    some.port.end(large)
    assert some.port.surge_is_over()
    assert not some.port.surge_is_over()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["data", "end", "expire"]), st.binary(max_size=40)
        )
    )
)
def test_whatever_comes(steps):
    """What is held is what came for the calls that are left, and never above the bound."""
    some = calls(held_bytes=60, coming=3, calls=2, coming_seconds=5)
    taken: dict[int, PortCall] = {}
    for now, (number, what, data) in enumerate(steps):
        if number not in taken:
            taken[number] = some.begin(f"{number} {now}", now, largest=30)
        if what == "data":
            some.port.receive(taken[number], data)
        elif what == "end":
            some.port.end(taken.pop(number))
        else:
            some.port.expire(now)
        left = [*some.port._coming, *some.port._open]
        assert some.port.held_bytes == sum(call.received for call in left) <= 60
        assert all(call.received <= 30 + PREFIX_BYTES for call in left)
        assert len(some.port._coming) <= 3
        assert [call.whole for call in some.port._open] == [True] * len(some.port._open)
