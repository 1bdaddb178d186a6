"""``faultinject rules``: checks a file of rules, writes a first one, prints the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click
from attrs import evolve, frozen

from faultinject.authority import TargetPattern
from faultinject.cli.commands import HelpfulCommand, HelpfulGroup
from faultinject.cli.judging import judge_for
from faultinject.config import PROXY_OPTIONS, file_problems, load_settings, read_config_file
from faultinject.config.file import shown_path
from faultinject.config.rule_set import OPTIONS, Composed, composed, rule_problems
from faultinject.config.schema import config_schema
from faultinject.errors import SettingsError, StartError
from faultinject.http.message import RequestHead
from faultinject.plugin.interface import CAPABILITIES
from faultinject.providers.generic import PROVIDER as UNKNOWN
from faultinject.providers.told import Apis, why_no_api
from faultinject.reading.shown import shown_text
from faultinject.rules.checks import check_capabilities
from faultinject.rules.facts import Facts
from faultinject.rules.index import RuleSet
from faultinject.rules.model import Rule
from faultinject.settings import Settings

_PLACE = "api.openai.com/v1/responses"


@frozen(eq=False, repr=False)
class Checked:
    """The result of a check."""

    problems: tuple[str, ...]
    """Why the file cannot be used, one line each."""
    notes: tuple[str, ...] = ()
    """What is allowed but probably not meant, and what one of the commands cannot do."""
    count: int = 0
    """The number of rules, without the options' rule."""


def checked(path: Path, place: str | None = None) -> Checked:
    """Check a file as ``--config`` reads it. Errors in it are returned, not raised.

    ``place`` is a host and a path; what the rules mean there becomes notes.
    """
    try:
        document = read_config_file(path)  # once, for a pipe can be read only once
        if found := [*file_problems(document), *rule_problems(path, document)]:
            return Checked(tuple(found))
        settings = load_settings({"config": [str(path)]}, {}, PROXY_OPTIONS, lambda _: document)
        judge_for(settings)
        result = composed(settings)
    except SettingsError as error:
        return Checked((str(error),))
    met = () if place is None else _met(settings, place)
    return Checked((), (*_notes(result), *met), _count(result))


def _met(settings: Settings, place: str) -> Iterator[str]:
    """Yield what the API at a host and a path is taken for, and which rules do nothing there."""
    place = place.removeprefix("https://")
    scheme = "http://" if place.startswith("http://") else ""
    host, slash, path = place.removeprefix(scheme).partition("/")
    path = slash + path.partition("?")[0]
    if not slash:
        raise SettingsError(f"--for: {shown_text(place)} is no host and path, as in {_PLACE}")
    try:
        target = TargetPattern.parse_target(scheme + host)
    except ValueError as error:
        raise SettingsError(f"--for: {shown_text(place)}: {error}") from None
    if (why := why_no_api(target)) is not None:
        raise SettingsError(f"--for: {why}")
    requests = _posts(target, path, Apis.of((target, *settings.target_host)))
    spoken = [(each.provider.title, each.shape) for each in requests]
    yield f"At {place} the API is {spoken[0][0]}, and {spoken[0][1]} is spoken."
    if len(spoken) > 1:
        yield "If a request there is a message of the Model Context Protocol, it is mcp."
    result = composed(evolve(settings, target_host=(target,)))
    yield from _idle(result, requests)


def _posts(target: TargetPattern, path: str, apis: Apis) -> list[Facts]:
    """Return a POST to a place, and one with a message of MCP if no API is known there."""
    port = target.port or target.default_port
    head = RequestHead(b"POST", path.encode("ascii", "replace"), ())
    plain = Facts(target.host, port, head, apis=apis)
    message = evolve(head, headers=((b"Mcp-Protocol-Version", b"2025-11-25"),))
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}'
    found = Facts(target.host, port, message, body, apis=apis)
    return [plain, found] if plain.provider is UNKNOWN and found.is_mcp else [plain]


def _idle(result: Composed, requests: list[Facts]) -> Iterator[str]:
    """Yield the rules that do nothing for any of some requests, and why; a preset's are one."""
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule in result.rule_set.rules:
        preset = result.presets.get(rule.id)
        if rule.id != OPTIONS:
            group = ("rule", rule.id) if preset is None else ("preset", preset)
            groups.setdefault(group, []).append(rule)
    for (kind, name), rules in groups.items():
        told = [each for each in result.rule_set.elsewhere if each.id == rules[0].id]
        reasons = [_why_idle([*rules, *told], each) for each in requests]
        if None not in reasons:
            yield f"There the {kind} {name} does nothing: {reasons[0]}"


def _why_idle(rules: list[Rule], facts: Facts) -> str | None:
    """Return why none of some rules does anything for a request; None if one does."""
    shape = facts.provider.shape_of(facts.path)
    meant = [rule for rule in rules if rule.match.accepts_route(facts)]
    reasons = [rule.why_unfit(facts.provider, shape) for rule in meant]
    if None in reasons:
        return None
    return next(iter(reasons), None) or "its match is not for it."


def _count(result: Composed) -> int:
    return sum(rule.id != OPTIONS for rule in result.rule_set.rules)


def _notes(result: Composed) -> Iterator[str]:
    yield from (f"warning: {each}" for each in result.warnings)
    for rule in result.rule_set.rules:
        try:
            check_capabilities(RuleSet((rule,), seed=0), CAPABILITIES["duplex"])
        except SettingsError as error:
            yield f"With `faultinject plugin`: {error}"


_EPILOG = """\
Start a file of rules, check it, and use it:

  faultinject rules init rules.yaml
  faultinject rules check rules.yaml
  faultinject proxy --config rules.yaml
"""


@click.group("rules", cls=HelpfulGroup, epilog=_EPILOG)
def rules() -> None:
    """Check a file of rules, write a first one, or print the schema."""


_COUNTED = {0: "no rules; the file", 1: "1 rule; it"}


@rules.command("check", cls=HelpfulCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "place",
    metavar="HOST/PATH",
    help=f"Say what the rules mean for a POST there, as in {_PLACE}.",
)
def check(file: Path, place: str | None) -> int:
    """Check a configuration file and its rules; print one line for each mistake.

    FILE may be - for standard input. The exit code is 2 if there is a mistake.
    """
    found = checked(file, place)
    for line in (*found.problems, *found.notes):
        click.echo(line, err=True)
    if found.problems:
        return 2
    click.echo(
        f"{shown_path(file)}: {_COUNTED.get(found.count, f'{found.count} rules; all')} can be used"
    )
    return 0


@rules.command("schema", cls=HelpfulCommand)
def schema() -> None:
    """Print the JSON Schema of configuration files and rules, for editors."""
    click.echo(json.dumps(config_schema(), indent=2))


@rules.command("init", cls=HelpfulCommand)
@click.argument("file", type=click.Path(path_type=Path), default="-")
def init(file: Path) -> None:
    """Write a first file of rules with comments (YAML). Without FILE, or for -, print it."""
    text = (resources.files("faultinject.cli") / "first_rules.yaml").read_text("utf-8")
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise SettingsError(f"{file}: the file exists already; choose another name") from None
    except OSError as error:
        raise StartError(f"cannot write {file}: {error.strerror or error}") from None
    click.echo(f"wrote {file}; next: faultinject proxy --config {file}", err=True)
