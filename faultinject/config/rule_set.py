"""Collects the rules of a run: the user's, those of presets, and the one that options make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from faultinject.authority import HTTPS_PORT, TargetPattern
from faultinject.config.file import FileReader, read_config_file, shown_path
from faultinject.config.header_values import checked_header
from faultinject.config.load import SCHEMA_KEY
from faultinject.config.presets import preset_named
from faultinject.config.rules import read_rule_text, read_rules
from faultinject.config.rules.rule_list import Reading, joined, listed, names_taken, read_one_rule
from faultinject.errors import SettingsError
from faultinject.faults.place import Stage
from faultinject.faults.respond import Respond
from faultinject.providers.told import Apis
from faultinject.reading.node import Node, lines_of
from faultinject.reading.shown import shown_text
from faultinject.reading.source import Source
from faultinject.rules.checks import Capabilities, check_capabilities
from faultinject.rules.index import RuleSet
from faultinject.rules.match import Match
from faultinject.rules.model import Rule
from faultinject.rules.when import When
from faultinject.settings import ChosenPreset, Only, Settings, WrittenRules


def narrowed(match: Match, only: Only) -> Match:
    """Return the match, limited to the requests that ``--only`` names."""
    if only == "all":
        return match
    return evolve(match, model_call=True) if only == "model" else evolve(match, housekeeping=False)


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    name, value = checked_header(name, value)
    return name.encode(), value.encode()


def options_rule(settings: Settings) -> Rule:
    """Return the rule that the options make: respond to requests for the targets, at random.

    Raises `SettingsError` for a header that an answer cannot have.
    """
    body = None if settings.error_body is None else settings.error_body.encode()
    try:
        headers = tuple(_header(name, value) for name, value in settings.headers)
    except ValueError as error:
        raise SettingsError(f"headers: {error}") from None
    return Rule.of(
        "options",
        narrowed(Match(settings.target_host), settings.only),
        When(settings.error_probability),
        Respond(settings.status_code, body, headers),
        marker=settings.marker,
    )


OPTIONS = "options"
"""The name of the rule that the options make."""


@frozen(eq=False, repr=False)
class Composed:
    """The rules of a run."""

    rule_set: RuleSet
    warnings: tuple[str, ...] = ()
    """What is allowed but probably not meant, one line each."""
    only_for: tuple[str, ...] = ()
    """The ids of the rules that ``--only`` applies to."""
    presets: Mapping[str, str] = field(factory=dict)
    """The preset that each rule of a preset is of, by the rule's id."""


def rule_set_of(settings: Settings, capabilities: Capabilities | None = None) -> RuleSet:
    """Return the rules of these settings. Raises `SettingsError`; see `composed`."""
    return composed(settings, capabilities).rule_set


def composed(settings: Settings, capabilities: Capabilities | None = None) -> Composed:
    """Return the rules of these settings, in the order in which they are asked.

    A rule without a host is for the targets. Raises `SettingsError` for a rule that cannot be read,
    an unknown preset, two rules with one name, and a fault that is not in ``capabilities``.
    """
    Apis.of(settings.target_host)  # to refuse an API that is unknown
    short_form = (options_rule(settings),) if has_short_form(settings) else ()
    if not settings.rules and not settings.preset:
        rule_set = RuleSet(short_form, settings.seed, settings.marker)
        return Composed(rule_set, only_for=rule_set.ids)
    written = list(_written(settings.rules))
    of_presets = list(_of_presets(settings.preset, settings.only))
    given = [*written, *(rule for _, rule in of_presets)]
    rules = (_for_targets(rule, settings.target_host) for rule in given)
    reading = joined([*rules, *short_form])
    elsewhere = tuple(_elsewhere(settings))
    rule_set = RuleSet(reading.rules, settings.seed, settings.marker, elsewhere)
    if capabilities is not None:
        check_capabilities(rule_set, capabilities)
    warnings = (
        *_too_often(settings.preset),
        *reading.warnings,
        *_unseen(given, settings.target_host),
    )
    only_for = tuple(each.id for each in reading.rules[len(written) :] if _is_narrowed(each))
    if settings.only != "api" and not only_for:
        warnings = (*warnings, _ONLY_FOR_NONE.format(settings.only))
    return Composed(rule_set, warnings, only_for, {rule.id: name for name, rule in of_presets})


