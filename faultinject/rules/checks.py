"""Checks rules together: which can never be reached, and what the proxy or plugin cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from faultinject.errors import SettingsError
from faultinject.faults.place import Ability, Stage
from faultinject.rules.index import RuleSet
from faultinject.rules.model import Rule


@frozen(eq=False, repr=False)
class Capabilities:
    """What the proxy or the plugin can do, given as what it cannot do."""

    name: str
    """Its name in messages, as in "the plugin"."""
    lacks: Mapping[Ability, str] = field(factory=dict)
    """What it cannot do, with the reason for each."""


def check_capabilities(rule_set: RuleSet, capabilities: Capabilities) -> None:
    """Raise `SettingsError` if a rule needs what the proxy or the plugin cannot do."""
    for rule in rule_set.rules:
        for ability in sorted(rule.abilities, key=list(Ability).index):
            if ability in capabilities.lacks:
                raise SettingsError(
                    f"{rule.place or rule.id}: {capabilities.name} cannot {ability.value}:"
                    f" {capabilities.lacks[ability]}"
                )


def hidden_by(rules: Sequence[Rule]) -> Iterator[str]:
    """Return a warning for each rule that is never reached because an earlier one always fires."""
    certain: dict[_Names, dict[_Conditions, int]] = {}
    for place, rule in enumerate(rules):
        given = _conditions(rule)
        found = (
            known.get(tuple(given[name] for name in names))
            for (stage, names), known in certain.items()
            if stage is rule.stage and given.keys() >= set(names)
        )
        covering = min((each for each in found if each is not None), default=None)
        if covering is not None:
            earlier = rules[covering]
            yield (
                f"{rule.place or rule.id}: it is never reached: {earlier.place or earlier.id}"
                " comes before it and fires for all of its requests"
            )
        elif rule.when.always:
            certain.setdefault((rule.stage, tuple(given)), {})[tuple(given.values())] = place


def _conditions(rule: Rule) -> dict[str, str]:
    """Return the conditions of a rule as text, by name."""
    given = {name: repr(value) for name, value in rule.match.given.items()}
    return given if rule.meets_preflights else given | {"preflight": "False"}


_Names = tuple[Stage, tuple[str, ...]]
"""The stage of rules, and the names of their conditions. Rules with the same are found together:
comparing every rule with every other would take minutes for thousands of rules."""
_Conditions = tuple[str, ...]
"""The conditions as text, in which 1 and ``true`` differ."""
