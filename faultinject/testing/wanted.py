"""What a test gives: rules, presets, of which of them something must come, and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, fields_dict, frozen

from faultinject.config.presets import preset_named, surer
from faultinject.config.rule_set import rules_given_to
from faultinject.config.values import PRESETS
from faultinject.environment.vendor_variables import own_urls
from faultinject.errors import SettingsError
from faultinject.providers.known import PROVIDERS
from faultinject.reading.shown import nearest
from faultinject.rules.index import RuleSet
from faultinject.rules.model import Rule
from faultinject.settings import ChosenPreset, Settings

TARGETS = tuple(host for api in PROVIDERS for host in api.hosts if "*" not in host)
"""The hosts of the APIs that are known. Of those that have one for each region a test names its."""
_NOT_HERE = {
    *("host", "proxy_port", "rules", "preset", "fake_upstream", "short_form", "error_probability"),
    *("status_code", "error_body", "headers", "log_level", "log_format", "gives_memory_back"),
    "observes_late",
}
"""Fields of `Settings` that make no sense here."""
_OWN = ("rules", "preset", "optional", "upstream")
"""What a test says besides settings."""
RuleSource = str | Path | Mapping[str, object] | RuleSet
"""One rule in text, or as a file has it; a file's name; or rules that are read."""


@frozen
class Expected:
    """Rules of which something must come: one rule, or those of a preset together."""

    label: str
    """What they are called in messages."""
    count: int
    """How many rules they are."""
    optional: bool
    """Whether it is no failure if nothing comes of them."""
    surer: str = ""
    """What to use so that they fire more surely, if they have a chance below 1."""
    is_for: str = ""
    """Which requests they are for, if that can be said in a few words."""


@frozen
class Wanted:
    """Rules and presets, in the order in which they are asked: all rules first."""

    rules: tuple[Rule, ...] = ()
    presets: tuple[ChosenPreset, ...] = ()
    _of_rules: tuple[Expected, ...] = ()
    _of_presets: tuple[Expected, ...] = ()

    @property
    def expected(self) -> tuple[Expected, ...]:
        """What must come of them, in the same order."""
        return self._of_rules + self._of_presets

    def with_rules(self, sources: Iterable[RuleSource], *, optional: bool) -> Wanted:
        """Return them with further rules. Raises `SettingsError`."""
        rules, expected = self.rules, self._of_rules
        for source in sources:
            found = _read(source)
            rules += found
            expected += tuple(
                Expected(_label(source, rule), 1, optional, _surer(None, rule.when.greatest_chance))
                for rule in found
            )
        return evolve(self, rules=rules, of_rules=expected)

    def with_presets(self, names: Iterable[str], *, optional: bool) -> Wanted:
        """Return them with further presets. Raises `SettingsError`."""
        presets, expected = self.presets, self._of_presets
        for name in names:
            chosen = _preset(name)
            preset = preset_named(chosen.name)
            hint = _surer(chosen.name, preset.own_chance * chosen.factor)
            presets += (chosen,)
            label, count = f"the preset {name!r}", len(preset.rules)
            expected += (Expected(label, count, optional, hint, preset.is_for),)
        return evolve(self, presets=presets, of_presets=expected)


def _read(source: RuleSource) -> tuple[Rule, ...]:
    if isinstance(source, RuleSet):
        return source.rules
    return rules_given_to("rules", [source] if isinstance(source, Mapping) else source).rules


def _label(source: RuleSource, rule: Rule) -> str:
    return f"the rule {source!r}" if isinstance(source, str) else f"the rule {rule.id!r}"


def _surer(preset: str | None, chance: float) -> str:
    return surer(preset, chance) if chance < 1 else ""


def _preset(name: str) -> ChosenPreset:
    try:
        [chosen] = PRESETS.from_arguments([name])
    except ValueError as error:
        raise SettingsError(f"preset: {error}") from None
    return chosen


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of `Settings`, with the defaults of a test. Raises `SettingsError`."""
    known = fields_dict(Settings).keys() - _NOT_HERE
    for name in settings.keys() - known:
        near = None if name in _NOT_HERE else nearest(name, (*known, *_OWN))
        hint = f"did you mean {near}?" if near else f"what can is {', '.join(sorted(known))}"
        raise SettingsError(f"{name}: that cannot be set here; {hint}")
    own = [each.target for each in own_urls(os.environ)]
    return {"target_host": (*TARGETS, *own), "fake_pace": 0.0, **settings}


def as_list(values: Any) -> Iterable[Any]:
    """Return one value as a list, and several as they are."""
    return (values,) if isinstance(values, (str, Path, Mapping, RuleSet)) else values
