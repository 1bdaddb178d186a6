"""Reads a rule from one line of text, as ``--rule`` takes it.

The line is a YAML mapping, or has the short form:

    FAULT [VALUE] [KEY=VALUE ...] [+ FAULT [VALUE] [KEY=VALUE ...] ...]

A FAULT is ``respond``, ``delay``, ``break``, ``stream``, or an action on a stream (``cut``,
``stall``, …). ``pass`` is one too, and stands alone.

A KEY belongs to the fault before it if that fault has such a key. Otherwise it belongs to ``match``
or ``when``; ``match.KEY`` and ``when.KEY`` always do. ``name`` is the rule's name. A dot leads into
an object: ``json.max_tokens=4096``, ``after.event=ping``.

A VALUE is a number, true, false, null or text. It is YAML if it begins with a bracket, a brace or a
quote. If it has spaces, it needs quotes as in a shell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from faultinject.config.file import from_yaml
from faultinject.config.preset_names import NAMES as PRESETS
from faultinject.config.rules.break_key import BREAK_KEYS
from faultinject.config.rules.delay_key import DELAY_KEYS
from faultinject.config.rules.fault_key import KINDS
from faultinject.config.rules.match_key import MATCH_KEYS
from faultinject.config.rules.respond_key import RESPOND_KEYS
from faultinject.config.rules.rule_list import RULE_KEYS, read_one_rule
from faultinject.config.rules.stream_key import ACTION_KEYS, STREAM_KEYS
from faultinject.config.rules.when_key import WHEN_KEYS
from faultinject.errors import SettingsError
from faultinject.reading.node import Node
from faultinject.reading.scalars import number_of
from faultinject.reading.shown import nearest, shown_text
from faultinject.reading.source import Place, Source
from faultinject.rules.model import Rule

_RULE_WIDE = {**dict.fromkeys(MATCH_KEYS, "match"), **dict.fromkeys(WHEN_KEYS, "when")}
_SINGLE = {"respond": "status", "delay": "fixed", "break": "how"}
"""The key of the value right after a fault, for a fault that has other keys too."""
_FAULTS = (*KINDS, *ACTION_KEYS, "pass")
_KEYS = {
    "respond": RESPOND_KEYS,
    "delay": DELAY_KEYS,
    "break": BREAK_KEYS,
    "stream": STREAM_KEYS,
    "pass": (),
}
_WHOLE_NAMES = ("json", "where", "header", "headers", "query")
_WORDS = {"true": True, "false": False, "null": None}
_MOST_CHARACTERS = 10_000


def read_rule_text(text: str, source: Source | str = "--rule") -> Rule:
    """Return the rule of a line. Raises `SettingsError`."""
    source = Source(source) if isinstance(source, str) else source
    return read_one_rule(Node(rule_value(text, source.name), Place(source, ("rule",))))


def rule_value(text: str, source: str = "--rule") -> dict[str, Any]:
    """Return the rule as a rule file would have it. Raises `SettingsError`."""
    if len(text) > _MOST_CHARACTERS or not text.strip():
        raise SettingsError(f"{source}: {_HINT}")
    if not _is_mapping(text):
        return _short_form(text, source)
    mapping = text if text.lstrip().startswith("{") else "{" + text + "}"
    return cast("dict[str, Any]", _yaml(mapping, source))


_HINT = (
    "write a rule as in 'respond 529 path=/v1/* first=2', or as"
    " '{match: {path: /v1/*}, when: {first: 2}, fault: {respond: 529}}'"
)


def _is_mapping(text: str) -> bool:
    start = text.lstrip()
    return start.startswith("{") or start.split(":")[0].strip() in RULE_KEYS


def _yaml(text: str, source: str) -> object:
    try:
        return from_yaml(text)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None


# -- the short form -----------------------------------------------------------------------------


def _short_form(text: str, source: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"fault": {}}
    for part in _parts(words_of(text)):
        if not part:
            raise SettingsError(f"{source}: a fault is missing next to '+'; {_HINT}")
        _read_part(part, rule, source)
    if "pass" in rule["fault"]:
        if len(rule["fault"]) > 1:
            raise SettingsError(f"{source}: pass stands alone, without another fault")
        rule["fault"] = "pass"
    return rule


def words_of(text: str) -> list[str]:
    """Split a line at spaces, but not within brackets or within quotes that begin a value."""
    words, word, depth, quote = [], "", 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (depth or word == "" or word.endswith("=")):
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character.isspace() and depth <= 0:
            words.append(word)
            word = ""
            continue
        word += character
    return [each for each in [*words, word] if each]


def _parts(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word == "+":
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _read_part(words: list[str], rule: dict[str, Any], source: str) -> None:
    """Add one fault, and the keys after it, to a rule."""
    kind, *rest = words
    if kind not in _FAULTS:
        raise SettingsError(f"{source}: {shown_text(kind)} is {_no_fault(kind)}")
    name = "stream" if kind in ACTION_KEYS else kind
    if name in rule["fault"]:
        raise SettingsError(f"{source}: there are two faults of the kind {name}; give one")
    single = _value(rest.pop(0), source) if rest and "=" not in rest[0] else None
    members: dict[str, Any] = {}
    for word in rest:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise SettingsError(f"{source}: {shown_text(word)} is not KEY=VALUE; {_HINT}")
        home = _homes(name, key, rule, members, source)
        _put(home, _value(text, source), f"{source}: {shown_text(key)}")
    rule["fault"][name] = _fault_value(kind, single, members, source)


def _fault_value(kind: str, single: object, members: dict[str, Any], source: str) -> object:
    """Return the fault's value as a rule file would have it."""
    if kind in ACTION_KEYS:
        return {kind: True if single is None else single, **members}
    if single is None:
        return members
    if not members and kind != "pass":
        return single
    key = _SINGLE.get(kind)
    if key is None:
        raise SettingsError(f"{source}: {kind} has no value of its own; {_HINT}")
    return {key: single, **members}


