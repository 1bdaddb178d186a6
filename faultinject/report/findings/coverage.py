"""Whether the run tested anything at all."""

from __future__ import annotations

from math import prod

from faultinject.config.presets import is_for, surer
from faultinject.events import PluginStarted, ProxyStarted
from faultinject.report.display import times
from faultinject.report.finding import Finding, Judged, Known, Severity
from faultinject.report.run_facts import RunFacts

NOTHING_TESTED = Known(
    "nothing-tested",
    "error",
    "did not meet every failure that was asked for",
    "A good test sees to it that each failure that it asks for happens; only what has failed is"
    " tested.",
)
RULE_UNFIT = Known(
    "rule-unfit",
    "warning",
    "was spared by a rule that means nothing for its API",
    "A good test asks for failures that the API has; `faultinject rules check FILE --for HOST/PATH`"
    " says which mean something there.",
)
Started = ProxyStarted | PluginStarted
_ASK = "the rule of the options"


def nothing_tested(facts: RunFacts) -> Judged:
    """Look for a run without requests, and for rules and presets of which nothing came.

    What cannot fire, with a chance of 0, was not asked for.
    """
    judged = Judged("the log does not say how the run began")
    started = facts.started
    if started is None:
        return judged
    groups = _groups(started)
    if not groups:
        judged.why_not = "no failure was asked for: there is no rule, or its chance is 0"
        return judged
    judged.calls.append(0)  # of the run, not of a call
    if not facts.requests and not facts.happened:
        words = f"the program was not tested: {_no_request(facts, started)}"
        judged.findings.append(_finding(words))
        return judged
    for name, rules in groups.items():
        if not any(facts.happened.get(rule) for rule in rules):
            judged.findings.append(_finding(_idle(facts, started, name, rules)))
    return judged


def rule_unfit(facts: RunFacts) -> Judged:
    """Look for rules that mean nothing for an API which they met.

    That is a note if they did their work at another API: an agent asks a model and an MCP server,
    say, and the failures asked for are those of one of them.
    """
    judged = Judged("no request met a rule")
    if facts.unfit or facts.happened:
        judged.calls.append(0)
    worked = {_rule_name(facts, rule) for rule in facts.happened}
    for each in facts.unfit:
        name = _rule_name(facts, each.rule)
        severity: Severity = "note" if name in worked else "warning"
        evidence = f"{name} at {each.host}: {each.reason}"
        judged.findings.append(Finding(RULE_UNFIT.id, severity, evidence))
    return judged


def _rule_name(facts: RunFacts, rule: str) -> str:
    return f"rule {rule}" if facts.started is None else _name(facts.started, rule)


def _finding(evidence: str) -> Finding:
    return Finding(NOTHING_TESTED.id, "error", evidence)


def _no_request(facts: RunFacts, started: Started) -> str:
    if facts.websockets:
        return (
            f"clients asked for a WebSocket {times(facts.websockets, 'time')}, and for nothing that"
            " rules reach (`--refuse-websocket`)"
        )
    if facts.housekeeping:
        return f"no call of the API came, only housekeeping ({facts.housekeeping})"
    if facts.refused_handshakes:
        return (
            f"no request to a target came: clients refused the certificate"
            f" {times(facts.refused_handshakes, 'time')} (`faultinject ca instructions`)"
        )
    if facts.relayed:
        tunnels = times(facts.relayed, "tunnel was", "tunnels were")
        return (
            f"no request to a target came; {tunnels} not decrypted: to other hosts"
            " (`--target-host`), or without TLS or HTTP in them"
        )
    return f"no request and no connection to a target came: {_question(facts, started)}"


def _question(facts: RunFacts, started: Started) -> str:
    """Return what to look at where nothing came at all."""
    if facts.command is not None:  # `run` has set the proxy in its environment
        return (
            "does it ask one of the targets (`--target-host`), and heed its environment"
            " (docs/run.md)?"
        )
    if isinstance(started, PluginStarted):
        return "does Fault use the plugin, and the program Fault?"
    return "is the proxy set in the program?"


def _groups(started: Started) -> dict[str, list[str]]:
    """Return the rules of each preset, and each other rule by itself."""
    groups: dict[str, list[str]] = {}
    for rule in started.rules:
        if _chance(started, rule) > 0:
            groups.setdefault(_name(started, rule), []).append(rule)
    return groups


def _name(started: Started, rule: str) -> str:
    preset = started.presets.get(rule)
    if preset is not None:
        return f"preset {preset}"
    return _ASK if rule == "options" else f"rule {rule}"


def _idle(facts: RunFacts, started: Started, name: str, rules: list[str]) -> str:
    counts = {str(each["rule"]): each for each in (facts.stopped.rules if facts.stopped else ())}
    reached = {rule: int(counts[rule]["reached"]) for rule in rules if rule in counts}
    fired = sum(int(counts[rule]["fired"]) for rule in rules if rule in counts)
    words = f"nothing came of {name}"
    unfit = next((each for each in facts.unfit if each.rule in rules), None)
    if unfit is not None:
        return f"{words}: it means nothing there ({unfit.reason})"
    if fired:
        return f"{words}: it fired {times(fired, 'time')}, and its point never came"
    if not any(reached.values()):
        why = f": {_unmatched(facts, started, rules)}" if reached else ""
        return f"{words}{why}"
    number = times(sum(reached.values()), "request")
    return f"{words}: it did not fire for {number}{_more_often(started, reached, rules[0])}"


def _unmatched(facts: RunFacts, started: Started, rules: list[str]) -> str:
    """Return what rules are for, none of which matched anything."""
    if isinstance(started, ProxyStarted) and set(rules) <= set(started.of_tunnels):
        what = (
            "`--via proxy` leads them through one"
            if facts.command is not None
            else "give clients the proxy's address as their proxy"
        )
        return (
            "it acts as a tunnel is opened, and no tunnel matched it; requests by base URL open"
            f" none: {what}"
        )
    return f"no request matched it; {_what_it_is_for(started, rules)}"


def _what_it_is_for(started: Started, rules: list[str]) -> str:
    """Return where it stands which requests match rules."""
    preset = started.presets.get(rules[0])
    if preset is not None:
        meant = f"it is for {words}; " if (words := is_for(preset)) else ""
        return f"{meant}`faultinject presets show {preset}` says which do"
    if rules[0] == "options":
        return "`--only all` makes it one for every request"
    return "`faultinject rules check FILE --for HOST/PATH` says which rules a request meets"


def _more_often(started: Started, reached: dict[str, int], first: str) -> str:
    """Return how likely it is that rules never fire, and what to do about it."""
    chances = {rule: chance for rule in reached if (chance := _chance(started, rule)) < 1}
    if not chances:
        return "; its `when` held for none of them"
    likely = prod((1 - chance) ** reached[rule] for rule, chance in chances.items())
    return f", which was {likely:.0%} likely; use {_surer(started, first, max(chances.values()))}"


def _surer(started: Started, rule: str, chance: float) -> str:
    if rule == "options":
        return "a higher `--error-probability`"
    return surer(started.presets.get(rule), chance)


def _chance(started: Started, rule: str) -> float:
    """Return the chance of a rule; of one that fires whenever it may it is 1."""
    return started.error_probability if rule == "options" else started.chances.get(rule, 1.0)
