"""Follows a run's events and says in the end what came of it.

Bounded: of more calls than `CALLS` the oldest are judged, added to the totals and then forgotten.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from math import inf
from typing import Literal, cast

from attrs import define, evolve, field, frozen

from faultinject.events import Event, ExchangeEnded, SessionEnded, SessionStarted
from faultinject.events.connections import SURGE_CONNECTIONS
from faultinject.report.attempt import Client, client_of
from faultinject.report.client_calls import Call, Outcome, Totals
from faultinject.report.display import brief
from faultinject.report.finding import SEVERITIES, Finding, Judged, Known, Unclear, not_judged
from faultinject.report.findings import CHECKS, KNOWN, RUN_CHECKS
from faultinject.report.findings.conversations import NOT_TRIED_AGAIN
from faultinject.report.findings.giving_up import CLIENT_LEFT, NOT_RETRIED
from faultinject.report.history import History
from faultinject.report.packed import LATEST, Kept, KeptCalls, PackedCall, PlainCalls, unpacked
from faultinject.report.run_facts import TOLD_BY, RunFacts
from faultinject.report.thresholds import Thresholds
from faultinject.report.words import timeline
from faultinject.seen import ATTEMPT, CALL, RETRY_COUNT, Parts, PlainSeen, is_attempt

CALLS = 10_000
"""How many calls are kept, at most."""
ATTEMPTS = 40_000
"""How many of their attempts are kept, at most."""
OLDER = 100
"""Of older calls that are judged already so many are kept, if a finding is about them."""
BEFORE_SECONDS = 60.0
"""So long before a call that is judged the others are looked at."""
EVIDENCE = 400
"""How many characters of evidence are kept, at most."""
DOUBTFUL = 1_000
"""Of so many contents it is remembered that several calls ask them (`History.doubtful`)."""
COUNTING = 1_000
"""Of so many clients it is remembered that they count their attempts."""
WAITING = 256
"""So many events wait at most, since to look at a failure takes a while."""
LOOKED_AT = 32
"""So many of them are looked at in a row: one alone takes twice as long (`Backlog`). No more wait
once a plain one comes, so that a run without failures keeps few."""
NEAR_SECONDS = 600.0
"""So soon after a call another that asks the same may be entangled with it."""
FINDINGS = 100
"""How many findings of an id are kept; further ones are counted."""
_NOTHING_FOLLOWED = frozenset({NOT_RETRIED.id, NOT_TRIED_AGAIN.id})
"""What is said of a call that was not tried again. If it was, and that had not ended when the call
was judged, it is taken back."""


@define(eq=False, repr=False)
class Verdict:
    """What was found of one id."""

    known: Known
    judged: int = 0
    """How many calls could be judged."""
    not_happened: str = ""
    """What the run did not bring, if there was nothing to judge."""
    findings: list[Finding] = field(factory=list)
    found: int = 0
    """How many findings there were; not all are kept."""
    unclear: dict[str, tuple[int, Unclear]] = field(factory=dict)
    """In how many calls there was something to judge that is not clear, and the first of them; by
    the reason."""
    _may_go_on: array[int] = field(factory=lambda: array("q"))
    """The latest calls of which it is said that nothing followed, at most `CALLS`."""

    @property
    def word(self) -> Literal["found", "passed", "no verdict"]:
        """What to call it."""
        if self.found:
            return "found"
        return "passed" if self.judged else "no verdict"

    @property
    def why_not(self) -> str:
        """Why no call could be judged, if none could."""
        latest = next(reversed(self.unclear.values()), None)
        return self.not_happened if latest is None else latest[1].in_words

    def copy(self) -> Verdict:
        """Return a verdict that can be added to apart."""
        findings, unclear = self.findings[:], dict(self.unclear)
        return evolve(self, findings=findings, unclear=unclear, may_go_on=self._may_go_on[:])

    def add(
        self,
        judged: Judged,
        findings: Iterable[Finding],
        subjects: int,
        unclear: Iterable[Unclear] = (),
    ) -> None:
        """Add what one look at the calls has brought."""
        self.judged += subjects
        self.not_happened = judged.why_not
        for each in unclear:
            number, first = self.unclear.get(each.reason, (0, each))
            self.unclear[each.reason] = (number + 1, first)
        for finding in findings:
            self.found += 1
            if len(self.findings) < FINDINGS:
                self.findings.append(finding)
            if self.known.id in _NOTHING_FOLLOWED:
                with suppress(OverflowError):  # a log may have any number, a run has not
                    self._may_go_on.append(finding.calls[0])
        del self._may_go_on[:-CALLS]

    def take_back(self, call: int) -> None:
        """Take back that nothing followed a call, if that was said."""
        if call in self._may_go_on:
            self._may_go_on.remove(call)
            self.found -= 1
            self.findings = [each for each in self.findings if each.calls[0] != call]


@frozen(eq=False, repr=False)
class ShownCall:
    """A call, and how it ended."""

    call: Call
    outcome: Outcome


@frozen(eq=False, repr=False)
class Report:
    """What a run came to."""

    facts: RunFacts
    totals: Totals
    verdicts: tuple[Verdict, ...]
    """Of each finding that was looked for, in the order of the documentation."""
    calls: tuple[ShownCall, ...] = ()
    """The calls that are kept, and of older ones some that a finding is about."""

    @property
    def findings(self) -> list[Finding]:
        """All findings that are kept, the worst first."""
        found = [finding for verdict in self.verdicts for finding in verdict.findings]
        return sorted(found, key=_rank)

    @property
    def not_judged(self) -> list[str]:
        """A line for each reason for which something could not be judged that had happened."""
        by_reason: dict[str, list[tuple[str, int, Unclear]]] = {}
        for verdict in self.verdicts:
            for reason, (number, first) in verdict.unclear.items():
                by_reason.setdefault(reason, []).append((verdict.known.id, number, first))
        return not_judged(by_reason.values(), self.facts.unseen)

    def worst_first(self, most: int) -> list[tuple[Verdict, list[Finding]]]:
        """Return what was found, and of each id so many findings at most.

        The timeline of a call is left to the first of its findings.
        """
        found = [(each, sorted(each.findings, key=_rank)[:most]) for each in self.verdicts]
        found = sorted((each for each in found if each[1]), key=lambda each: _rank(each[1][0]))
        named: set[int] = set()
        return [(verdict, [_once(each, named) for each in some]) for verdict, some in found]


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _once(finding: Finding, named: set[int]) -> Finding:
    """Return a finding, without its timeline if that was told before."""
    call = finding.calls[:1]
    if named.issuperset(call):
        return evolve(finding, timeline="")
    named.update(call)
    return finding


class Judge:
    """Listens to a run; `report` says what came of it so far."""

    def __init__(
        self,
        thresholds: Thresholds | None = None,
        *,
        only: Iterable[str] | None = None,
        ignore: Iterable[str] = (),
        calls: int = CALLS,
    ) -> None:
        """Look for the findings of ``only`` (None: all), but not for those of ``ignore``.

        ``calls`` is how many calls are kept.
        """
        self._waiting: deque[Event] = deque()
        self.facts = RunFacts()
        self._thresholds = thresholds or Thresholds()
        ids = {known.id for known in KNOWN} if only is None else set(only)
        self._ids = ids - set(ignore)
        self._bound = calls
        self._calls = KeptCalls(min(LATEST, calls // 4))
        self._before: dict[int, Kept] = {}
        """Those that were judged last, which ended before all others."""
        self._since = -inf
        """When the last of those ended that are forgotten."""
        self._doubtful: deque[str] = deque(maxlen=DOUBTFUL)
        """What several of those calls asked that are forgotten."""
        self._counting: set[Client] = set()
        """The clients that were seen to count their attempts, at most `COUNTING` of them."""
        self._plain = PlainCalls(calls)
        """Calls that need no judgement: they matter beside those that failed."""
        self._open = self._most_open = 0
        """How many connections are open, and were at once."""
        self._totals = Totals()
        self._older: dict[int, tuple[PackedCall, Outcome]] = {}
        self._verdicts = {known.id: Verdict(known) for known in KNOWN if known.id in self._ids}

    def listen(self, event: Event) -> None:
        """Take note of an event."""
        if type(event) in TOLD_BY:
            self._waiting.append(event)
            if len(self._waiting) > WAITING:
                self._look_at_waiting(WAITING - LOOKED_AT)
            elif len(self._waiting) >= LOOKED_AT and _is_plain(event):
                self._look_at_waiting(0)
        else:
            self.facts.listen(event)
            self._count_connections(event)

    def _count_connections(self, event: Event) -> None:
        if isinstance(event, SessionStarted):
            self._open += 1
            self._most_open = max(self._most_open, self._open)
        elif isinstance(event, SessionEnded):
            self._open -= 1
            if self._open == 0:
                self._tidy()

    def _tidy(self) -> None:
        """Keep little while no connection is open, and so nobody waits for what takes a while."""
        self._look_at_waiting(0)
        if self._most_open >= SURGE_CONNECTIONS:
            # Small objects lie among what was theirs: each would keep the mebibyte around it.
            self._plain.pack()
        self._most_open = 0

    def _look_at_waiting(self, most: int) -> None:
        """Look at the events that wait, until ``most`` are left."""
        while len(self._waiting) > most:
            event = self._waiting.popleft()
            self.facts.listen(event)
            if not isinstance(event, ExchangeEnded) or (seen := event.seen) is None:
                continue
            if isinstance(seen, PlainSeen):
                self._plain.add(event, seen.values)
            elif is_attempt(parts := seen.parts):
                self._add(event, parts)

    def report(self) -> Report:
        """Return what came of the run so far. More events may follow."""
        self._look_at_waiting(0)
        totals = self._totals.copy()
        totals.outcomes["succeeded"] += self._plain.count
        totals.attempts += self._plain.count
        verdicts = {name: verdict.copy() for name, verdict in self._verdicts.items()}
        if (verdict := verdicts.get(CLIENT_LEFT.id)) is not None:
            verdict.judged += self._plain.count  # nothing else is to be said of them
        older = {
            number: ShownCall(kept.unpacked(), outcome)
            for number, (kept, outcome) in self._older.items()
        }
        numbers, calls, history = self._looked_at(len(self._calls), self.facts.now)
        shown = older | self._judge(numbers, calls, history, totals, verdicts)
        for known, check in RUN_CHECKS:
            if (verdict := verdicts.get(known.id)) is not None:
                judged = check(self.facts)
                findings = [
                    evolve(each, evidence=brief(each.evidence, EVIDENCE))
                    for each in judged.findings
                ]
                verdict.add(judged, findings, len(judged.calls))
        return Report(self.facts, totals, tuple(verdicts.values()), tuple(shown.values()))

    def _add(self, event: ExchangeEnded, parts: Parts) -> None:
        head, _, _, own = parts
        if head[RETRY_COUNT] and len(self._counting) < COUNTING:
            self._counting.add(client_of(event, parts))
        number = cast("int", own[CALL])
        if own[ATTEMPT] != 1 and number not in self._calls:  # under way when that was judged
            for id_ in _NOTHING_FOLLOWED.intersection(self._verdicts):
                self._verdicts[id_].take_back(number)
        self._calls.add(event, parts)
        if len(self._calls) > self._bound or self._calls.attempts > ATTEMPTS:
            self._fold()

    def _fold(self) -> None:
        """Judge the oldest calls, and forget those that were judged before.

        No more are looked at than needed: nothing else is done meanwhile, and what is looked at
        takes several times as much memory as what is kept.
        """
        share = self._calls.share()
        numbers, calls, history = self._looked_at(2 * share, self.facts.now_told)
        older = [calls[number] for number in numbers[:share]]
        near = max(call.ended for call in older) + NEAR_SECONDS
        # How calls lie in time that are not looked at is not known.
        entangled = self._calls.asked_behind(share, 2 * share, near)
        requests = [calls[number].last.seen.request for number in entangled]
        history.known_doubtful = history.known_doubtful.union(filter(None, requests))
        shown = self._judge(numbers[:share], calls, history, self._totals, self._verdicts)
        self._doubtful.extend(history.doubtful.difference(self._doubtful))
        found = (each.calls[0] for one in self._verdicts.values() for each in one.findings)
        of_interest = {
            number: (self._calls.small(number), shown[number].outcome)
            for number in found
            if number in shown
        }
        self._older |= dict(islice(of_interest.items(), OLDER - len(self._older)))
        before = [calls[number].ended for number in self._before if number in calls]
        self._since = max([self._since, *before])
        self._before = self._calls.pop_oldest(share)

    def _judge(
        self,
        numbers: Iterable[int],
        calls: dict[int, Call],
        history: History,
        totals: Totals,
        verdicts: dict[str, Verdict],
    ) -> dict[int, ShownCall]:
        """Judge some of the ``calls``, which the others may explain; return them to be shown."""
        numbers = frozenset(numbers)
        shown = {
            number: ShownCall(calls[number], history.outcome(calls[number])) for number in numbers
        }
        totals.add_all(((each.call, each.outcome) for each in shown.values()), history.counts)
        for known, check in CHECKS:
            if known.id not in self._ids:
                continue
            judged = check(history, self._thresholds)
            findings = [
                _finding_to_show(known, each, calls)
                for each in judged.findings
                if each.calls[0] in numbers
            ]
            subjects = sum(number in numbers for number in set(judged.calls))
            unclear = [each for number, each in judged.unclear.items() if number in numbers]
            verdicts[known.id].add(judged, findings, subjects, unclear)
        return shown

    def _looked_at(self, most: int, now: float) -> tuple[list[int], dict[int, Call], History]:
        """Return so many of the oldest calls with those that were judged last, and their numbers.

        The numbers are without those that were judged. ``now`` is up to when something is known.
        """
        chosen = self._calls.oldest(most)
        calls = unpacked(self._before | chosen)
        is_all = len(chosen) == len(self._calls)
        until = inf if is_all else max(calls[number].ended for number in chosen)
        history = self._history(list(calls.values()), until, now)
        return list(chosen), calls, history

    def _history(self, calls: list[Call], until: float, now: float) -> History:
        facts = self.facts
        if calls:
            since = min(call.attempts[0].began for call in calls) - BEFORE_SECONDS
            calls += map(Call.of, self._plain.between(since, until))
        ended = max((each.last.ended for each in calls), default=0.0)
        return History(
            calls,
            now=max(now, ended),
            since=self._since,
            until=until,
            command_ended=facts.command_ended,
            command_killed=facts.command_killed,
            over=facts.over,
            logins=list(facts.logins),
            housekept=frozenset(facts.housekept),
            last_unseen=facts.last_unseen,
            known_doubtful=frozenset(self._doubtful),
            known_counting=frozenset(self._counting),
        )


def _is_plain(event: Event) -> bool:
    return isinstance(event, ExchangeEnded) and isinstance(event.seen, PlainSeen)


def _finding_to_show(known: Known, finding: Finding, calls: dict[int, Call]) -> Finding:
    """Return a finding fit to be shown: what strangers chose cannot harm a terminal."""
    line = timeline(calls[finding.calls[0]]) if finding.of_calls == 1 else ""
    return evolve(finding, id=known.id, evidence=brief(finding.evidence, EVIDENCE), timeline=line)
