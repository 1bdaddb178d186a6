"""The decision: from the facts of a request to a plan of what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Literal

from attrs import evolve, field, frozen

from faultinject.faults.breaks import Break
from faultinject.faults.delay import Before
from faultinject.faults.fault import Fault
from faultinject.faults.place import Scope, Stage
from faultinject.faults.respond import InjectedResponse, Respond
from faultinject.faults.stream import StreamFault
from faultinject.rules.attempts import Attempt, Ended
from faultinject.rules.counters import Counters, Slot, Tally
from faultinject.rules.draws import Draws
from faultinject.rules.facts import Facts
from faultinject.rules.identity import identity_of
from faultinject.rules.index import Candidates, RuleSet
from faultinject.rules.model import Rule, Weighted

Upstream = Literal["asked", "skipped", "answered"]


@frozen
class Wait:
    """A delay and its length, which has been drawn."""

    before: Before
    seconds: float


@frozen
class Plan:
    """What happens to one request."""

    source: InjectedResponse | None
    """The response to inject, if it is ready; else None, and ``respond`` may describe one."""
    rule_id: str | None = None
    """The rule that fired, if any."""
    respond: Respond | None = None
    """The response to inject, if it must be rendered for this request."""
    waits: tuple[Wait, ...] = ()
    """At most one for each value of ``before``."""
    breaks: Break | None = None
    stream: tuple[StreamFault, ...] = ()
    upstream: Upstream = "asked"
    """Whether the upstream is asked and its response passed on, or it is not asked, or its response
    is discarded."""
    marker: str | None = None
    """The value of the marker header in responses of the proxy; None for no marker."""
    _draws: Draws | None = field(default=None, eq=False, repr=False)
    _slot: Slot | None = field(default=None, eq=False, repr=False)
    attempt: Attempt | None = field(default=None, eq=False, repr=False)
    """The attempt that the request is, if a rule counts attempts."""

    @property
    def changes_response(self) -> bool:
        """Whether more happens than that one response is sent as it is."""
        return bool(self.waits or self.breaks or self.stream or self.upstream == "answered")

    @property
    def scope(self) -> Scope:
        """What ends, if a fault ends the exchange in the midst of its response."""
        if self.breaks is not None:
            return self.breaks.scope
        ends_all = any(each.scope is Scope.CONNECTION for each in self.stream)
        return Scope.CONNECTION if ends_all else Scope.REQUEST

    def numbers(self, purpose: str) -> Callable[[], float]:
        """Return the random numbers for a purpose (a response's ids, a garbled byte).

        They belong to this decision: the same purpose gets the same numbers.
        """
        draws = self._draws or Draws(0, "", 0)
        return draws.fork(purpose).uniform

    def end(self, ended: Ended | None = None) -> None:
        """Report that the exchange is over, and how it ended; frees its place in ``at_a_time``."""
        if self._slot is not None:
            self._slot.release()
        if self.attempt is not None and ended is not None:
            self.attempt.end(ended)


PASS = Plan(source=None)
"""No rule fired: the upstream is asked and its response passed on."""


def decide(
    rule_set: RuleSet,
    counters: Counters,
    facts: Facts,
    *,
    now_seconds: float = 0.0,
    stage: Stage = Stage.ANSWER,
    candidates: Candidates | None = None,
    on_unfit: Callable[[Rule, Facts, str], None] = lambda *_: None,
) -> Plan:
    """Return the plan of the first rule that fires; each rule that is reached is counted.

    ``now_seconds`` is the time since the start of the run. Call this once at each stage of a
    request that `RuleSet.has`, until a rule has fired. Pass ``candidates`` if `RuleSet.candidates`
    was called already; if they need the body, put it into the facts first. Call `Plan.end` when
    the exchange is over. ``on_unfit`` is called with a rule that would be next but means nothing
    for the request's API, with the request's facts, and why; the rule is not counted, and the next
    one is tried.
    """
    if candidates is None:
        candidates = rule_set.candidates(stage, facts)
    attempt = _attempt(counters, facts, now_seconds) if candidates.count_attempts else None
    if attempt is not None:
        facts = facts.counted(attempt.number, attempt.call)
    for rule in candidates.matching(facts):
        if rule.depends_on_api:
            unfit = rule.why_unfit(facts.provider, facts.provider.shape_of(facts.path))
            if unfit is not None:
                on_unfit(rule, facts, unfit)
                continue
        plan = _try_rule(rule_set, counters, rule, facts, now_seconds)
        if plan is not None:
            return plan if attempt is None else evolve(plan, attempt=attempt)
    return PASS if attempt is None else Plan(source=None, attempt=attempt)


def _attempt(counters: Counters, facts: Facts, now_seconds: float) -> Attempt | None:
    counters.backlog.catch_up()
    attempts, began = counters.attempts, facts.began_seconds
    identity = identity_of(facts, attempts.key)
    return attempts.begin(identity, now_seconds if began is None else began)


def _try_rule(
    rule_set: RuleSet, counters: Counters, rule: Rule, facts: Facts, now_seconds: float
) -> Plan | None:
    when = rule.when
    if when.window is not None and not when.window.contains(now_seconds):
        return None
    if when.counts_attempts and facts.attempt is None:
        return None  # the body was too long to read
    number = taken = counters.count(rule.id)
    tally = counters.tally(rule.id)
    if when.per is not None:
        group = when.per.group(facts)
        number, tally = counters.count(rule.id, group), counters.tally(rule.id, group)
        if when.counts_attempts and facts.attempt is not None:
            number = facts.attempt
    draws = Draws(rule_set.seed, rule.id, taken)
    if not when.fires(number, tally, draws, now_seconds):
        return None
    tally.fired += 1
    if when.per is not None:
        counters.tally(rule.id).fired += 1  # of all groups
    return _plan(rule, facts, draws, _slot(rule, tally), marked=rule_set.marker)


def _slot(rule: Rule, tally: Tally) -> Slot | None:
    limit = rule.when.limit
    return Slot(tally) if limit is not None and limit.at_a_time is not None else None


def _plan(rule: Rule, facts: Facts, draws: Draws, slot: Slot | None, *, marked: bool) -> Plan:
    fault = _choose(_choices(rule, facts), draws)
    return Plan(
        rule.response,
        rule.id,
        fault.respond if rule.response is None else None,
        tuple(Wait(each.before, each.length.quantile(draws.uniform())) for each in fault.delays),
        fault.breaks,
        fault.stream,
        _upstream(fault),
        rule.id if marked else None,
        draws,
        slot,
    )


def _choices(rule: Rule, facts: Facts) -> tuple[Weighted, ...]:
    if not rule.depends_on_api or len(rule.faults) == 1:
        return rule.faults
    return rule.fitting(facts.provider, facts.provider.shape_of(facts.path))


def _choose(choices: tuple[Weighted, ...], draws: Draws) -> Fault:
    if len(choices) == 1:
        return choices[0].fault
    sums = list(accumulate(choice.weight for choice in choices))
    number = draws.uniform() * sums[-1]
    return next(
        (choice.fault for choice, sum_ in zip(choices, sums, strict=True) if number < sum_),
        choices[-1].fault,  # for rounding
    )


def _upstream(fault: Fault) -> Upstream:
    if fault.respond is not None:
        return "answered" if fault.respond.answered else "skipped"
    breaks_before = fault.breaks is not None and fault.breaks.point is None
    return "skipped" if fault.made_stream or breaks_before else "asked"
