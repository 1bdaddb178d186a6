"""Rules for a program that embeds the proxy: from a file, a line of text, or plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from faultinject.config.file import read_config_file, shown_path
from faultinject.config.rule_set import FileReader
from faultinject.config.rules import read_rule_text, read_rules
from faultinject.config.rules.rule_list import Reading
from faultinject.config.wording import shown_text
from faultinject.errors import SettingsError
from faultinject.rules.index import RuleSet
from faultinject.rules.model import Rule

_ENDS_OF_FILES = (".yaml", ".yml", ".json", ".toml")


def load_rules(source: Path | str | Sequence[Mapping[str, object]]) -> RuleSet:
    """Read rules and check them; the result is for `Settings` (``rules``).

    A `Path` names a file (YAML, JSON or TOML) with ``rules`` in it and nothing else; text is one
    rule, as ``--rule`` takes it; a list has each rule as a file has it. The files that a rule names
    are read, too, from the folder of the rules' own file. Raises `SettingsError` that says where
    the first mistake is, and how many more there are; and if there is no rule at all.

    The seed of the draws is that of the `Settings`, not the set's.
    """
    place = shown_path(source) if isinstance(source, Path) else "load_rules"
    rules = _read(source, place).rules
    if not rules:
        raise SettingsError(f"{place}: there is no rule in it: nothing would fail")
    return RuleSet(rules, seed=0)


def _read(source: Path | str | Sequence[Mapping[str, object]], place: str) -> Reading:
    if isinstance(source, Path):
        return _of_file(source, place)
    if isinstance(source, str):
        return Reading((_of_text(source, place),))
    return read_rules(list(source) if isinstance(source, Sequence) else source, place)


def _of_text(text: str, place: str) -> Rule:
    try:
        return read_rule_text(text, place)
    except SettingsError:
        if text.endswith(_ENDS_OF_FILES):
            raise SettingsError(
                f"{place}: {shown_text(text)} is no rule; a file is given as a Path"
            ) from None
        raise


def _of_file(path: Path, place: str) -> Reading:
    values = read_config_file(path)
    if others := sorted(values.keys() - {"rules"}):
        raise SettingsError(
            f"{place}: besides rules it has {shown_text(', '.join(others))}, which would go"
            " unheeded; give that to Settings and leave it out of the file"
        )
    if "rules" not in values:
        raise SettingsError(f"{place}: it has no rules; write rules: above a list of rules")
    return read_rules(values["rules"], place, read_file=FileReader(path.parent).read)