_ONLY_FOR_NONE = (
    "--only {} has no effect: it limits presets and the options' error, and this run has none that"
    " it could limit; limit your own rules by their match"
)


def problems(written: WrittenRules) -> list[str]:
    """Return the mistakes in rules, one line each."""
    found: list[str] = []
    try:
        items = listed(written.value, _source(written))
    except SettingsError as error:
        return [str(error)]
    for item in items:
        try:
            read_one_rule(item)
        except SettingsError as error:
            found.extend(lines_of(error))
    return [*found, *map(str, names_taken(items))]


def rule_problems(path: Path, document: Node) -> list[str]:
    """Return the mistakes in the rules of a configuration file, one line each."""
    rules = document.members("an object").get("rules")
    if rules is None or not isinstance(rules.value, list):  # `file_problems` has it
        return []
    source = document.place.source
    return problems(WrittenRules(rules.value, source.name, path.parent, source.locate))


def has_short_form(settings: Settings) -> bool:
    """Return True if the options make a rule of their own."""
    has_others = bool(settings.rules or settings.preset)
    if has_others and not settings.error_probability:  # a chance of 0: only the others
        return False
    return not has_others if settings.short_form is None else settings.short_form


def asked_probability(settings: Settings) -> float:
    """Return the probability of the options' rule; 0 if they make none."""
    return settings.error_probability if has_short_form(settings) else 0.0


# -- what was given -----------------------------------------------------------------------------


def _written(sources: Iterable[WrittenRules]) -> Iterator[Rule]:
    for each in sources:
        if isinstance(each.value, tuple):
            yield from each.value  # rules that have been read
        elif isinstance(each.value, str):
            yield read_rule_text(each.value, each.source)
        else:
            yield from read_rules(each.value, _source(each)).rules


def _source(written: WrittenRules) -> Source:
    return Source(written.source, FileReader(written.folder).read, written.locate)


def _of_presets(chosen: Iterable[ChosenPreset], only: Only) -> Iterator[tuple[str, Rule]]:
    """Return the rules of presets, each with the preset's name."""
    seen: set[str] = set()
    for each in chosen:
        if each.name in seen:
            raise SettingsError(f"--preset: {shown_text(each.name)} is given twice; give it once")
        seen.add(each.name)
        try:
            rules = preset_named(each.name).rules
        except SettingsError as error:
            raise SettingsError(f"--preset: {error}") from None
        for rule in rules:
            scaled = evolve(_narrowed(rule, only), when=rule.when.scaled(each.factor))
            if each.first is not None:
                scaled = _of_first_attempts(scaled, each, each.first)
            yield each.name, scaled


def _elsewhere(settings: Settings) -> Iterator[Rule]:
    """Return what tells at which APIs presets do nothing; see `RuleSet.elsewhere`."""
    for each in settings.preset:
        for rule in preset_named(each.name).elsewhere:
            yield _for_targets(_narrowed(rule, settings.only), settings.target_host)


def _of_first_attempts(rule: Rule, chosen: ChosenPreset, first: int) -> Rule:
    try:
        return rule.of_first_attempts(first)
    except ValueError as error:
        raise SettingsError(
            f"--preset {chosen.name}@first={first}: its rule '{rule.id}' {error}; leave"
            f" @first out, or give a chance as in {chosen.name}@10%"
        ) from None


def _narrowed(rule: Rule, only: Only) -> Rule:
    """Return a preset's rule, limited to the requests that ``--only`` names.

    A fault at connect or handshake is not limited: its connection's requests come later.
    """
    return evolve(rule, match=narrowed(rule.match, only)) if _is_narrowed(rule) else rule


def _is_narrowed(rule: Rule) -> bool:
    """Return True if ``--only`` applies to a preset's rule."""
    return rule.stage not in (Stage.CONNECT, Stage.HANDSHAKE)


def _too_often(chosen: Iterable[ChosenPreset]) -> Iterator[str]:
    """Yield a warning for each preset whose factor makes a chance greater than 1."""
    for each in chosen:
        chances = (rule.when.greatest_chance for rule in preset_named(each.name).rules)
        chance = max((one for one in chances if one * each.factor > 1), default=None)
        if chance is not None:
            factor = f"{each.factor:g}"
            part = f"{factor}%" if each.factor <= 100 else "20%"
            yield (
                f"--preset {each.name}@{factor}: {factor} times the chance of {chance * 100:.3g} %"
                f" is more than 100 %, and counts as 100 %; a percentage is written as in @{part}"
            )


