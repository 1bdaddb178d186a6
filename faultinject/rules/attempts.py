"""Attempts: which requests belong to one call, and the number of each attempt.

A request is the next attempt of a call if all of this holds:

- The call's last attempt had failed (`Ended.failed`) and had ended before this request began, at
  most 10 minutes earlier, or the wait that the answer asked for if that is longer.
- Both have the same method, host and port, path, credentials, and body, apart from the keys in
  `faultinject.rules.identity.IGNORED_KEYS` and any ``cache_control``.

Else it is the first attempt of a new call. So requests that overlap are never attempts of the same
call. After a failure against which another attempt does not help (`Ended.is_worth_repeating`) the
next equal request is an attempt only if no two equal requests have overlapped, as those of several
tasks do: else it is another task's first.

Headers in which the client itself numbers its attempts go before that:

- ``amz-sdk-invocation-id`` (AWS SDKs) decides alone: the same id means the same call.
- ``x-stainless-retry-count`` above 0 continues a call, before others one whose last attempt has the
  number before, and is the number. A 0 begins a new call if the same User-Agent has sent a count
  above 0 in this run; after a failure against which another attempt does not help; and within
  `SOONEST_SECONDS`, where equal requests have overlapped or it seems to come from another task
  (`Clients.is_of_another_task`). Else it may continue one: Claude Code sends 0 with every attempt,
  and so does a program that has switched off its SDK's attempts and makes its own.

If several equal calls could continue, it is the one whose attempt ended first. If a count says the
number, it is the one that ended last, if that came on the same connection.

A connection that a rule broke before any request came by it is an attempt too. All that is known of
it is the client and the host (`Way`): it equals each other such connection between them. The first
request on a connection that was begun after it had ended continues its call; so does one that says
by its count that it is no first. Connections that overlap, and within `SOONEST_SECONDS` those of
clients that open several at once, are of several calls.

Times are seconds on one clock of the caller's choice. Everything is bounded.
"""

from __future__ import annotations

import itertools
import os
from collections import OrderedDict
from collections.abc import Callable

from attrs import define

from faultinject.rules.clients import Clients, get_or_create
from faultinject.rules.facts import Way
from faultinject.rules.identity import Content, Identity

CALLS = 10_000
"""How many calls are remembered. Beyond that the least recently seen is forgotten."""
LONGEST_PAUSE_SECONDS = 600.0
"""How long after an attempt's end the next one may begin, unless the response asked for more."""
SOONEST_SECONDS = 0.3
"""How long a client that sends a count waits, at least, before it tries again: 0.5 s less a quarter
in Anthropic's and OpenAI's SDKs, 0.5 s in Claude Code. Findings take it for that, too."""


# -- calls --------------------------------------------------------------------------------------


@define(eq=False, repr=False)
class Ended:
    """How an attempt ended. Nobody changes it; not frozen, as `Identity`."""

    seconds: float
    """When it ended."""
    failed: bool = False
    """Whether a rule made it fail, or the API did with an error that is transient or a throttle."""
    is_worth_repeating: bool = True
    """Whether another attempt may help, as far as the response says. It may not after a final
    error, and a complete response that says that it is no failure is not taken for one."""
    asked_wait_seconds: float = 0.0
    """How long the response asked the client to wait."""
    known_seconds: float | None = None
    """When the client could know: when the head of a whole error had been sent. None for the
    attempt's end."""


@define(eq=False, repr=False)
class _Call:
    name: str
    content: Content = ""
    """`Identity.content` of its attempts; empty if an id of the client's decides."""
    attempts: int = 0
    """The number of its last attempt."""
    ended_seconds: float = 0.0
    """When its last attempt ended."""
    known_seconds: float | None = None
    """When the client could know how its last attempt went; None until one has ended."""
    open_until: float = 0.0
    """The latest time at which the next attempt may begin."""
    failed: bool = False
    """Whether its last attempt failed."""
    connection: int = 0
    """The number of the client connection of its last attempt."""

    def may_continue(self, began_seconds: float) -> bool:
        """Return True if an attempt that begins at this time can be the next."""
        return self.ended_seconds <= began_seconds <= self.open_until

    def is_just_over(self, began_seconds: float) -> bool:
        """Return True if a client that sends a count would not have tried again so soon."""
        return 0 <= began_seconds - self.ended_seconds < SOONEST_SECONDS

    def gap_before(self, began_seconds: float) -> float | None:
        """Return how long a client waited, that could know how the last attempt went."""
        return None if self.known_seconds is None else began_seconds - self.known_seconds


