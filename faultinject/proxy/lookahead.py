"""Estimates how many writes of a response are still to come, for `Pacing.before_pause`.

Only the plugin's tunnels need the number (`faultinject.plugin.duplex`): each write takes a slot
there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from faultinject.faults import transform
from faultinject.faults.stream import StreamFault
from faultinject.faults.transform import Act
from faultinject.http.message import End, Part

FEW = 3
"""How many of a tunnel's slots can be filled without any output."""
MANY = 24
"""How many can be filled if there is some output: fewer than a TLS record has bytes."""


def writes_ahead(
    following: Collection[Act], rest: Sequence[Part], faults: Iterable[StreamFault]
) -> int:
    """Return how many writes are to come, each after a wait.

    ``following`` are the acts that are due; ``rest`` are the received parts that were not handled
    yet, for which the number is a guess. `FEW` writes too many do no harm if the response ends
    without output, else `MANY`.
    """
    waits = (isinstance(act, transform.WaitUntil) for act in following)
    writes = sum(waits) + 1 if any(map(_writes, following)) else 0
    guessed = sum(1 for part in rest if isinstance(part, (bytes, End)))
    most = MANY if _ends_with_words(rest, faults) else FEW
    return min(writes, MANY) + max(0, min(guessed, most - writes))


def _writes(act: Act) -> bool:
    return isinstance(act, (transform.Send, transform.Finish, transform.Garbage))


def _ends_with_words(rest: Sequence[Part], faults: Iterable[StreamFault]) -> bool:
    """Return True if there will surely be output at the end."""
    paces = any(each.action.paces for each in faults)
    return bool(rest) and (paces or isinstance(rest[-1], End))
