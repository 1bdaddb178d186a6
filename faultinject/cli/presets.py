"""``faultinject presets``: what failures there are by name, and what one of them is."""

from __future__ import annotations

import os
import shutil
import sys

import click

from faultinject.cli.commands import HelpfulCommand, HelpfulGroup, preset_names
from faultinject.errors import SettingsError
from faultinject.settings import ChosenPreset, Settings

_EPILOG = """\
Have one happen to each request, or to a tenth of them:

  faultinject proxy --preset overloaded
  faultinject proxy --preset stream-cut@10%

Change one, and use it:

  faultinject presets show stream-cut --rules > rules.yaml
  faultinject proxy --config rules.yaml
"""


class _Presets(HelpfulGroup):
    """The group, which knows that a preset's name is no command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; if there is a preset of that name, say how it is shown."""
        from faultinject.config.presets import NAMES

        if args[0] in NAMES and not ctx.resilient_parsing:
            raise click.UsageError(f"{args[0]} is a preset; write 'presets show {args[0]}'", ctx)
        return super().resolve_command(ctx, args)


@click.group("presets", cls=_Presets, epilog=_EPILOG, invoke_without_command=True)
@click.pass_context
def presets(context: click.Context) -> None:
    """List the failures that can be had by name (--preset), or show one."""
    if context.invoked_subcommand is None:
        _list()


@presets.command("list", cls=HelpfulCommand)
def list_() -> None:
    """List the presets, as does 'presets' alone."""
    _list()


def _list() -> None:
    from faultinject.cli.preset_list import preset_list

    click.echo(preset_list(_columns()), nl=False)


def _columns() -> int | None:
    """Return how wide the terminal is; None if there is none, and nobody says how wide it is."""
    if os.environ.get("COLUMNS") or (sys.stdout is not None and sys.stdout.isatty()):
        return shutil.get_terminal_size().columns
    return None


@presets.command("show", cls=HelpfulCommand)
@click.argument("name", shell_complete=preset_names)
@click.option("--provider", metavar="NAME", help="Show the bytes for this API alone.")
@click.option("--rules", "rules_only", is_flag=True, help="Print the rules alone, as a file.")
def show(name: str, provider: str | None, rules_only: bool) -> None:
    """Show a preset: its rules, the bytes, what a client should do, and the evidence.

    NAME may be as --preset takes it, as in overloaded@first=2.
    """
    from faultinject.cli.preset_text import preset_text
    from faultinject.config.presets import preset_named

    chosen = _chosen(name)
    if rules_only and chosen != ChosenPreset(chosen.name):
        raise SettingsError(
            f"--rules prints the rules of {chosen.name} as they are; leave out what is behind the @"
        )
    preset = preset_named(chosen.name)
    click.echo(preset.text if rules_only else preset_text(preset, provider, chosen), nl=False)


def _chosen(text: str) -> ChosenPreset:
    """Read a preset as --preset does. Raises `SettingsError`, also for what it cannot be."""
    from faultinject.config.rule_set import composed
    from faultinject.config.values import PRESETS

    try:
        [chosen] = PRESETS.from_arguments([text])
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if chosen.first is not None:
        composed(Settings(preset=(chosen,)))
    return chosen
