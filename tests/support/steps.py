"""Counts the work of code without a clock: a test that looks at one fails on a busy machine.

Speed is shown by the benchmarks. What is shown here is that work grows as its input does.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_parser: Any = importlib.import_module("re._parser")


def instructions(work: Callable[[], object], most: float = math.inf) -> int:
    """Return how many instructions of Python some work takes. It fails as it takes more."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        assert count <= most
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks for it as tracing begins
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    assert count > 0, "nothing was counted"
    return count


class CountedPattern:
    """Stands for a pattern of bytes in a module, and counts the steps that it takes.

    ``re`` does not tell how often it tries. So the same is done here once more in Python, as a
    backtracking matcher does it, and a step is a byte that is compared. Each result is held
    against that of ``re``. For short texts: each byte takes some frames of Python's stack.
    """

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._nodes = list(_parser.parse(pattern.pattern, pattern.flags))
        self._data: bytes | bytearray = b""
        self.steps = 0

    def match(self, data: bytes | bytearray) -> re.Match[bytes] | None:
        """Match at the start."""
        found = self._pattern.match(data)
        self._data = data
        end = next(self._ends(self._nodes, 0), None)
        assert end == (found and found.end())
        return found

    def fullmatch(self, data: bytes | bytearray) -> re.Match[bytes] | None:
        """Match all of it."""
        found = self._pattern.fullmatch(data)
        self._data = data
        assert any(end == len(data) for end in self._ends(self._nodes, 0)) == bool(found)
        return found

    def sub(self, by: bytes, data: bytes) -> bytes:
        """Replace all matches."""
        self._data = data
        at, ends = 0, []
        while at <= len(data):
            end = next(self._ends(self._nodes, at), None)
            ends += [] if end is None else [end]
            at = at + 1 if end is None else max(end, at + 1)
        assert ends == [match.end() for match in self._pattern.finditer(data)]
        return self._pattern.sub(by, data)

    def _ends(self, nodes: list[Any], at: int) -> Iterator[int]:
        """Yield where some nodes may end that begin there, in the order in which it is tried."""
        if not nodes:
            yield at
            return
        for end in self._ends_of(*nodes[0], at):
            yield from self._ends(nodes[1:], end)

    def _ends_of(self, kind: Any, what: Any, at: int) -> Iterator[int]:
        match str(kind):
            case "MAX_REPEAT":
                yield from self._repeated(*what[:2], list(what[2]), at)
            case "POSSESSIVE_REPEAT":  # it gives nothing back: there is one end, or none
                for end in self._repeated(*what[:2], list(what[2]), at):
                    yield end
                    return
            case "SUBPATTERN":
                yield from self._ends(list(what[3]), at)
            case "BRANCH":
                for branch in what[1]:
                    yield from self._ends(list(branch), at)
            case "AT":
                assert str(what) == "AT_BEGINNING"
                if at == 0 or (self._is_of_lines and self._data[at - 1 : at] == b"\n"):
                    yield at
            case _:
                self.steps += 1
                if at < len(self._data) and _is_one(kind, what, self._data[at]):
                    yield at + 1

    @property
    def _is_of_lines(self) -> bool:
        return bool(self._pattern.flags & re.MULTILINE)

    def _repeated(self, fewest: int, most: Any, nodes: list[Any], at: int) -> Iterator[int]:
        if int(most) > 0:
            for end in self._ends(nodes, at):
                if end > at:
                    yield from self._repeated(fewest - 1, int(most) - 1, nodes, end)
        if fewest <= 0:
            yield at


def _is_one(kind: Any, what: Any, byte: int) -> bool:
    """Return whether a byte is one that a node of a pattern takes."""
    match str(kind):
        case "LITERAL":
            return bool(byte == what)
        case "NOT_LITERAL":
            return bool(byte != what)
        case "RANGE":
            return bool(what[0] <= byte <= what[1])
        case "IN":
            negated = str(what[0][0]) == "NEGATE"
            return negated != any(_is_one(*each, byte) for each in what[negated:])
        case _:
            raise NotImplementedError(kind)
