"""The presets: rules that come with faultinject, one YAML file each.

A preset's file has `rules` like a user's file. Beside them it says what a client sees (`sees`),
what the client should do (`expect`), how that is known (`evidence`), and sometimes what to know
before use (`note`). If its rules are not for every API, it says which requests to the others it
should have met (`elsewhere`: each with a `match`), and why it does not and what would (`why`). No
preset has code of its own.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from attrs import evolve, frozen

from faultinject.config.file import from_yaml
from faultinject.config.preset_names import NAMES, why_no_preset
from faultinject.config.rules import read_rules
from faultinject.errors import SettingsError
from faultinject.rules.model import Rule

__all__ = ["NAMES", "Preset", "is_for", "preset_named", "read_preset", "surer"]


@frozen(eq=False, repr=False)
class Preset:
    """Rules and their description."""

    name: str
    sees: str
    """What a client sees, in a sentence or two."""
    expect: str
    """What a good client does then, and how known clients differ."""
    evidence: tuple[str, ...]
    """How the failure and the behaviour are known, and what is not verified."""
    rules: tuple[Rule, ...]
    note: str | None
    """What the preset needs to have an effect, if that is not obvious."""
    elsewhere: tuple[Rule, ...]
    """Rules that mean nothing, at the APIs that none of the others is for (`Rule.unfit`)."""
    text: str
    """The rules as they are written: this part could stand in a user's own file."""

    @property
    def takes_first(self) -> bool:
        """Whether ``@first=N`` may follow its name (see `Rule.of_first_attempts`)."""
        try:
            for rule in self.rules:
                rule.of_first_attempts(1)
        except ValueError:
            return False
        return True

    @property
    def own_chance(self) -> float:
        """The greatest chance of those rules that do not fire whenever they may; 1 if all do."""
        chances = (rule.when.greatest_chance for rule in self.rules)
        return max((chance for chance in chances if chance < 1), default=1.0)

    @property
    def greatest_factor(self) -> int:
        """The greatest whole factor that makes no chance of a rule more than 1."""
        return int(1 / self.own_chance)

    @property
    def is_for(self) -> str:
        """Which requests all of its rules are for, as far as they say the same; empty if not."""
        if not all(rule.match.stream for rule in self.rules):
            return ""
        offers_tools = all(rule.match.tools for rule in self.rules)
        return "requests that ask for a stream" + (" and offer tools" if offers_tools else "")


def is_for(name: str) -> str:
    """Return which requests a preset is for, if that can be said in a few words; else ""."""
    return "" if why_no_preset(name) is not None else preset_named(name).is_for


def surer(name: str | None, chance: float) -> str:
    """Return what to use so that a preset fires more surely than with a chance below 1.

    None stands for a rule that is of no preset.
    """
    if name is None:
        return "first=1 in place of its chance, or a higher one"
    if why_no_preset(name) is not None:
        return "a higher rate"  # a log may be of another version
    preset = preset_named(name)
    greatest = preset.own_chance * preset.greatest_factor
    if chance >= greatest:
        return "more requests"
    if preset.greatest_factor == 1:
        return f"`{name}` without a percentage, or with a higher one"
    return f"`{name}@{preset.greatest_factor}`, which makes its chance {greatest:.0%}"


@cache
def preset_named(name: str) -> Preset:
    """Return the preset of this name. Raises `SettingsError` if there is none."""
    if (problem := why_no_preset(name)) is not None:
        raise SettingsError(problem)
    return read_preset(name, _text(name))


def read_preset(name: str, text: str) -> Preset:
    """Read a preset from its file's text."""
    document: Any = from_yaml(text)
    rules = read_rules(document["rules"], f"preset {name}").rules
    return Preset(
        name,
        document["sees"],
        document["expect"],
        tuple(document["evidence"]),
        rules,
        document.get("note"),
        tuple(_elsewhere(rules, each, name) for each in document.get("elsewhere", ())),
        text[text.index("rules:\n") :],
    )


def _elsewhere(rules: tuple[Rule, ...], entry: Any, name: str) -> Rule:
    """Return the rule that says why a preset does nothing where none of its rules is for the API.

    It has the id of the first of them.
    """
    given = {"name": rules[0].id, "match": entry["match"], "fault": "pass"}
    [rule] = read_rules([given], f"preset {name}: elsewhere").rules
    match = evolve(rule.match, besides=tuple(each.match for each in rules))
    return evolve(rule, match=match, unfit=entry["why"])


def _text(name: str) -> str:
    return (resources.files(__name__) / f"{name}.yaml").read_text("utf-8")