def chances(rule_set: RuleSet) -> dict[str, float]:
    """Return each rule's chance if it is below 1. The options' rule is left out.

    A ramp counts with its greatest chance.
    """
    greatest = {rule.id: rule.when.greatest_chance for rule in rule_set.rules}
    return {name: chance for name, chance in greatest.items() if chance < 1 and name != OPTIONS}


def first_attempts(rule_set: RuleSet) -> dict[str, int]:
    """Return how many attempts of a call a rule is for, for rules with only the first attempts."""
    return {
        rule.id: rule.when.first
        for rule in rule_set.rules
        if rule.when.first is not None and rule.when.counts_attempts
    }


def of_tunnels(rule_set: RuleSet) -> tuple[str, ...]:
    """Return the rules that are asked as a tunnel is opened, and so at no request."""
    opening = (Stage.CONNECT, Stage.HANDSHAKE)
    return tuple(rule.id for rule in rule_set.rules if rule.stage in opening)


def _for_targets(rule: Rule, targets: tuple[TargetPattern, ...]) -> Rule:
    if rule.match.hosts is not None:
        return rule
    return evolve(rule, match=evolve(rule.match, hosts=targets))


def _unseen(rules: Iterable[Rule], targets: tuple[TargetPattern, ...]) -> Iterator[str]:
    """Yield a warning for each host of a rule that is not a target: its requests are not seen."""
    for rule in rules:
        for host in rule.match.hosts or ():
            if host.exact and rule.stage is not Stage.CONNECT and not _is_target(host, targets):
                yield f"{rule.place}: {host} is not a target; add it with --target-host"


def _is_target(host: TargetPattern, targets: tuple[TargetPattern, ...]) -> bool:
    return any(each.matches(host.host, host.port or each.port or HTTPS_PORT) for each in targets)


_ENDS_OF_FILES = (".yaml", ".yml", ".json", ".toml")


def load_rules(source: Path | str | Sequence[Mapping[str, object]]) -> RuleSet:
    """Read rules and check them; the result is for `Settings` (``rules``).

    A `Path` names a file (YAML, JSON or TOML) with ``rules`` in it and nothing else. Text is one
    rule, as ``--rule`` takes it. A list has rules as a file has them. Files that a rule names are
    read too, from the folder of the rules' file. Raises `SettingsError` that says where the first
    mistake is and how many more there are, or that there is no rule.

    Draws use the seed of the `Settings`, not the set's.
    """
    return rules_given_to("load_rules", source)


def rules_given_to(name: str, source: Path | str | Sequence[Mapping[str, object]]) -> RuleSet:
    """Read rules as `load_rules` does; ``name`` stands before a mistake that is in no file."""
    place = shown_path(source) if isinstance(source, Path) else name
    rules = _read(source, place).rules
    if not rules:
        raise SettingsError(f"{place}: it has no rule, so nothing would fail")
    return RuleSet(rules, seed=0)


def _read(source: Path | str | Sequence[Mapping[str, object]], place: str) -> Reading:
    if isinstance(source, Path):
        return _of_file(source)
    if isinstance(source, str):
        return Reading((_of_text(source, place),))
    return read_rules(list(source) if isinstance(source, Sequence) else source, place)


def _of_text(text: str, place: str) -> Rule:
    try:
        return read_rule_text(text, place)
    except SettingsError:
        if text.endswith(_ENDS_OF_FILES):
            raise SettingsError(
                f"{place}: {shown_text(text)} is not a rule; pass a file as a Path"
            ) from None
        raise


def _of_file(path: Path) -> Reading:
    document = read_config_file(path)
    members = document.members("an object")
    if others := sorted(members.keys() - {"rules", SCHEMA_KEY}):
        raise evolve(document.place, key=others[0]).problem(
            f"besides rules it has {shown_text(', '.join(others))}, which would be"
            " ignored; pass that to Settings and leave it out of the file"
        )
    if "rules" not in members:
        raise document.problem("it has no rules; write rules: above a list of rules")
    return read_rules(members["rules"].value, document.place.source)
