"""``faultinject presets``: lists the failures that have a name, and shows one."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from faultinject.cli.commands import HelpfulCommand, HelpfulGroup
from faultinject.cli.table_options import preset_names
from faultinject.config.presets import NAMES, Preset, preset_named
from faultinject.config.rule_set import composed
from faultinject.config.values import PRESETS
from faultinject.errors import SettingsError
from faultinject.faults.place import Stage
from faultinject.providers.known import PROVIDERS
from faultinject.providers.provider import Provider
from faultinject.providers.shape import Shape
from faultinject.reading.shown import nearest, shown_text
from faultinject.report.preview import shown
from faultinject.settings import ChosenPreset, Settings

GROUPS = {
    "The API answers with an error": (
        "overloaded", "overload-storm", "rate-limited", "rate-limited-long", "spend-cap",
        "auth-expired", "credit-empty", "too-large", "server-error", "server-timeout",
    ),
    "Something in front of the API answers": ("gateway-html", "envoy-503", "cf-timeout"),
    "A stream goes wrong after 200 OK": (
        "stream-overloaded", "stream-overloaded-first", "stream-cut", "stream-reset",
        "stream-truncated", "tool-json-cut", "stream-stall", "ping-only", "slow-drip",
    ),
    "The answer is late, or the connection breaks": (
        "slow-first-byte", "reset-on-reuse", "connect-refused", "proxy-407", "tls-reset",
        "tls-alert",
    ),
    "The answer is a useless 200": ("empty-200", "html-200", "corrupt-json", "max-tokens"),
    "An MCP server fails": (
        "mcp-error", "mcp-tool-error", "mcp-session-lost", "mcp-stream-lost", "mcp-stream-resumed",
    ),
    "Several of these": ("flaky", "bad-day", "retry-torture"),
}  # fmt: skip
"""The presets by what fails, in the order of `faultinject.config.presets.NAMES`."""

_INDENT = "  "
_LEAST_TEXT = 30
_MOST = 100  # lines that are longer are hard to read
_END = """\
Inject one, here in a tenth of the requests:
  faultinject proxy --preset stream-cut@10%
See its rules, its bytes, and what a client should do:
  faultinject presets show stream-cut
