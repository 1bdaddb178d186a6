"""Reads rules from JSON-like values and from one line of text, into `faultinject.rules.Rule`.

A mistake is a `SettingsError` of one line: the source, the path in it, the value, and what would be
right. docs/rules.md describes the language.
"""

from faultinject.config.rules.line import read_rule_text
from faultinject.config.rules.rule_list import Reading, joined, read_rules

__all__ = ["Reading", "joined", "read_rule_text", "read_rules"]
