"""Inputs that a stranger makes long: the work grows with the length, not with its square.

Counted here, without a clock: instructions of Python, bytes that are searched, sizes that are kept.
How long it takes is shown by ``python -m tests.bench.hostile``.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from faultinject.http.message import End, Part, RequestHead
from faultinject.matchers import Glob
from faultinject.providers.framing.sse import SseDecoder
from faultinject.proxy.decision import Decision
from faultinject.proxy.fault_filter import COUNTED, rest_of
from faultinject.rules.facts import PARAMETERS, Facts
from tests.bench.hostile import WORKS
from tests.support.bench import ok, open_bench
from tests.support.peer import Peer
from tests.support.steps import instructions

GROWTH = 2.3
"""Twice the input takes twice the work, and a little that is the same for all."""
SMALL = 40


@pytest.mark.parametrize("name", WORKS)
def test_instructions_grow_as_the_input_does(name: str) -> None:
    """For each input that the benchmark measures."""
    make, _ = WORKS[name]
    one, two = make(SMALL), make(2 * SMALL)
    one(), two()  # what is loaded and remembered at the first time
    assert instructions(two) <= GROWTH * instructions(one)


def test_so_many_parameters_of_a_query_are_looked_at() -> None:
    """The first of them, of whatever name; the rest is not even decoded."""
    names = [b"p%d=%%41" % n for n in range(PARAMETERS + 5)]
    head = RequestHead(b"GET", b"/?" + b"&".join(names), ())
    facts = Facts("x", 1, head)
    assert len(facts.query) == PARAMETERS
    assert facts.parameter(f"p{PARAMETERS - 1}") == ("A",)
    assert facts.parameter(f"p{PARAMETERS}") == ()


def test_values_of_one_name_are_gathered_once() -> None:
    """In order. A tuple that is made anew for each would be copied as often."""
    values = tuple(b"%d" % n for n in range(3_000))
    head = RequestHead(b"GET", b"/?" + b"&".join(b"a=" + v for v in values[:900]), ())
    facts = Facts("x", 1, head)
    assert facts.parameter("a") == tuple(v.decode() for v in values[:900])
    many = RequestHead(
        b"GET", b"/", tuple((b"aA"[n % 2 : n % 2 + 1], v) for n, v in enumerate(values))
    )
    assert Facts("x", 1, many).headers == {b"a": values}


class Searched(bytearray):
    """Counts the bytes that are searched."""

    count = 0

    def find(self, what: Any, start: Any = 0, *end: Any) -> int:
        """Search."""
        at = super().find(what, start, *end)
        self.count += (len(self) if at < 0 else at) - start + 1
        return at


@pytest.mark.parametrize(
    "line", [b"data: x\r", b"data: x\n", b"x\r\n", b"x\ny\r", b"\n", b"\r", b"x"]
)
@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_each_byte_of_a_stream_is_searched_once(line: bytes, size: int) -> None:
    """For each of the two ends of lines: not again for each line that ends in the other."""
    data = line * (20_000 // len(line))
    decoder = SseDecoder()
    decoder._buffer = buffer = Searched()
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
    looks = 2 * data.count(b"\n") + 2 * data.count(b"\r") + 2 * (len(data) // size + 1)
    assert buffer.count <= 2 * len(data) + 2 * looks


@pytest.mark.parametrize("pattern", ["*a*a*a*b", "*a?a*[!a]*b", "a*b*c*", "*"])
def test_a_pattern_tries_each_star_once(pattern: str) -> None:
    """What a star but the last has taken is not tried anew: Python's translation is atomic."""
    test = Glob(pattern)
    compiled = test._match.__self__.pattern  # type: ignore[attr-defined]
    before_last = compiled.rpartition(".*")[0]
    assert before_last.count("(?>") == before_last.count(".*?")


async def test_a_body_in_many_pieces_is_kept_in_one(autojump_clock, monkeypatch):
    """A rule reads it, and it goes on whole."""
    kept: list[tuple[Any, ...]] = []
    read = Decision._read_body

    async def read_and_note(decision: Decision) -> None:
        await read(decision)
        kept.append(decision.received)

    monkeypatch.setattr(Decision, "_read_body", read_and_note)
    bodies = []

    async def notes(upstream: Peer) -> None:
        bodies.append((await upstream.read_message()).body)
        await upstream.send(ok(b""))

    async with open_bench(upstream=notes) as bench:
        bench.rules({"match": {"model": "x"}, "fault": {"respond": 529}})
        client = bench.connect()
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"1\r\n{\r\n" * 1_000)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"1\r\n}\r\n" * 1_000)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"0\r\n\r\n")
        assert (await client.answer()).status == 200
    assert kept == [(b"{" * 1_000 + b"}" * 1_000, End())]
    assert bodies == [b"{" * 1_000 + b"}" * 1_000]


def test_what_comes_of_an_answer_is_not_copied_for_each_piece() -> None:
    """Only as much as is counted, and the last."""
    parts: list[Part] = [b"x"] * 10_000 + [End()]
    assert rest_of(parts, 5) == [b"x"] * COUNTED + [End()]
    assert rest_of(parts, 9_990) == [b"x"] * 10 + [End()]
