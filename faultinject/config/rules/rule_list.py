"""Reads a list of rules, or one rule, from a JSON-like value."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import count
from typing import Any

from attrs import evolve, frozen

from faultinject.config.rules.consistency import check_names, check_stage
from faultinject.config.rules.fault_key import FAULTS
from faultinject.config.rules.match_key import MATCH
from faultinject.config.rules.when_key import WHEN
from faultinject.errors import SettingsError
from faultinject.reading.keys import Keys, Read
from faultinject.reading.node import Node, read_all
from faultinject.reading.shown import one_line, shown_text
from faultinject.reading.source import Place, Source
from faultinject.reading.value import Schema, Value, text
from faultinject.rules.checks import hidden_by
from faultinject.rules.match import Match
from faultinject.rules.model import Rule
from faultinject.rules.when import ALWAYS

_NAME = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?")
_RESERVED_NAME = "options"
_MOST_RULES = 10_000


@frozen
class Reading:
    """The rules that were read."""

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...] = ()
    """What is allowed but probably not meant, one line each."""


def read_rules(value: object, source: Source | str) -> Reading:
    """Read the list of rules that a document has under ``rules``.

    Error messages name ``source``, such as the file. Raises `SettingsError` with the source, the
    path in it, the value, and what would be right.
    """
    source = Source(source) if isinstance(source, str) else source
    return joined(read_all(listed(value, source), read_one_rule))


def listed(value: object, source: Source) -> list[Node]:
    """Return the rules of a list, unread. Raises `SettingsError`."""
    node = Node(value, Place(source, ("rules",)))
    if not isinstance(value, list):
        raise node.problem("it is not a list of rules, each with a fault in it")
    if len(value) > _MOST_RULES:
        raise node.problem(f"there are more than {_MOST_RULES} rules")
    return node.items()


def read_one_rule(node: Node) -> Rule:
    """Read one rule. Raises `SettingsError`."""
    try:
        return _RULE.read(node)
    except RecursionError:
        raise node.problem("its values are nested too deeply") from None


def joined(rules: Iterable[Rule]) -> Reading:
    """Join the rules of several places, in order.

    Raises `SettingsError` if two have the same name. Equal rules without a name get a number after
    their id, from the second on.
    """
    seen: dict[str, Rule] = {}
    numbers: Mapping[str, Iterator[int]] = defaultdict(lambda: count(2))
    for rule in rules:
        named = rule
        if rule.id in seen:
            if rule.named:
                raise _taken(rule.place, rule.id, seen[rule.id].place)
            ids = (f"{rule.id}-{number}" for number in numbers[rule.id])
            named = evolve(rule, id=next(each for each in ids if each not in seen))
        seen[named.id] = named
    result = tuple(seen.values())
    return Reading(result, tuple(hidden_by(result)))


def names_taken(items: Iterable[Node]) -> Iterator[SettingsError]:
    """Return a mistake for each rule, readable or not, whose name an earlier one has."""
    seen: dict[str, Place] = {}
    for item in items:
        name = item.value.get("name") if isinstance(item.value, dict) else None
        if isinstance(name, str):
            if name in seen:
                yield _taken(item.place, name, seen[name])
            seen.setdefault(name, item.place)


def _taken(place: Place, name: str, earlier: Place) -> SettingsError:
    return place.inner("name").problem(f"{shown_text(name)} is the name of {earlier} too")


def _rule(node: Node, read: Read) -> Rule:
    match, when, faults = read.get("match", Match()), read.get("when", ALWAYS), read["fault"]
    check_stage(node, faults[0].fault.stage, match, when)
    check_names(node.part("fault"), faults, match)
    name = read.get("name")
    rule_id = content_id(node) if name is None else name
    return Rule(rule_id, match, when, faults, place=node.place, named=name is not None)


def _name(node: Node, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise node.wrong("a name of at most 100 visible ASCII characters and spaces")
    if name == _RESERVED_NAME:
        raise node.problem(f"{_RESERVED_NAME} is the name of the options' rule; take another")
    return name


_KEYS: Mapping[str, Value[Any]] = {
    "name": text("a name", f"^{_NAME.pattern}$").then(_name),
    "match": MATCH,
    "when": WHEN,
    "fault": FAULTS,
}
RULE_KEYS = tuple(_KEYS)
"""The keys of a rule."""
ABOUT = {
    "name": ("The rule's name in the log and in the header `x-faultinject`."),
    "match": "Which requests the rule is for: all conditions given must hold.",
    "when": "Which of those, in order or by chance: all conditions given must hold.",
    "fault": "What happens.",
}
_RULE = Keys(
    _KEYS,
    "a rule, as in {match: {...}, fault: {respond: 529}}",
    needed=("fault",),
    missing="fault is missing: what should happen, as in fault: {respond: 529}",
    about=ABOUT,
).then(_rule)
RULES_SCHEMA: Schema = {"type": "array", "items": _RULE, "maxItems": _MOST_RULES}
"""The JSON Schema of a list of rules."""


def content_id(node: Node) -> str:
    """Return the id of a rule without a name: equal content has the same id, wherever it is."""
    text = json.dumps(node.value, sort_keys=True, ensure_ascii=True, default=str)
    digest = blake2b(text.encode(), digest_size=4).hexdigest()
    fault = node.value.get("fault") if isinstance(node.value, dict) else None
    kinds = "-".join(sorted(fault)) if isinstance(fault, dict) else str(fault)
    return f"{one_line(kinds)}-{digest}"
