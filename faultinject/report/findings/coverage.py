"""Whether the run tested anything at all."""

from __future__ import annotations

from math import prod

from faultinject.events import PluginStarted, ProxyStarted
from faultinject.report.display import times as in_words
from faultinject.report.finding import Finding, Judged, Known
from faultinject.report.run_facts import RunFacts

NOTHING_TESTED = Known(
    "nothing-tested",
    "error",
    "was not tested",
    "A good test sees to it that each fault happens: a rule with `first=1` fires at the first"
    " chance.",
)


def nothing_tested(facts: RunFacts) -> Judged:
    """Look for a run without requests, and for rules and presets of which nothing came."""
    judged = Judged("the log does not say how the run began")
    started = facts.started
    if started is None:
        return judged
    judged.calls.append(0)  # of the run, not of a call
    if not facts.requests and not facts.happened:
        judged.findings.append(_finding(_no_request(facts)))
        return judged
    for name, rules in _groups(started).items():
        if not any(facts.happened.get(rule) for rule in rules):
            judged.findings.append(_finding(_idle(facts, started, name, rules)))
    return judged


def _finding(evidence: str) -> Finding:
    return Finding(NOTHING_TESTED.id, "error", evidence)


def _no_request(facts: RunFacts) -> str:
    if facts.housekeeping:
        return f"no call of the API came, only housekeeping ({facts.housekeeping})"
    if facts.refused_handshakes:
        return (
            f"no request to a target came: clients refused the certificate"
            f" {facts.refused_handshakes} times (`faultinject ca instructions`)"
        )
    if facts.relayed:
        return f"no request to a target came; {facts.relayed} tunnels went to other hosts"
    return "no request and no connection to a target came: is the proxy set in the program?"


def _groups(started: ProxyStarted | PluginStarted) -> dict[str, list[str]]:
    """Return the rules of each preset, and each other rule by itself."""
    groups: dict[str, list[str]] = {}
    for rule in started.rules:
        groups.setdefault(_name(started, rule), []).append(rule)
    return groups


def _name(started: ProxyStarted | PluginStarted, rule: str) -> str:
    preset = started.presets.get(rule)
    if preset is not None:
        return f"preset {preset}"
    return "the rule of the options" if rule == "options" else f"rule {rule}"


def _idle(
    facts: RunFacts, started: ProxyStarted | PluginStarted, name: str, rules: list[str]
) -> str:
    counts = {str(each["rule"]): each for each in (facts.stopped.rules if facts.stopped else ())}
    reached = {rule: int(counts[rule]["reached"]) for rule in rules if rule in counts}
    fired = sum(int(counts[rule]["fired"]) for rule in rules if rule in counts)
    words = f"nothing came of {name}"
    if fired:
        return f"{words}: it fired {fired} times, and its point never came"
    if not any(reached.values()):
        return f"{words}: no request matched it" if reached else words
    number = sum(reached.values())
    likely = prod(_no_fire(started, rule, times) for rule, times in reached.items())
    chance = f", which was {likely:.0%} likely; use first=1 or a higher rate" if likely < 1 else ""
    return f"{words}: it did not fire for {in_words(number, 'request')}{chance}"


def _no_fire(started: ProxyStarted | PluginStarted, rule: str, reached: int) -> float:
    """Return how likely it is that a rule never fires, if its chance is known; else 1."""
    chance = started.error_probability if rule == "options" else started.chances.get(rule, 0.0)
    return float((1 - min(1.0, chance)) ** reached)
