"""The calls of a run as far as they are kept, with what findings look up in them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import pairwise
from math import inf

from attrs import define, field

from faultinject.observed import Observed
from faultinject.report.attempt import (
    Client,
    HostAndModel,
    SeenAttempt,
    began,
    interleave,
    overlap,
)
from faultinject.report.client_calls import Call, Outcome
from faultinject.rules.attempts import SOONEST_SECONDS

SETTLED_SECONDS = 60.0
"""A failed call that nothing followed for so long is over."""
AROUND = 200
"""So many attempts of a client are looked at before a call, and as many behind it."""


@define(eq=False, repr=False)
class History:
    """The calls of a run as far as they are kept, and ways to look things up in them."""

    calls: list[Call]
    now: float
    """The last moment that is known of."""
    since: float = -inf
    """Calls that ended earlier may not be among these."""
    until: float = inf
    """Calls that ended later may not be among these."""
    command_ended: bool = False
    """Whether the command is over, by itself and not by a signal."""
    command_killed: bool = False
    """Whether a signal has ended the command."""
    over: float | None = None
    """When the command or the run was over; None if neither is."""
    logins: list[tuple[float, float]] = field(factory=list)
    """When requests for a token began and ended, or what may have been some."""
    housekept: frozenset[str] = frozenset()
    """The hosts that got housekeeping too."""
    last_unseen: float = -inf
    """When the last request began of which it is not known to what call it belongs."""
    known_doubtful: frozenset[str] = frozenset()
    """What is doubtful for others than these calls, and so is among these."""
    known_counting: frozenset[Client] = frozenset()
    """The clients that count their attempts in other calls than these."""

    @cached_property
    def attempts(self) -> list[SeenAttempt]:
        """All attempts that are kept, in the order in which they began."""
        found = [attempt for call in self.calls for attempt in call.attempts]
        return sorted(found, key=lambda each: (each.began, each.call, each.number))

    @cached_property
    def by_request(self) -> dict[str, list[SeenAttempt]]:
        """The attempts by what they say alike."""
        groups: dict[str, list[SeenAttempt]] = {}
        for each in self.attempts:
            if (request := self._request_of(each.seen)) is not None:
                groups.setdefault(request, []).append(each)
        return groups

    def equal_to(self, attempt: SeenAttempt) -> list[SeenAttempt]:
        """Return the attempts that say the same as one, in order; itself among them."""
        request = self._request_of(attempt.seen)
        return [] if request is None else self.by_request[request]

    def _request_of(self, seen: Observed) -> str | None:
        """Return what a request says; by its whole body where that is all that was looked at."""
        return self._looked_at(seen).request

    def host_and_model(self, attempt: SeenAttempt) -> HostAndModel:
        """Return whom an attempt asks; its model, too, may be known by the whole body alone."""
        return attempt.host, self._looked_at(attempt.seen).model

    def _looked_at(self, seen: Observed) -> Observed:
        """Return one with the same body of which more was looked at, if there is one."""
        if seen.request is not None or seen.body is None:
            return seen
        return self._looked_at_by_body.get(seen.body, seen)

    @cached_property
    def _looked_at_by_body(self) -> dict[str, Observed]:
        return {
            each.seen.body: each.seen
            for each in self.attempts
            if each.seen.body is not None and each.seen.request is not None
        }

    @cached_property
    def by_body(self) -> dict[str, list[SeenAttempt]]:
        """The attempts by all that a repeat in vain would repeat."""
        return _grouped(self.attempts, lambda seen: seen.body)

    @cached_property
    def by_prefix(self) -> dict[str, list[SeenAttempt]]:
        """The attempts by the messages that they ask about."""
        return _grouped(self.attempts, lambda seen: seen.prefix)

    @cached_property
    def by_host(self) -> dict[str, list[SeenAttempt]]:
        """The attempts by the host that they are for."""
        groups: dict[str, list[SeenAttempt]] = {}
        for each in self.attempts:
            groups.setdefault(each.host, []).append(each)
        return groups

    @cached_property
    def by_credential(self) -> dict[str, list[SeenAttempt]]:
        """The attempts by their credentials."""
        return _grouped(self.attempts, lambda seen: seen.credential)

    @cached_property
    def doubtful(self) -> frozenset[str]:
        """What several calls ask: which of them a repeat repeats is not known.

        They overlapped, or took several connections in turn; or a client that counts its attempts
        said that it was the first.
        """
        return self.known_doubtful.union(
            request
            for request, attempts in self.by_request.items()
            if overlap(attempts)
            or interleave(attempts)
            or any(map(self._says_it_is_first, attempts))
        )

    def _says_it_is_first(self, attempt: SeenAttempt) -> bool:
        first = attempt.number > 1 and attempt.seen.retry_count == 0
        return first and attempt.client in self._counting

    def counts(self, call: Call) -> bool:
        """Return True if a call's client counts its attempts."""
        return call.client in self._counting

    @cached_property
    def _counting(self) -> frozenset[Client]:
        """The clients that count their attempts."""
        counting = (each.client for each in self.attempts if each.seen.retry_count)
        return self.known_counting.union(counting)

    def is_doubtful(self, attempt: SeenAttempt) -> bool:
        """Return True if it cannot be known to which call an attempt belongs."""
        request = self._request_of(attempt.seen)
        return request is None or request in self.doubtful

    @cached_property
    def certain(self) -> list[Call]:
        """The calls whose attempts are surely theirs."""
        return [call for call in self.calls if not self.is_doubtful(call.last)]

    @cached_property
    def repeated(self) -> list[Call]:
        """Those of them that had several attempts, each of which is known to be of the call.

        A connection that was broken may have been for another call of the same client.
        """
        several = (call for call in self.certain if call.count > 1)
        return [call for call in several if not any(each.of_connection for each in call.attempts)]

    @cached_property
    def in_turn(self) -> list[Call]:
        """Calls that seem to have been tried again, over several connections in turn.

        They may be those of threads, or one client that takes two connections in turn.
        """
        requests = {
            request
            for request, attempts in self.by_request.items()
            if interleave(attempts) and not overlap(attempts)
        }
        several = (call for call in self.calls if call.count > 1)
        return [call for call in several if self._request_of(call.last.seen) in requests]

    @cached_property
    def followed_at_once(self) -> frozenset[int]:
        """The calls that may be one: an equal first request followed a failure at once.

        It came on another connection, and its client says each time that it is the first.
        """
        return frozenset(
            call
            for attempts in self.by_request.values()
            for one, other in pairwise(attempts)
            if one.call != other.call and self._may_be_next(one, other)
            for call in (one.call, other.call)
        )

    def _may_be_next(self, one: SeenAttempt, other: SeenAttempt) -> bool:
        return (
            one.worth_repeating
            and other.number == 1
            and other.seen.retry_count == 0
            and other.client not in self._counting
            and 0 <= other.began - one.ended < SOONEST_SECONDS
        )

    @cached_property
    def crowded(self) -> frozenset[str]:
        """The prefixes that were asked about by two requests at once."""
        return frozenset(name for name, attempts in self.by_prefix.items() if overlap(attempts))

    @cached_property
    def answered_at(self) -> dict[str, float]:
        """When the first whole answer to each prefix began to come, if it had one.

        Its end may be noticed when the client has asked the next thing already.
        """
        first: dict[str, float] = {}
        for prefix, attempts in self.by_prefix.items():
            came = [each.head or each.began for each in attempts if each.succeeded]
            if came:
                first[prefix] = min(came)
        return first

    def continuing(self, prefix: str) -> list[SeenAttempt]:
        """Return the attempts whose messages are those of a prefix and more."""
        return self._continuing.get(prefix, [])

    @cached_property
    def _continuing(self) -> dict[str, list[SeenAttempt]]:
        groups: dict[str, list[SeenAttempt]] = {}
        for each in self.attempts:
            for message in each.seen.messages:
                groups.setdefault(message.before, []).append(each)
        return groups

    @cached_property
    def by_question(self) -> dict[str, dict[HostAndModel, list[SeenAttempt]]]:
        """The attempts by `question`, and by whom they ask."""
        groups: dict[str, dict[HostAndModel, list[SeenAttempt]]] = {}
        for each in self.attempts:
            if (key := self.question(each)) is not None:
                groups.setdefault(key, {}).setdefault(each.host_and_model, []).append(each)
        return groups

    def question(self, attempt: SeenAttempt) -> str | None:
        """Return what the user said last in a request, whatever the API; None if it is not told."""
        texts = [each.text for each in attempt.seen.messages if each.role == "user"]
        return next((text for text in reversed(texts) if text is not None), None)

    def around(self, first: SeenAttempt, last: SeenAttempt) -> list[SeenAttempt]:
        """Return what a client asked of an API around two of its attempts, in order.

        The client is known by its credentials, else by what it asks. At most `AROUND` before and
        after.
        """
        client = self._by_client[first.client]
        start = bisect_left(client, first.began, key=began)
        end = bisect_right(client, last.began, key=began)
        return client[max(0, start - AROUND) : end + AROUND]

    @cached_property
    def _by_client(self) -> dict[Client, list[SeenAttempt]]:
        groups: dict[Client, list[SeenAttempt]] = {}
        for each in self.attempts:
            groups.setdefault(each.client, []).append(each)
        return groups

    def counted(self, number: int, calls: Iterable[int]) -> str:
        """Return how many attempts of some calls were counted; not all may be kept."""
        return f"{number}" if self._in_part.isdisjoint(calls) else f"at least {number}"

    @cached_property
    def _in_part(self) -> frozenset[int]:
        """The calls whose attempts are not all kept."""
        return frozenset(call.number for call in self.calls if not call.is_whole)

    def is_settled(self, attempt: SeenAttempt) -> bool:
        """Return True if what has not followed an attempt in its call will not follow any more."""
        if self.last_unseen >= attempt.ended:
            return False  # it may have been the next attempt
        return self.command_ended or self.now - attempt.ended >= SETTLED_SECONDS

    def is_known_before(self, attempt: SeenAttempt, seconds: float) -> bool:
        """Return True if all is here that ended in so many seconds before an attempt began."""
        return attempt.began - seconds >= self.since

    def is_known_behind(self, attempt: SeenAttempt) -> bool:
        """Return True if all is here that ended in the minute behind an attempt's end."""
        return self.until - attempt.ended >= SETTLED_SECONDS

    def nothing_follows(self, attempt: SeenAttempt) -> bool:
        """Return True if all is here that may follow an attempt, in other calls too."""
        return self.is_settled(attempt) and self.is_known_behind(attempt)

    def outcome(self, call: Call) -> Outcome:
        """Return how a call ended."""
        return call.outcome(self.is_settled)


def _grouped(
    attempts: Iterable[SeenAttempt], key: Callable[[Observed], str | None]
) -> dict[str, list[SeenAttempt]]:
    groups: dict[str, list[SeenAttempt]] = {}
    for each in attempts:
        name = key(each.seen)
        if name is not None:
            groups.setdefault(name, []).append(each)
    return groups