def _homes(
    fault: str, key: str, rule: dict[str, Any], members: dict[str, Any], source: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the object that a key belongs to, and the path in it."""
    steps = _steps(key)
    if key == "name":
        return rule, steps
    if steps[0] in ("match", "when") and len(steps) > 1:
        return rule.setdefault(steps[0], {}), steps[1:]
    if steps[0] in _KEYS[fault]:
        if fault == "respond" and steps[0] == "json" and "[" in steps[-1]:
            raise SettingsError(
                f"{source}: {shown_text(key)}: after respond, json is the answer's body, and this"
                f" is no name in it; to match requests: {shown_text(f'match.{key}=...')}"
            )
        return members, steps
    if steps[0] in _RULE_WIDE:
        return rule.setdefault(_RULE_WIDE[steps[0]], {}), steps
    near = nearest(steps[0], (*_KEYS[fault], *_RULE_WIDE))
    hint = f"did you mean {near}?" if near else _HINT
    raise SettingsError(f"{source}: unknown key {shown_text(steps[0])}; {hint}")


def _steps(key: str) -> list[str]:
    """Split a key at its dots, but not within a header's name or a JSON path."""
    steps: list[str] = []
    rest = key
    while "." in rest and (not steps or steps[-1] not in _WHOLE_NAMES):
        step, _, rest = rest.partition(".")
        steps.append(step)
    return [*steps, rest]


def _put(home: tuple[dict[str, Any], list[str]], value: object, place: str) -> None:
    target, (*steps, last) = home
    for step in steps:
        target = target.setdefault(step, {})
        if not isinstance(target, dict):
            raise SettingsError(f"{place}: {step} has a value already")
    if last in target:
        raise SettingsError(f"{place}: it is given twice; give a list, as in [1, 2]")
    target[last] = value


def _value(text: str, source: str) -> object:
    if text[:1] in ("[", "{", '"', "'"):
        return _yaml(text, source)
    try:
        return _scalar(text)
    except ValueError:
        return text


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    return number_of(text)


def _no_fault(word: str) -> str:
    """Return what a word is that is not a fault, and what was probably meant."""
    if word.partition("@")[0] in PRESETS:
        return f"a preset, not a fault; give it as one: {shown_text(f'--preset {word}')}"
    near = nearest(word, _FAULTS)
    return f"not a fault{f', did you mean {near}?' if near else ''}; {_HINT}"
