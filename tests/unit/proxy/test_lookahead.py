"""How often an answer will still be written, before it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from faultinject.faults.stream import CutStream, Pace, StreamFault
from faultinject.faults.transform import Act, Cut, Finish, Send, WaitUntil
from faultinject.http.message import End, Part, ResponseHead
from faultinject.proxy.fault_filter import FEW, MANY, writes_ahead

HEAD = ResponseHead(200, b"OK", ())
PIECES: list[Part] = [b"x"] * 50
SENT = [WaitUntil(1.0), Send(b"x")]
PACE = StreamFault(Pace())


@pytest.mark.parametrize(
    ("following", "rest", "faults", "writes"),
    [
        ([], [], [], 0),
        ([Cut()], [], [], 0),
        ([Send(b"x")], [], [], 1),
        ([*SENT, *SENT, Finish()], [], [], 3),
        (SENT * 50, [], [], MANY),
        ([], [b"x", b"x"], [], 2),
        ([], [HEAD, b"x"], [], 1),
        ([], PIECES, [], FEW),
        ([], PIECES, [StreamFault(CutStream())], FEW),
        ([], PIECES, [PACE], MANY),
        ([], [*PIECES, End()], [], MANY),
        ([Send(b"x")], PIECES, [], FEW),
        ([*SENT, *SENT, *SENT, Send(b"x")], PIECES, [], 4),
        (SENT * 50, PIECES, [PACE], MANY),
    ],
)
def test_writes_ahead(
    following: list[Act], rest: Sequence[Part], faults: list[StreamFault], writes: int
) -> None:
    """Acts that are due count, pieces that have come are a guess; neither beyond what can be."""
    assert writes_ahead(following, rest, faults) == writes
