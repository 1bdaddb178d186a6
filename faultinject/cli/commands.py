"""The kinds of commands and options that the command line is built of.

Plain Click when a command runs; its help is rendered by rich-click, which is imported only then
(it costs some 15 ms, rich many more).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from faultinject.cli.warning import warn
from faultinject.config import Kind, Option, load_settings_as, nearest, unknown_variables
from faultinject.settings import Settings


class HelpfulCommand(click.Command):
    """A command whose help is worth reading."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, with panels and colours."""
        from faultinject.cli.help import rich_help

        return rich_help(self, ctx)


class HelpfulGroup(click.Group):
    """A group whose help is worth reading, and which imports a command when it is named."""

    command_class = HelpfulCommand

    def __init__(self, *args: Any, modules: dict[str, str] | None = None, **more: Any) -> None:
        """Take ``modules``: where the commands are (``module:name``), by command."""
        super().__init__(*args, **more)
        self._modules = modules or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order in which they were given."""
        del ctx
        return [*self._modules, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported if need be."""
        if cmd_name in self._modules:
            module, _, name = self._modules[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; if there is none of that name, name the nearest."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = nearest(name, known)
            mend = f"did you mean '{near}'?" if near else "the commands are " + ", ".join(known)
            raise click.UsageError(f"no such command {name!r}; {mend}", ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, with panels and colours."""
        from faultinject.cli.help import rich_help

        return rich_help(self, ctx)


class TableOption(click.Option):
    """An option of `faultinject.config`: its value stays text until all sources are known."""

    def __init__(self, option: Option) -> None:
        """Make Click's view of an option."""
        kind = option.kind
        super().__init__(
            [_declaration(option), option.parameter],
            type=_click_type(kind),
            default=None,
            is_flag=kind.is_flag,
            multiple=kind.repeatable,
            metavar=None if kind.is_flag else kind.metavar,
            help=option.help,
        )
        self.option = option

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete words of a choice, presets, and paths."""
        if words := self.option.kind.choices:
            return [CompletionItem(word) for word in words if word.startswith(incomplete)]
        if self.option.name == "preset":
            if "@" in incomplete:
                return list(_how_often(incomplete))
            return preset_names(ctx, self, incomplete)
        return super().shell_complete(ctx, incomplete)


def preset_names(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the presets whose names begin so, for the shell."""
    from faultinject.config.presets import NAMES

    return [CompletionItem(name) for name in NAMES if name.startswith(incomplete)]


def _how_often(incomplete: str) -> Iterator[CompletionItem]:
    """Return what may stand behind the name of a preset, if it is there with its ``@``."""
    from faultinject.config.presets import NAMES, preset_named

    name = incomplete.partition("@")[0]
    if name in NAMES:
        words = [f"{name}@10%", *([f"{name}@first=2"] if preset_named(name).takes_first else [])]
        yield from (CompletionItem(word) for word in words if word.startswith(incomplete))


def _click_type(kind: Kind) -> click.ParamType[Any]:
    """Return what Click should take the text for: paths are completed, all else is ours."""
    if kind.is_flag:
        return click.BOOL
    return click.Path() if kind.is_path else click.STRING


def _declaration(option: Option) -> str:
    opposite = opposite_flag(option)
    return f"{option.flag}/{opposite}" if opposite else option.flag


def opposite_flag(option: Option) -> str | None:
    """Return what undoes a flag on the command line, if a file or a variable can set it."""
    if not option.kind.is_flag or option.command_line_only:
        return None
    return "--" + (option.name[3:] if option.name.startswith("no-") else "no-" + option.name)


def table_options(options: Iterable[Option]) -> list[click.Parameter]:
    """Return Click's options for those of the table."""
    return [TableOption(option) for option in options]


S = TypeVar("S", bound=Settings)


def settings_of(values: dict[str, Any], options: Iterable[Option]) -> Settings:
    """Return the settings of the proxy that a command was given; see `settings_as`."""
    return settings_as(Settings, values, options)


def settings_as(kind: type[S], values: dict[str, Any], options: Iterable[Option]) -> S:
    """Return the settings that a command was given: by options, environment and file.

    Warns of variables that look like options' and are none. Raises `SettingsError`.
    """
    for message in unknown_variables(os.environ):
        warn(message)
    return load_settings_as(kind, texts_given(values), os.environ, options)


def texts_given(values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return what `load_settings` takes: the texts of the options that were given."""
    return {
        name: (
            tuple(value)
            if isinstance(value, (list, tuple))
            else (str(value).lower() if isinstance(value, bool) else value,)
        )
        for name, value in values.items()
        if value is not None and value != ()
    }
