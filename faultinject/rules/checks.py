"""Looks at rules together: which can never be reached, and what a front door cannot do.

Knows nothing of how rules are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from faultinject.errors import SettingsError
from faultinject.faults.stage import Ability
from faultinject.rules.match import Match
from faultinject.rules.model import Rule, RuleSet


@frozen
class Capabilities:
    """What a front door can do, by what it cannot."""

    name: str
    """What it is called in messages, as in "the plugin"."""
    lacks: Mapping[Ability, str] = field(factory=dict, hash=False)
    """What it cannot do, each with the reason."""


def check_capabilities(rule_set: RuleSet, capabilities: Capabilities) -> None:
    """Refuse rules that ask for what a front door cannot do. Raises `SettingsError`."""
    for rule in rule_set.rules:
        for ability in sorted(rule.abilities, key=list(Ability).index):
            if ability in capabilities.lacks:
                raise SettingsError(
                    f"{rule.place or rule.id}: {capabilities.name} cannot {ability.value}:"
                    f" {capabilities.lacks[ability]}"
                )


def hidden_by(rules: Sequence[Rule]) -> Iterator[str]:
    """Return a warning for each rule that is never reached, for an earlier one always fires."""
    certain: list[Rule] = []
    for rule in rules:
        for earlier in certain:
            if earlier.stage is rule.stage and _covers(earlier.match, rule.match):
                yield (
                    f"{rule.place or rule.id}: it is never reached: {earlier.place or earlier.id}"
                    " stands before it and fires for all of its requests"
                )
                break
        else:
            if rule.when.always:
                certain.append(rule)


def _covers(one: Match, other: Match) -> bool:
    """Say whether one matches all that the other does: each of its conditions is there, too."""
    theirs = other.given
    return all(name in theirs and theirs[name] == value for name, value in one.given.items())
