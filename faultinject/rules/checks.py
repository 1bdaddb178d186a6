"""Looks at rules together: which can never be reached, and what a front door cannot do.

Knows nothing of how rules are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from faultinject.errors import SettingsError
from faultinject.faults.place import Ability, Stage
from faultinject.rules.index import RuleSet
from faultinject.rules.model import Rule


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
                " stands before it and fires for all of its requests"
            )
        elif rule.when.always:
            certain.setdefault((rule.stage, tuple(given)), {})[tuple(given.values())] = place


def _conditions(rule: Rule) -> dict[str, str]:
    """Return what a request must be, by name; the fewer conditions, the more requests."""
    given = {name: repr(value) for name, value in rule.match.given.items()}
    return given if rule.meets_preflights else given | {"preflight": "False"}


_Names = tuple[Stage, tuple[str, ...]]
"""When rules are decided, and which conditions they have: all rules of these are found at once,
for each rule compared with each would take minutes for some thousands."""
_Conditions = tuple[str, ...]
"""What the conditions are, told apart where 1 is not ``true``."""
