"""The kinds of commands and options that the command line is built of.

Plain Click when a command runs; its help is rendered by rich-click, which is imported only then
(it costs some 15 ms, rich many more).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import click

from faultinject.cli.warning import warn
from faultinject.config import Option, load_settings_as, nearest, unknown_variables
from faultinject.settings import Settings


@contextmanager
def _no_collection() -> Iterator[None]:
    """Import without looking for garbage: the search would cost a quarter of a start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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
            with _no_collection():
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
