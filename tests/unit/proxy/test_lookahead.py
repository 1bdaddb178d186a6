"""How often an answer will still be written, before it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from faultinject.faults.stream import CutStream, Pace, StreamFault
from faultinject.faults.transform import Act, Cut, Finish, Send, WaitUntil
from faultinject.http.message import End, Part, ResponseHead
from faultinject.proxy.fault_filter import writes_ahead

HEAD = ResponseHead(200, b"OK", ())
PIECES: list[Part] = [b"x"] * 50
SENT = [WaitUntil(1.0), Send(b"x")]
PACE = StreamFault(Pace())


@pytest.mark.parametrize(
    ("following", "rest", "faults", "writes"),
    [
        ([], [], [], (0, 0)),
        ([Cut()], [], [], (0, 0)),
        ([Send(b"x")], [], [], (1, 0)),
        ([*SENT, *SENT, Finish()], [], [], (3, 0)),
        ([], [HEAD, b"x"], [], (0, 1)),
        ([], PIECES, [], (0, 50)),
        ([], PIECES, [StreamFault(CutStream())], (0, 50)),
        ([], PIECES, [PACE], (50, 0)),
        ([], [*PIECES, End()], [], (51, 0)),
        ([Send(b"x")], PIECES, [], (1, 50)),
        ([*SENT, *SENT, *SENT, Send(b"x")], PIECES, [], (4, 50)),
        (SENT * 3, PIECES, [PACE], (54, 0)),
    ],
)
def test_writes_ahead(
    following: list[Act],
    rest: Sequence[Part],
    faults: list[StreamFault],
    writes: tuple[int, int],
) -> None:
    """Acts that are due count; pieces that have come are a guess if the end may have no output."""
    assert writes_ahead(following, rest, faults) == writes
