"""Looks for all that is wrong with a configuration file and the rules in it.

Knows nothing of how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from faultinject.config import PROXY_OPTIONS, file_problems, load_settings, read_config_file
from faultinject.config.file import shown_path
from faultinject.config.rule_set import OPTIONS, Composed, composed, problems
from faultinject.errors import SettingsError
from faultinject.plugin.capabilities import CAPABILITIES
from faultinject.rules.checks import check_capabilities
from faultinject.rules.model import RuleSet
from faultinject.settings import WrittenRules


@frozen
class Checked:
    """What was found."""

    problems: tuple[str, ...]
    """Why the file cannot be used, a line each."""
    notes: tuple[str, ...] = ()
    """What can be right, and is hardly meant; and what one command cannot do."""
    count: int = 0
    """How many rules there are, without that of the options."""


def checked(path: Path) -> Checked:
    """Check a file as ``--config`` would take it. Nothing is raised for what is wrong in it."""
    try:
        values = read_config_file(path)  # once, for a pipe can be read only once
        if found := [*file_problems(path, values), *_rule_problems(path, values)]:
            return Checked(tuple(found))
        settings = load_settings({"config": [str(path)]}, {}, PROXY_OPTIONS, lambda _: values)
        result = composed(settings)
    except SettingsError as error:
        return Checked((str(error),))
    return Checked((), tuple(_notes(result)), _count(result))


def _rule_problems(path: Path, values: Mapping[str, Any]) -> list[str]:
    rules = values.get("rules")
    if not isinstance(rules, list):  # which is a problem of the file
        return []
    return problems(WrittenRules(rules, shown_path(path), path.parent))


def _count(result: Composed) -> int:
    return sum(rule.id != OPTIONS for rule in result.rule_set.rules)


def _notes(result: Composed) -> Iterator[str]:
    yield from (f"warning: {each}" for each in result.warnings)
    for rule in result.rule_set.rules:
        try:
            check_capabilities(RuleSet((rule,), seed=0), CAPABILITIES["duplex"])
        except SettingsError as error:
            yield f"With `faultinject plugin`: {error}"
