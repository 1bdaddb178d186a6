"""The help of a command, written by rich-click.

It is imported only to write help: to define its classes takes longer, and more memory, than all of
click.
"""

from __future__ import annotations

import click
from rich.padding import Padding
from rich.text import Text
from rich_click import RichCommand, RichContext, RichGroup

_CONFIG = {
    "text_markup": None,
    "show_arguments": True,
    "options_table_column_types": ["opt_primary", "metavar", "help"],
    "options_table_help_sections": ["help", "envvar", "default", "required"],
    "max_width": 100,
}


class _Group(RichGroup):
    """A group that keeps the order of its commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the given order."""
        del ctx
        return list(self.commands)


def help_page(command: click.Command, ctx: click.Context) -> str:
    """Return the help of a command that is used in this context."""
    shown = _as_rich(command)
    context = RichContext(
        shown,
        info_name=ctx.info_name,
        parent=ctx.parent,
        help_option_names=ctx.help_option_names,
        rich_help_config=_CONFIG,
    )
    formatter = context.make_formatter()
    shown.format_usage(context, formatter)
    shown.format_help_text(context, formatter)
    shown.format_options(context, formatter)
    if command.epilog:  # with its line ends; indented lines are commands, and are bold
        text = Text(command.epilog)
        text.highlight_regex(r"(?m)^  .+$", style="bold")
        formatter.write(Padding(text, context.help_config.padding_epilog))
    return formatter.getvalue().rstrip("\n")


def _as_rich(command: click.Command) -> RichCommand:
    """Return a command of rich-click's that says the same as one of click's."""
    if isinstance(command, click.Group):
        return _Group(
            name=command.name,
            commands=command.commands,
            params=command.params,
            help=command.help,
            subcommand_metavar=command.subcommand_metavar,
        )
    return RichCommand(name=command.name, params=command.params, help=command.help)
