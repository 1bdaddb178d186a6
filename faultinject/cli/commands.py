"""The classes of commands and groups that the command line is built of.

They are plain Click. Only help is rendered by rich-click, which is imported then (it takes some
15 ms, and rich much more).
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
    """Switch the garbage collector off during imports, where it takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class HelpfulCommand(click.Command):
    """A command with help by rich-click."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, with panels and colours."""
        from faultinject.cli.help import rich_help

        return rich_help(self, ctx)


class HelpfulGroup(click.Group):
    """A group with help by rich-click. It imports a command only when it is named."""

    command_class = HelpfulCommand

    def __init__(self, *args: Any, modules: dict[str, str] | None = None, **more: Any) -> None:
        """Take ``modules``: where each command is (``module:name``), by the command's name."""
        super().__init__(*args, **more)
        self._modules = modules or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the given order."""
        del ctx
        return [*self._modules, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, and import it if necessary."""
        if cmd_name in self._modules:
            module, _, name = self._modules[cmd_name].partition(":")
            with _no_collection():
                command: click.Command = getattr(import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. If there is none of this name, the error names the most similar one."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = nearest(name, known)
            hint = f"did you mean '{near}'?" if near else "the commands are " + ", ".join(known)
            raise click.UsageError(f"no such command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, with panels and colours."""
        from faultinject.cli.help import rich_help

        return rich_help(self, ctx)


S = TypeVar("S", bound=Settings)


def settings_of(values: dict[str, Any], options: Iterable[Option]) -> Settings:
    """Return the settings of the proxy for a command; see `settings_as`."""
    return settings_as(Settings, values, options)


def settings_as(kind: type[S], values: dict[str, Any], options: Iterable[Option]) -> S:
    """Return the settings for a command, from its options, the environment and the file.

    Warns of variables that look like an option's but are not. Raises `SettingsError`.
    """
    for message in unknown_variables(os.environ):
        warn(message)
    return load_settings_as(kind, texts_given(values), os.environ, options)


def texts_given(values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the texts of the options that were given, as `load_settings` takes them."""
    return {
        name: (
            tuple(value)
            if isinstance(value, (list, tuple))
            else (str(value).lower() if isinstance(value, bool) else value,)
        )
        for name, value in values.items()
        if value is not None and value != ()
    }
