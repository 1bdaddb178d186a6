"""Calls of the program, put together from their attempts, and what they come to.

What an attempt is, and of which call, was decided when it began (`faultinject.rules.attempts`);
here they are only collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Literal

from attrs import define, evolve, field

from faultinject.report.attempt import Client, SeenAttempt

Outcome = Literal["succeeded", "failed", "abandoned", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "abandoned", "unfinished")
KEPT_AT_EITHER_END = 20
"""So many attempts of a call are kept from its beginning, and as many from its end."""


@define(eq=False, repr=False)
class Call:
    """What a program asked for once, in as many attempts as it took."""

    number: int
    count: int = 0
    """How many attempts there were; of many not all are kept."""
    _kept: list[SeenAttempt] = field(factory=list)
    """The first, and then the last; one list, for thousands of calls are kept."""
    lost_input_tokens: int = 0
    lost_output_tokens: int = 0
    """Of all its answers that failed after all, as far as they told of tokens."""
    said_first: int = 0
    """How many of its attempts say by the client's count that they are a call's first."""
    answered: int = 0
    """How many of its attempts succeeded."""

    @classmethod
    def of(cls, attempt: SeenAttempt) -> Call:
        """Return the call of an attempt that is its only one."""
        call = cls(attempt.call)
        call.add(attempt)
        return call

    def add(self, attempt: SeenAttempt) -> None:
        """Add an attempt that has ended; they come in the order in which they ended."""
        self.count += 1
        self.said_first += attempt.seen.retry_count == 0
        self.answered += attempt.succeeded
        if attempt.failure is not None:
            self.lost_input_tokens += attempt.seen.input_tokens or 0
            self.lost_output_tokens += attempt.seen.output_tokens or 0
        self._kept.append(attempt)
        if len(self._kept) > 2 * KEPT_AT_EITHER_END:
            del self._kept[KEPT_AT_EITHER_END]

    def count_more(self, count: int, tokens_in: int, tokens_out: int, first: int, ok: int) -> None:
        """Count attempts that are not kept; the numbers are those that `add` counts."""
        self.count += count
        self.lost_input_tokens += tokens_in
        self.lost_output_tokens += tokens_out
        self.said_first += first
        self.answered += ok

    @property
    def attempts(self) -> list[SeenAttempt]:
        """The attempts that are kept, in order."""
        return sorted(self._kept, key=lambda each: (each.number, each.began))

    @property
    def last(self) -> SeenAttempt:
        """The attempt that ended last."""
        return self._kept[-1]

    @property
    def ended(self) -> float:
        """When that attempt ended."""
        return self.last.ended

    @property
    def is_whole(self) -> bool:
        """Whether all its attempts are kept."""
        return len(self._kept) == self.count

    @property
    def client(self) -> Client:
        """Whose call it is."""
        return self.last.client

    def repeats(self) -> Iterator[tuple[SeenAttempt, SeenAttempt]]:
        """Return each attempt that failed with the one that followed it.

        Those are left out that did not follow (the client's own count may have gaps, and it may
        ask again before the end), and those between which some are not kept.
        """
        for one, other in pairwise(self.attempts):
            follows = other.number == one.number + 1 and other.began >= one.known
            if one.failure is not None and follows:
                yield one, other

    def outcome(self, is_settled: Callable[[SeenAttempt], bool]) -> Outcome:
        """Return how it ended; ``is_settled`` says whether nothing will follow an attempt."""
        last = self.last
        if last.seen.taken == "stopped":
            return "unfinished"
        if last.client_left:
            return "abandoned"
        if last.failure is None:
            return "succeeded"
        final = not last.worth_repeating
        return "failed" if final or is_settled(last) else "unfinished"


@define
class Totals:
    """What the calls came to."""

    outcomes: dict[Outcome, int] = field(factory=lambda: dict.fromkeys(OUTCOMES, 0))
    attempts: int = 0
    added_seconds: float = 0.0
    """Between the first attempts of calls and their last: time that failures cost."""
    lost_input_tokens: int = 0
    lost_output_tokens: int = 0
    """Of answers that failed after all, as far as they told of tokens."""

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return sum(self.outcomes.values())

    def add_all(
        self, calls: Iterable[tuple[Call, Outcome]], counts: Callable[[Call], bool]
    ) -> None:
        """Add calls; ``counts`` says whether a call's client counts its attempts.

        If so, each attempt that it says is a first begins a call, whatever it seemed to be when it
        came: that a client counts is seen late. Which of equal requests a further attempt belongs
        to may have been taken wrongly then, so what came of them is counted over all of these.
        """
        equal: dict[tuple[Client, str | None], tuple[int, int]] = {}
        for call, outcome in calls:
            self._add(call, outcome)
            if counts(call):
                key = call.client, call.last.seen.request
                others, answered = equal.get(key, (0, 0))
                others += max(0, call.said_first - 1)
                equal[key] = others, answered + call.answered - (outcome == "succeeded")
        for others, answered in equal.values():
            succeeded = min(others, max(0, answered))
            self.outcomes["succeeded"] += succeeded
            self.outcomes["failed"] += others - succeeded

    def _add(self, call: Call, outcome: Outcome) -> None:
        attempts = call.attempts
        self.outcomes[outcome] += 1
        self.attempts += call.count
        self.added_seconds += max(0.0, attempts[-1].began - attempts[0].began)
        self.lost_input_tokens += call.lost_input_tokens
        self.lost_output_tokens += call.lost_output_tokens

    def copy(self) -> Totals:
        """Return totals that can be added to apart."""
        return evolve(self, outcomes=dict(self.outcomes))
