"""Renders help with rich-click: options in panels, with their defaults and variables.

It builds a copy of a command from rich-click's classes, which then writes the help. No other file
imports rich-click, and this one is imported only when help is shown.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import click
from rich.text import Text
from rich_click import RichCommand, RichContext, RichGroup, RichHelpConfiguration
from rich_click.rich_panel import RichOptionPanel

from faultinject.cli.table_options import TableOption, opposite_flag

_LOOK = RichHelpConfiguration(
    text_markup=None,
    show_arguments=True,
    options_table_column_types=["opt_all", "metavar", "help"],
    options_table_help_sections=["help", "envvar", "default", "required"],
    max_width=100,
)


def rich_help(command: click.Command, ctx: click.Context) -> str:
    """Return a command's help, with ANSI colours if the terminal has them."""
    twin = _twin(command, ctx)
    rich = RichContext(
        twin,
        info_name=ctx.info_name,
        parent=ctx.parent,
        help_option_names=ctx.help_option_names,
        rich_help_config=_LOOK,
    )
    return twin.get_help(rich).rstrip("\n")


def _twin(command: click.Command, ctx: click.Context) -> RichCommand:
    shared: dict[str, Any] = {
        "help": command.help,
        "epilog": _epilog(command.epilog or ""),
        "params": [_shown(param) for param in command.params],
        "context_settings": command.context_settings,
        "panels": _panels(command.params),
    }
    if not isinstance(command, click.Group):
        return RichCommand(command.name, **shared)
    names = command.list_commands(ctx)
    commands = {name: found for name in names if (found := command.get_command(ctx, name))}
    return _InOrder(name=command.name, commands=commands, **shared)


class _InOrder(RichGroup):
    """A group that lists its commands in the given order, not in the alphabet's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        del ctx
        return list(self.commands)


def _epilog(text: str) -> Text:
    """Return the epilog with its line ends. Indented lines are commands, and are bold."""
    shown = Text()
    for line in text.splitlines(keepends=True):
        shown.append(line, style="bold" if line.startswith("  ") else "")
    return shown


def _shown(param: click.Parameter) -> click.Parameter:
    """Return an option for the help, with its default and its variable.

    When a command runs, Click has neither, because `faultinject.config` reads them.
    """
    if not isinstance(param, TableOption):
        return param
    option = param.option
    is_flag = option.kind.is_flag
    # In the text, because next to the flag it would make the text's column too narrow.
    opposite = f" The opposite is {opposite_flag(option)}." if opposite_flag(option) else ""
    return click.Option(
        [*(["-" + option.letter] if option.letter else []), option.flag, option.parameter],
        metavar=param.metavar,
        is_flag=is_flag,
        help=option.help + opposite,
        default=None if is_flag else option.default,
        show_default=True,
        envvar=option.variable,
        show_envvar=True,
    )


def _panels(params: list[click.Parameter]) -> list[RichOptionPanel]:
    """Return a panel for each group of options, in the table's order."""
    table = [param.option for param in params if isinstance(param, TableOption)]
    return [
        RichOptionPanel(group, options=[option.flag for option in options])
        for group, options in groupby(table, key=lambda option: option.group)
    ]
