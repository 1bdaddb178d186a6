"""Plays an answer through faults without I/O: what arrives when, and what must come out when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from attrs import define, evolve, field, frozen

from faultinject.config.rules import read_rules
from faultinject.faults import transform
from faultinject.faults.build import BuiltFaults, build_faults
from faultinject.faults.stream.stream_action import ResponseInfo
from faultinject.faults.transform import Act, Received
from faultinject.http.message import End
from faultinject.providers.anthropic import api
from faultinject.providers.provider import Provider
from faultinject.providers.shape import ApiRequest
from faultinject.rules.draws import Draws


def numbers(purpose: str) -> Any:
    """Return random numbers, the same in each run."""
    return Draws(1, purpose, 1).uniform


def answer(
    provider: Provider = api.PROVIDER, path: str = "/v1/messages", *, encoded: bool = False
) -> ResponseInfo:
    """Return what is known of a stream."""
    fields = provider.draw_fields(numbers("fields"), 1_800_000_000.0, ApiRequest(path))
    fields = evolve(fields, request_id="req_x")
    return ResponseInfo(provider, provider.shape_of(path).stream, encoded, fields, numbers)


def made(
    *streams: dict[str, Any], of: ResponseInfo | None = None, breaks: Any = None
) -> BuiltFaults:
    """Make faults that are written as in a rule."""
    fault: dict[str, Any] = {"break": breaks} if breaks else {"stream": list(streams)}
    [rule] = read_rules([{"fault": fault}], "test").rules
    described = rule.faults[0].fault
    return build_faults(described.stream, described.breaks, of or answer())


@frozen
class Did:
    """An act, and when."""

    when: float
    act: Act


@define
class Play:
    """What came out."""

    done: list[Did] = field(factory=list)
    now: float = 0.0

    @property
    def data(self) -> bytes:
        """All bytes that were passed on."""
        return b"".join(self.pieces)

    @property
    def pieces(self) -> list[bytes]:
        """The bytes as they were passed on."""
        return [did.act.data for did in self.done if isinstance(did.act, transform.Send)]

    @property
    def times(self) -> list[float]:
        """When each of these was."""
        return [did.when for did in self.done if isinstance(did.act, transform.Send)]

    @property
    def ending(self) -> Act | None:
        """How it ended, if it did."""
        last = self.done[-1].act if self.done else None
        return last if isinstance(last, transform.ENDINGS) else None


def play(
    what: BuiltFaults, arrivals: Iterable[tuple[float, bytes]], *, end: float | None = None
) -> Play:
    """Play pieces that arrive at their times, and the end of the body a second after the last."""
    result, chain = Play(), what.transform
    assert chain is not None
    told: list[tuple[float, Received]] = list(arrivals)
    last = told[-1][0] if told else 0.0
    told.append((last + 1 if end is None else end, End()))
    for when, piece in told:
        while chain.wake_at <= max(when, result.now) and result.ending is None:
            result.now = max(result.now, chain.wake_at)
            _do(result, chain.step(transform.TICK, result.now))
        if result.ending is None:
            result.now = max(result.now, when)
            _do(result, chain.step(piece, result.now))
    return result


def _do(result: Play, wanted: Iterable[Act]) -> None:
    for act in wanted:
        assert result.ending is None, "there was an act after the end"
        if isinstance(act, transform.WaitUntil):
            assert act.seconds < math.inf
            result.now = max(result.now, act.seconds)
        else:
            result.done.append(Did(result.now, act))


def at_once(*pieces: bytes) -> list[tuple[float, bytes]]:
    """Have all pieces arrive at once."""
    return [(0.0, piece) for piece in pieces]


def one_a_second(*pieces: bytes) -> list[tuple[float, bytes]]:
    """Have a piece arrive each second, from 1 on."""
    return [(float(n), piece) for n, piece in enumerate(pieces, 1)]
