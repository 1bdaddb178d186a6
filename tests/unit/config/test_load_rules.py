"""Rules that a program reads, for its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faultinject import RuleSet, Settings, load_rules
from faultinject.config.rule_set import composed, rule_set_of
from faultinject.errors import SettingsError

TWO = """
rules:
  - {name: a, match: {path: /v1/a}, fault: {respond: 500}}
  - {name: b, match: {path: /v1/b}, fault: {respond: {status: 503, file: body.json}}}
"""


def refused(source: Any) -> str:
    """Return what is said of what holds no rules."""
    with pytest.raises(SettingsError) as caught:
        load_rules(source)
    return str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    """With what its rules name, from its own folder."""
    (tmp_path / "rules.yaml").write_text(TWO)
    (tmp_path / "body.json").write_text("{}")
    rules = load_rules(tmp_path / "rules.yaml")
    assert rules.ids == ("a", "b")
    assert rule_set_of(Settings(rules=rules)).ids == ("a", "b")


def test_text_and_values_say_the_same() -> None:
    """As --rule has it, and as a file has it."""
    text = load_rules("respond 529 name=x first=2")
    [rule] = load_rules(
        [{"name": "x", "when": {"first": 2}, "fault": {"respond": {"status": 529}}}]
    ).rules
    assert text.rules == (rule,)


def test_rules_that_are_read_are_as_those_in_text() -> None:
    """For the targets alone, in place of the options' rule, with the settings' seed."""
    text = "respond 529 name=x"
    read, written = Settings(rules=load_rules(text), seed=3), Settings(rules=[text], seed=3)
    assert rule_set_of(read) == rule_set_of(written)
    assert rule_set_of(read).seed == 3


def test_rules_of_two_sets() -> None:
    """They are put together, and two of a name are found then."""
    one, other = load_rules("respond 500 name=x"), load_rules("respond 503 name=y")
    both = RuleSet((*one.rules, *other.rules), seed=0)
    assert rule_set_of(Settings(rules=both)).ids == ("x", "y")
    with pytest.raises(SettingsError, match="x"):
        rule_set_of(Settings(rules=RuleSet((*one.rules, *one.rules), seed=0)))


def test_a_rule_that_no_request_reaches_is_no_error() -> None:
    """The run warns of it, as of any other."""
    rules = load_rules(
        [{"name": "all", "fault": {"respond": 500}}, {"name": "never", "fault": {"respond": 503}}]
    )
    [warning] = composed(Settings(rules=rules)).warnings
    assert "never" in warning


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("respond 999", "load_rules: rule.fault.respond: 999 is not"),
        ("rules.yaml", "load_rules: 'rules.yaml' is not a rule; pass a file as a Path"),
        ("", "load_rules: write a rule as in"),
        ([], "load_rules: it has no rule, so nothing would fail"),
        ([1], "load_rules: rules[0]: 1 is not a rule"),
        ([{"x": 1}, {"fault": 3}], "load_rules: rules[0]: unknown key 'x'"),
        ({"rules": []}, "load_rules: rules: it is not a list of rules"),
        (5, "load_rules: rules: it is not a list of rules"),
        (None, "load_rules: rules: it is not a list of rules"),
        (Path("missing.yaml"), "missing.yaml: cannot read it: "),
    ],
)  # fmt: skip
def test_what_holds_no_rules(source: object, said: str) -> None:
    """The mistake, and where."""
    assert refused(source).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "seed: 5\nrules: [{fault: {respond: 500}}]",
            "1:1: besides rules it has 'seed', which",
        ),
        ("{}", "1:1: it has no rules; write rules: above a list of rules"),
        ("rules: []", "it has no rule, so nothing would fail"),
        ("rules: 5", "1:8: rules: it is not a list of rules"),
        ("- {fault: {respond: 500}}", "1:1: it is a list; write rules: above a list of rules"),
    ],
)
def test_a_file_without_rules_or_with_more(tmp_path: Path, text: str, said: str) -> None:
    """What a file has besides would be left out without a word: it is refused."""
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    assert refused(file).removeprefix(f"{file}:").lstrip().startswith(said)