"""


def preset_list(columns: int | None) -> str:
    """Return the list, wrapped to ``columns``; None for one line per preset, which suits grep."""
    return "".join(_lines(columns and min(columns, _MOST)))


def _lines(columns: int | None) -> Iterator[str]:
    beside = max(len(name) for names in GROUPS.values() for name in names) + 2
    for title, names in GROUPS.items():
        yield f"{title}\n"
        for name in names:
            start = f"{_INDENT}{name:{beside}}"
            if columns is not None and columns < len(start) + _LEAST_TEXT:
                yield f"{_INDENT}{name}\n"
                start = _INDENT * 2
            yield _entry(start, preset_named(name).sees, columns)
        yield "\n"
    yield _END


def _entry(start: str, text: str, columns: int | None) -> str:
    if columns is None:
        return f"{start}{text}\n"
    indent = " " * len(start)
    return (
        textwrap.fill(
            text, columns, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False
        )
        + "\n"
    )


_WIDTH = 100
_ALL = "all"
_SHOWN_FIRST = ("anthropic", "openai")
"""The APIs that are shown unless others are asked for: all of them would fill ten screens."""


def preset_text(
    preset: Preset, provider: str | None = None, chosen: ChosenPreset | None = None
) -> str:
    """Return the description of a preset. Raises `SettingsError` for an unknown API.

    ``chosen`` says how often the preset happens, if the user gave that.
    """
    providers = _providers(preset, provider)
    text = "".join(_text(preset, providers, chosen or ChosenPreset(preset.name)))
    return text if provider is not None else text + _other_apis(preset, providers)


def _other_apis(preset: Preset, seen: Sequence[Provider]) -> str:
    """Return how the bytes for the APIs are shown that were left out; empty if none was."""
    others = [each.name for each in PROVIDERS if each not in seen]
    if not others or seen[0].name not in _SHOWN_FIRST:
        return ""
    return "\n" + _paragraph(
        "",
        f"For another API: faultinject presets show {preset.name} --provider NAME, where NAME is"
        f" {', '.join(others)}, or {_ALL}.",
    )


def _providers(preset: Preset, name: str | None) -> Sequence[Provider]:
    """Return the APIs whose bytes are shown: those that were asked for, else the best known."""
    if name == _ALL:
        return PROVIDERS
    if name is None:
        meant = [each for each in PROVIDERS if any(True for _ in sections(preset, each))]
        return [each for each in meant if each.name in _SHOWN_FIRST] or meant
    names = {provider.name: provider for provider in PROVIDERS}
    if name not in names:
        near = nearest(name, names)
        hint = f"did you mean {near}?" if near else f"there are {_ALL}, " + ", ".join(names)
        raise SettingsError(f"--provider: {shown_text(name)} is not a known API; {hint}")
    return (names[name],)


def _text(preset: Preset, providers: Sequence[Provider], chosen: ChosenPreset) -> Iterator[str]:
    yield f"{preset.name}\n\n"
    yield _paragraph("The client sees: ", preset.sees)
    yield _paragraph("What it should do: ", preset.expect)
    yield _paragraph("Which requests it hits: ", _hits(preset))
    for words in _how_often(chosen):
        yield _paragraph("As given: ", words)
    counts_attempts = chosen.first or any(rule.counts_attempts for rule in preset.rules)
    if preset.takes_first and not counts_attempts:
        words = f"--preset {preset.name}@first=2 hits only the first two attempts of each call"
        words += "." if preset.own_chance == 1 else ", with the chance that it has."
        yield _paragraph("To let retries succeed: ", words)
    if (factor := preset.greatest_factor) > 1 and chosen.factor == 1:
        words = f"--preset {preset.name}@{factor} makes the chances of its rules {factor} times as"
        yield _paragraph("To make it surer: ", f"{words} great, at most 100 %.")
    if preset.note is not None:
        yield _paragraph("Note: ", preset.note)
    yield "\nKnown from:\n"
    for each in preset.evidence:
        yield _paragraph("- ", each)
    yield f"\nThe rules:\n\n{textwrap.indent(preset.text, '  ')}\n"
    yield _paragraph(
        "",
        "What is sent. Ids and other random values differ in each answer. ␍ stands for CR, ␃ for an"
        " end without a line end. Text in brackets describes what happens. A stream that is harmed"
        " comes from the API; here it is the smallest that the API could send.",
    )
    for provider in providers:
        yield from list(sections(preset, provider)) or _nothing(preset, provider)


def _nothing(preset: Preset, provider: Provider) -> Iterator[str]:
    """Yield why a preset does nothing for an API's examples, and for which shapes it does."""
    shapes = [provider.shape_of(each.path) for each in provider.examples] or provider.shapes[-1:]
    elsewhere = [shape.name for shape in provider.shapes[:-1] if _works(preset, provider, shape)]
    reasons = (
        rule.why_unfit(provider, shape)
        for shape in shapes
        for rule in (*preset.rules, *preset.elsewhere)
        if rule.match.names_api(provider.name, shape.name)
    )
    why = next((each for each in reasons if each is not None), "its rules are for others")
    words = f"it does nothing: {why}"
    if elsewhere:
        examples = ", ".join(dict.fromkeys(shape.name for shape in shapes))
        words = f"for the shape {examples} {words}; for {', '.join(elsewhere)} it does something"
    yield f"\n---- {provider.name} ----\n[{words}]\n"


def _works(preset: Preset, provider: Provider, shape: Shape) -> bool:
    """Return True if a preset does something to requests in a form that an API speaks."""
    return any(
        rule.match.names_api(provider.name, shape.name) and rule.why_unfit(provider, shape) is None
        for rule in preset.rules
    )


