"""What is known of clients that count their attempts: which request comes from another task.

An SDK whose own attempts are switched off sends a count of 0 each time, and so do several tasks
that ask the same, each for the first time. Everything is bounded.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from math import inf
from typing import TypeVar

from attrs import define

from faultinject.rules.identity import Content, Identity

Key = TypeVar("Key")
Kept = TypeVar("Kept")

TOGETHER_SECONDS = 1.0
"""So long before a failure, and later, a client begins what its tasks ask at one time."""
CLOSED = 512
"""Of so many connections it is remembered that they ended, the latest: more than exchanges wait in
the `Backlog`."""


def get_or_create(known: OrderedDict[Key, Kept], key: Key, new: type[Kept], bound: int) -> Kept:
    """Return the value of a key, and create it if it is missing. Keep ``bound`` keys at most."""
    kept = known.get(key)
    if kept is None:
        kept = known[key] = new()
        if len(known) > bound:
            known.popitem(last=False)
    else:
        known.move_to_end(key)
    return kept


class Clients:
    """The clients of a run that send a count of their attempts, and when connections ended."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._counting: OrderedDict[str, _Counting] = OrderedDict()
        """By `Identity.client`."""
        # No object for each: it would lie among those of a connection, and keep the memory around.
        self._closed = array("q", [-1]) * CLOSED
        """The connections that ended last; -1 for none."""
        self._closed_seconds = array("d", [0.0]) * CLOSED
        """When each of them ended."""
        self._closed_count = 0
        """How many have ended."""

    def note(self, identity: Identity, began_seconds: float) -> None:
        """Note a request that began at this time."""
        if (count := identity.retry_count) is not None:
            known = get_or_create(self._counting, identity.client, _Counting, self._bound)
            known.counts = known.counts or count > 0
            if identity.content != known.latest:
                known.latest, known.else_seconds = identity.content, known.latest_seconds
            known.latest_seconds = began_seconds

    def close_connection(self, number: int, seconds: float) -> None:
        """Note that a connection ended at that time."""
        place = self._closed_count % CLOSED
        self._closed[place], self._closed_seconds[place] = number, seconds
        self._closed_count += 1

    def _closed_at(self, number: int) -> float:
        """Return when a connection ended; infinity if it did not, or that is forgotten."""
        if number not in self._closed:
            return inf
        return self._closed_seconds[self._closed.index(number)]

    def counts(self, client: str) -> bool:
        """Return True if a client has ever sent a count above 0."""
        return self._counting[client].counts

    def is_of_another_task(
        self, identity: Identity, began_seconds: float, connection: int, failed_seconds: float
    ) -> bool:
        """Return True if a request seems to come from another task than an equal one before it.

        That came by ``connection`` and had failed. Another connection says so, unless that one is
        closed, as where each attempt has a client of its own; or unless the client asked something
        else just now: then its tasks ask different things, and take connections from one pool.
        """
        if connection == identity.connection:
            return False
        if self._closed_at(connection) <= began_seconds:
            return False
        asked_else = self._counting[identity.client].asked_else(identity.content)
        return asked_else < failed_seconds - TOGETHER_SECONDS


@define(eq=False, repr=False)
class _Counting:
    counts: bool = False
    """Whether it has ever sent a count above 0."""
    latest: Content | None = None
    """What its latest request asks, and when that began."""
    latest_seconds: float = -inf
    else_seconds: float = -inf
    """When the latest began that asks something else."""

    def asked_else(self, content: Content | None) -> float:
        """Return when the latest request began that asks something else."""
        return self.else_seconds if content == self.latest else self.latest_seconds
