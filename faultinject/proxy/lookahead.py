"""How often an answer will still be written: what `Lease.before_pause` is told before time passes.

Counts what has come of an answer and what is due of it. Knows nothing of connections, and of what
a lease does with the number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from faultinject.faults import transform
from faultinject.faults.stream import Pace, StreamFault
from faultinject.faults.transform import Act
from faultinject.http.message import End, Part

FEW = 3
"""How many of a tunnel's slots can be filled with nothing to say (see `Lease.before_pause`)."""
MANY = 24
"""How many can be if there is at least something: fewer than a TLS record has bytes."""


def writes_ahead(
    following: Collection[Act], rest: Sequence[Part], faults: Iterable[StreamFault]
) -> int:
    """Return how many times something will be written, each after a wait.

    ``following`` are the acts that are due, ``rest`` is what has come of the answer and was not
    yet dealt with. What becomes of that is a guess; with nothing to say at the end `FEW` writes
    too many can be made up for, else `MANY`.
    """
    waits = (isinstance(act, transform.WaitUntil) for act in following)
    writes = sum(waits) + 1 if any(map(_writes, following)) else 0
    guessed = sum(1 for part in rest if isinstance(part, (bytes, End)))
    most = MANY if _ends_with_words(rest, faults) else FEW
    return min(writes, MANY) + max(0, min(guessed, most - writes))


def _writes(act: Act) -> bool:
    return isinstance(act, (transform.Send, transform.Finish, transform.Garbage))


def _ends_with_words(rest: Sequence[Part], faults: Iterable[StreamFault]) -> bool:
    """Say whether what has come will surely have something written last."""
    paces = any(isinstance(each.action, Pace) for each in faults)
    return bool(rest) and (paces or isinstance(rest[-1], End))