def _how_often(chosen: ChosenPreset) -> Iterator[str]:
    """Yield a sentence for each part after the @ of a name, which the rules do not show."""
    if chosen.factor != 1:
        yield f"each rule below has {chosen.factor:g} times its chance, at most 100 %."
    if chosen.first is not None:
        first = f"when: {{first: {chosen.first}, per: attempt-group}}"
        yield f"each rule below is only for the first attempts of each call, as with {first}."


_CALLS = (
    "calls of the API to a target that match the rules below. Housekeeping of clients (telemetry,"
    " settings, HEAD) and requests for a WebSocket pass, unless you give --only all. With"
    " --only model, everything passes that does not ask a model to generate."
)
_CONNECTIONS = (
    "every connection to a target, because no request has been read at that time. --only has no"
    " effect."
)


def _hits(preset: Preset) -> str:
    early = all(rule.stage in (Stage.CONNECT, Stage.HANDSHAKE) for rule in preset.rules)
    return _CONNECTIONS if early else _CALLS


def sections(preset: Preset, provider: Provider) -> Iterator[str]:
    """Yield the bytes of each rule and fault of a preset, under titles."""
    for rule in preset.rules:
        for number, one in enumerate(shown(rule, provider), 1):
            which = f", {number}" if len(rule.faults) > 1 else ""
            path = f"a stream of {one.path}" if one.stream else one.path
            yield f"\n---- {provider.name}, {path}, rule {rule.id}{which} ----\n"
            yield one.text


def _paragraph(title: str, text: str) -> str:
    indent = " " * len(title) if title == "- " else ""
    return textwrap.fill(title + text, _WIDTH, subsequent_indent=indent) + "\n"


_EPILOG = """\
Inject one into each request, or into a tenth of them:

  faultinject proxy --preset overloaded
  faultinject proxy --preset stream-cut@10%

Change one, and use it:

  faultinject presets show stream-cut --rules > rules.yaml
  faultinject proxy --config rules.yaml
"""


class _Presets(HelpfulGroup):
    """The group. It recognises a preset's name in place of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a preset's name, raise an error that says how to show it."""
        if args[0] in NAMES and not ctx.resilient_parsing:
            raise click.UsageError(f"{args[0]} is a preset; write 'presets show {args[0]}'", ctx)
        return super().resolve_command(ctx, args)


@click.group("presets", cls=_Presets, epilog=_EPILOG, invoke_without_command=True)
@click.pass_context
def presets(context: click.Context) -> None:
    """List the failures that have a name (--preset), or show one."""
    if context.invoked_subcommand is None:
        _list()


@presets.command("list", cls=HelpfulCommand)
def list_() -> None:
    """List the presets; 'presets' alone does the same."""
    _list()


def _list() -> None:
    click.echo(preset_list(_columns()), nl=False)


def _columns() -> int | None:
    """Return the width of the terminal; None if there is no terminal and COLUMNS is not set."""
    if os.environ.get("COLUMNS") or (sys.stdout is not None and sys.stdout.isatty()):
        return shutil.get_terminal_size().columns
    return None


@presets.command("show", cls=HelpfulCommand)
@click.argument("name", shell_complete=preset_names)
@click.option("--provider", metavar="NAME", help="Show the bytes for this API; all for each.")
@click.option("--rules", "rules_only", is_flag=True, help="Print only the rules, as a file.")
def show(name: str, provider: str | None, rules_only: bool) -> None:
    """Show a preset: its rules, the bytes, what a client should do, and the evidence.

    NAME may be as --preset takes it, as in overloaded@first=2.
    """
    chosen = _chosen(name)
    if rules_only and chosen != ChosenPreset(chosen.name):
        raise SettingsError(
            f"--rules prints the rules of {chosen.name} as they are; leave out the @"
        )
    preset = preset_named(chosen.name)
    click.echo(preset.text if rules_only else preset_text(preset, provider, chosen), nl=False)


def _chosen(text: str) -> ChosenPreset:
    """Read a preset as --preset does. Raises `SettingsError`."""
    try:
        [chosen] = PRESETS.from_arguments([text])
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if chosen.first is not None:
        composed(Settings(preset=(chosen,)))
    return chosen