@define(eq=False, repr=False)
class _Crowd:
    """Requests with equal content."""

    under_way: int = 0
    ended_seconds: float = 0.0
    """When the last of them ended."""
    has_overlapped: bool = False
    """Whether two of them ever did."""


@define(eq=False, repr=False)
class Attempt:
    """One attempt of a call."""

    number: int
    """From 1."""
    _call: _Call
    _crowd: _Crowd
    _attempts: Attempts
    gap_seconds: float | None = None
    """How long after the end of the attempt before (the head of its answer, if that was a whole
    error) it began; None if it is the first, or the one before has not ended."""
    _open: bool = True

    @property
    def call(self) -> str:
        """The call's id."""
        return self._call.name

    def end(self, ended: Ended) -> None:
        """Record how it ended. Only the first call of this counts. Without one it did not fail."""
        if self._open:
            self._open = False
            self._attempts._end(self._call, self._crowd, ended)


class Attempts:
    """The calls of a run, and their attempts."""

    def __init__(self, calls: int = CALLS) -> None:
        self.key = os.urandom(16)
        """The key of the digests in `Identity`."""
        self._bound = calls
        self.next_number: Callable[[], int] = itertools.count(1).__next__
        """Returns the number of a new call. No method: nearly every request asks for one."""
        self.quiet_from = -1.0
        """Until then an attempt may begin that follows a failure; later none does."""
        self._ended: OrderedDict[_Call, None] = OrderedDict()
        """Calls between two attempts, or over; the least recently seen first."""
        self._failed: dict[Content | tuple[Content, int], OrderedDict[_Call, None]] = {}
        """Those of them whose last attempt failed and is worth repeating, by content, and by
        content and number of attempts; the first to end first."""
        self._settled: dict[Content, _Call] = {}
        """The latest of the others, by content."""
        self._crowds: OrderedDict[Content, _Crowd] = OrderedDict()
        """By content."""
        self._invoked: OrderedDict[str, _Invoked] = OrderedDict()
        self.clients = Clients(calls)

    def begin(self, identity: Identity, began_seconds: float) -> Attempt | None:
        """Return the attempt of a request that began at this time; None if it is unknown."""
        count = identity.retry_count or 0
        call: _Call | None
        self.clients.note(identity, began_seconds)
        if identity.invocation:
            call, crowd = self._invocation(identity, began_seconds), _Crowd()
        elif identity.content is None:
            return None
        else:
            crowd = self._joined(identity.content, began_seconds)
            call = self._continued(identity, identity.content, crowd, began_seconds)
            call = call or self._new()
            call.content = identity.content
        call.attempts = count + 1 if count else call.attempts + 1
        call.connection = identity.connection
        return Attempt(call.attempts, call, crowd, self, call.gap_before(began_seconds))

    def _joined(self, content: Content, began_seconds: float) -> _Crowd:
        """Count one more request with this content, and return all of them."""
        crowd = get_or_create(self._crowds, content, _Crowd, self._bound)
        if crowd.under_way or crowd.ended_seconds > began_seconds:
            crowd.has_overlapped = True
        crowd.under_way += 1
        return crowd

    def disturb(self, seconds: float) -> None:
        """Note that something went wrong at that time after which the client may ask again."""
        self.quiet_from = max(self.quiet_from, seconds + LONGEST_PAUSE_SECONDS)

    def _continued(
        self, identity: Identity, content: Content, crowd: _Crowd, began_seconds: float
    ) -> _Call | None:
        """Return the call that a request continues; None if it begins one."""
        way = identity.way
        if (
            content not in self._failed
            and content not in self._settled
            and (way is None or way.digest not in self._failed)
        ):
            return None  # as most
        says_first = identity.retry_count == 0
        if says_first and self.clients.counts(identity.client):
            return None

        def is_first(call: _Call) -> bool:
            if not says_first or not call.is_just_over(began_seconds):
                return False
            last = call.connection, call.ended_seconds
            return crowd.has_overlapped or self.clients.is_of_another_task(
                identity, began_seconds, *last
            )

        found = self._counted(content, identity, began_seconds)
        found = found or self._taken_failed(content, began_seconds, is_first)
        found = found or self._stood_in_for(identity, began_seconds)
        if found is not None:
            return found
        settled = self._settled.get(content)
        if settled is None or not settled.may_continue(began_seconds):
            return None
        in_vain = settled.failed and not says_first and not crowd.has_overlapped
        if identity.retry_count or in_vain:  # by its own count, whatever was seen here
            self._forget(settled)
            return settled
        return None

    def _counted(self, content: Content, identity: Identity, began_seconds: float) -> _Call | None:
        """Return a call that the client's own count goes on with; it is out of the others then.

        One that was given up has as many attempts as the client makes, and no count follows them.
        """
        count = identity.retry_count
        if not count:
            return None
        call: _Call | None
        if failed := self._failed.get((content, count)):
            latest, first = next(reversed(failed)), next(iter(failed))
            call = latest if latest.connection == identity.connection else first
        elif (call := self._stood_in_for(identity, began_seconds)) is not None:
            return call
        else:  # the client may have left what did not fail
            call = self._settled.get(content)
        if call is None or call.attempts != count or not call.may_continue(began_seconds):
            return None
        self._forget(call)
        return call

    def _taken_failed(
        self, content: Content, began_seconds: float, is_first: Callable[[_Call], bool]
    ) -> _Call | None:
        """Return the failed call that was over first and may go on; it is out of the others then.

        ``is_first`` says that what begins is no further attempt of a call.
        """
        failed = self._failed.get(content)
        while failed:
            call = next(iter(failed))
            if call.ended_seconds > began_seconds or is_first(call):
                break  # and so it is with the others
            self._forget(call)
            if call.may_continue(began_seconds):
                return call
        return None

    def begin_broken(self, way: Way) -> Attempt:
        """Return which attempt a connection is that a rule broke before a request came by it."""
        began_seconds = way.began_seconds
        crowd = self._joined(way.digest, began_seconds)
        call = self._taken_broken(way, began_seconds, may_be_first=crowd.has_overlapped)
        call = call or self._new()
        call.content = way.digest
        call.attempts += 1
        return Attempt(call.attempts, call, crowd, self, call.gap_before(began_seconds))

    def _stood_in_for(self, identity: Identity, began_seconds: float) -> _Call | None:
        """Return the call of a broken connection in whose place a request came; None if none."""
        way, count = identity.way, identity.retry_count
        if way is None or way.digest not in self._failed:
            return None
        if count:
            return self._taken_broken(way, began_seconds, may_be_first=False)
        if not way.is_fresh:
            return None
        may_be_first = count == 0 or self._has_overlapped(way.digest)
        return self._taken_broken(way, way.began_seconds, may_be_first=may_be_first)

    def _has_overlapped(self, content: Content) -> bool:
        crowd = self._crowds.get(content)
        return crowd is not None and crowd.has_overlapped

    def _taken_broken(self, way: Way, began_seconds: float, *, may_be_first: bool) -> _Call | None:
        def is_first(call: _Call) -> bool:
            return may_be_first and call.is_just_over(began_seconds)

        return self._taken_failed(way.digest, began_seconds, is_first)

    def _new(self) -> _Call:
        return _Call(str(self.next_number()))

    def _invocation(self, identity: Identity, began_seconds: float) -> _Call:
        invoked = get_or_create(self._invoked, identity.invocation, _Invoked, self._bound)
        if invoked.call is None:
            invoked.call = self._stood_in_for(identity, began_seconds) or self._new()
            invoked.call.content = ""
        return invoked.call

    def _end(self, call: _Call, crowd: _Crowd, ended: Ended) -> None:
        crowd.under_way -= 1
        crowd.ended_seconds = max(crowd.ended_seconds, ended.seconds)
        known = ended.known_seconds
        call.known_seconds = ended.seconds if known is None else known
        if call.content == "":
            return  # its id decides alone
        pause = max(LONGEST_PAUSE_SECONDS, ended.asked_wait_seconds)
        call.ended_seconds, call.open_until = ended.seconds, ended.seconds + pause
        call.failed = ended.failed
        if ended.failed:
            self.quiet_from = max(self.quiet_from, call.open_until)
        self._ended[call] = None
        if ended.failed and ended.is_worth_repeating:
            for key in (call.content, (call.content, call.attempts)):
                self._failed.setdefault(key, OrderedDict())[call] = None
        else:
            if (before := self._settled.get(call.content)) is not None:
                self._forget(before)
            self._settled[call.content] = call
        if len(self._ended) > self._bound:
            self._forget(next(iter(self._ended)))

    def _forget(self, call: _Call) -> None:
        del self._ended[call]
        if call not in self._failed.get(call.content, ()):
            del self._settled[call.content]
            return
        for key in (call.content, (call.content, call.attempts)):
            failed = self._failed[key]
            del failed[call]
            if not failed:
                del self._failed[key]


@define(eq=False, repr=False)
class _Invoked:
    call: _Call | None = None
